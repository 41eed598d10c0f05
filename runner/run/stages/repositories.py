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
def check_out_repositories(context: RunContext) -> Iterator[RunContext]:
    """The context with the repositories that its skill names, each at one commit for as long as this lasts.

    Raises RunnerError: one that may not be read, or that cannot be.
    """
    wanted = context.spec.environment.repositories
    if not wanted:
        yield context
        return
    with ExitStack() as stack:
        found = {}
        for folder, told in wanted.items():
            with context.record.stage(Phase.CHECKOUT):
                found[folder] = _checked_out(context, stack, folder, told)
        where = INSIDE if context.parts.sandbox.tools else stack.enter_context(_linked(context, found))
        variables = {VARIABLE: where, **context.spec.environment.variables}
        environment = replace(context.spec.environment, variables=variables)
        yield replace(
            context,
            spec=replace(context.spec, environment=environment),
            mounts=tuple(_mounts(found)),
            other_repositories={folder: place.base_sha for folder, place in found.items()},
        )


def _checked_out(context: RunContext, stack: ExitStack, folder: str, told: str) -> Workspace:
    name, _, ref = told.partition("@")
    remote = context.parts.remote_of(name)
    mirror = Mirror(context.parts.mirror.state_dir, remote.url)
    mirror.fetch(remote)
    sha = mirror.resolve(ref or mirror.default_branch(remote))
    context.record.add_event(f"{told} at {sha[:12]} is beside it, as {folder}")
    owner = context.parts.sandbox.owner
    return stack.enter_context(checkout(mirror, sha, f"{context.name}-{folder}", url=remote.url, owner=owner))


def _mounts(found: Mapping[str, Workspace]) -> Iterator[Mount]:
    borrowed = {path for place in found.values() for path in place.objects}
    yield from (Mount(source=path, target=str(path)) for path in sorted(borrowed))
    for folder, place in found.items():
        yield Mount(source=place.path, target=f"{INSIDE}/{folder}")


@contextmanager
def _linked(context: RunContext, found: Mapping[str, Workspace]) -> Iterator[str]:
    """A folder of links, for a sandbox that sees this machine's own paths."""
    links = context.record.folder.absolute() / "repositories"
    safe_fs.remove(links)
    links.mkdir()
    try:
        for folder, place in found.items():
            (links / folder).symlink_to(place.path)
        yield str(links)
    finally:
        safe_fs.remove(links)
