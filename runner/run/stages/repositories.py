"""Other repositories that a skill reads: checkouts beside the workspace, which publish nothing."""

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
    """The context with the repositories that its skill names, each at one commit while the body runs.

    Raises RunnerError when one may not be read, or cannot be.
    """
    wanted = context.spec.environment.repositories
    if not wanted:
        yield context
        return
    with ExitStack() as stack:
        found = {}
        for folder, told in wanted.items():
            with context.record.stage(Phase.CHECKOUT):
                found[folder] = _check_out(context, stack, folder, told)
        where = INSIDE if context.parts.sandbox.tools else stack.enter_context(_link_folder(context, found))
        variables = {VARIABLE: where, **context.spec.environment.variables}
        environment = replace(context.spec.environment, variables=variables)
        yield replace(
            context,
            spec=replace(context.spec, environment=environment),
            mounts=tuple(_mounts(found)),
            other_repositories={folder: place.base_sha for folder, place in found.items()},
        )


def _check_out(context: RunContext, stack: ExitStack, folder: str, told: str) -> Workspace:
    name, _, ref = told.partition("@")
    remote = context.parts.remote_of(name)
    mirror = Mirror(context.parts.mirror.state_dir, remote.url)
    mirror.fetch(remote)
    sha = mirror.resolve(ref or mirror.default_branch(remote))
    context.record.add_event(f"{told} at {sha[:12]} is beside it, as {folder}")
    owner = context.parts.sandbox.owner
    return stack.enter_context(checkout(mirror, sha, f"{context.name}-{folder}", owner=owner))


def _mounts(found: Mapping[str, Workspace]) -> Iterator[Mount]:
    borrowed = {path for place in found.values() for path in place.objects}
    yield from (Mount(source=path, target=str(path)) for path in sorted(borrowed))
    for folder, place in found.items():
        yield Mount(source=place.path, target=f"{INSIDE}/{folder}")


@contextmanager
def _link_folder(context: RunContext, found: Mapping[str, Workspace]) -> Iterator[str]:
    """A folder of links, for a sandbox that uses this machine's own paths."""
    links = context.record.folder.absolute() / "repositories"
    safe_fs.remove(links)
    links.mkdir()
    try:
        for folder, place in found.items():
            (links / folder).symlink_to(place.path)
        yield str(links)
    finally:
        safe_fs.remove(links)
