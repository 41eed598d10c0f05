"""Other repositories that a skill reads: checkouts beside the workspace, from which nothing is taken."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from runner.core import safe_fs
from runner.core.model import Phase
from runner.run.context import RunContext
from runner.sandboxes import Mount
from runner.workspace.checkout import Workspace, checkout
from runner.workspace.mirror import Mirror

INSIDE = "/repositories"
VARIABLE = "SKILLRUNNER_REPOSITORIES"
"""What tells programs where they are."""


@contextmanager
def check_out_repositories(job: RunContext) -> Iterator[RunContext]:
    """The job with the repositories that its skill names, each at one commit for as long as this lasts.

    Raises RunnerError: one that may not be read, or that cannot be.
    """
    wanted = job.spec.environment.repositories
    if not wanted:
        yield job
        return
    with ExitStack() as stack:
        found = {}
        for folder, told in wanted.items():
            with job.record.stage(Phase.CHECKOUT):
                found[folder] = _checked_out(job, stack, folder, told)
        where = INSIDE if job.parts.sandbox.tools else stack.enter_context(_linked(job, found))
        variables = {VARIABLE: where, **job.spec.environment.variables}
        environment = replace(job.spec.environment, variables=variables)
        yield replace(
            job,
            spec=replace(job.spec, environment=environment),
            mounts=tuple(_mounts(found)),
            beside={folder: place.base_sha for folder, place in found.items()},
        )


def _checked_out(job: RunContext, stack: ExitStack, folder: str, told: str) -> Workspace:
    name, _, ref = told.partition("@")
    remote = job.parts.remote_of(name)
    mirror = Mirror(job.parts.mirror.state_dir, remote.url)
    mirror.fetch(remote)
    sha = mirror.resolve(ref or mirror.default_branch(remote))
    job.record.add_event(f"{told} at {sha[:12]} is beside it, as {folder}")
    owner = job.parts.sandbox.owner
    return stack.enter_context(checkout(mirror, sha, f"{job.name}-{folder}", url=remote.url, owner=owner))


def _mounts(found: Mapping[str, Workspace]) -> Iterator[Mount]:
    borrowed = {path for place in found.values() for path in place.objects}
    yield from (Mount(source=path, target=str(path)) for path in sorted(borrowed))
    for folder, place in found.items():
        yield Mount(source=place.path, target=f"{INSIDE}/{folder}")


@contextmanager
def _linked(job: RunContext, found: Mapping[str, Workspace]) -> Iterator[str]:
    """A folder of links, for a sandbox that sees this machine's own paths."""
    links = job.record.folder.absolute() / "repositories"
    safe_fs.remove(links)
    links.mkdir()
    try:
        for folder, place in found.items():
            (links / folder).symlink_to(place.path)
        yield str(links)
    finally:
        safe_fs.remove(links)
