"""The image, the workspace and the sandbox of an attempt."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from runner.clients.stdio import Clock
from runner.core import safe_fs
from runner.core.globs import matches
from runner.core.model import Phase
from runner.run.context import RunContext
from runner.run.stages import gateway, image
from runner.run.stages.setup import SetupResult, find_setup_result
from runner.sandboxes import Mount, Sandbox, SandboxSpec
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace
from runner.workspace.checkout import open_workspace as prepared_workspace

OWN_PULL_REQUESTS = "own_pull_requests"
"""In place of a branch: the pull requests whose heads are branches of the repository."""

_EXTRA_LIFETIME = 15 * 60.0  # seconds that a container may outlive all limits of what runs in it


def resolve_image(context: RunContext) -> RunContext:
    """Build or pull the image, and record its digest."""
    with context.record.stage(Phase.SANDBOX):
        asked = context.spec.environment.image
        image.check_image_name(context.parts.sandbox, context.spec)
        context = _with_program(image.resolve_reference(context))
        reference = image.pin(context)
        digest = context.parts.sandbox.resolve(reference, context.record.add_event)
        if asked:
            image.note_move(context, asked, digest)
    context.record.store.set_facts(context.record.run_id, image_digest=digest)
    return replace(context, image_digest=digest)


def _with_program(context: RunContext) -> RunContext:
    """The context with its harness's program, installed on this machine if the configuration asks for it."""
    if (install := context.parts.install) is None:
        return context
    program = install.install(context.record.add_event)
    return replace(context, options=replace(context.options, program=program))


def find_setup(context: RunContext) -> SetupResult | None:
    """The result of an earlier set-up for the base's files, if it is kept."""
    with context.record.stage(Phase.SETUP):
        return find_setup_result(context, context.parts.mirror.git, context.spec.setup_sha)


@contextmanager
def open_changeset(context: RunContext) -> Iterator[Changeset]:
    """A repository of git's own for the change. It may contain what must not be kept, so it is removed."""
    folder = context.record.folder / "changeset.git"
    safe_fs.remove(folder)
    try:
        yield Changeset(folder, context.parts.mirror.objects)
    finally:
        safe_fs.remove(folder)


@contextmanager
def open_workspace(context: RunContext, change: Path | None = None) -> Iterator[Workspace]:
    """A workspace for the base, which `open_sandbox` fills; verification applies `change` to it."""
    spec, name = context.spec, context.name + ("-verify" if change else "")
    done = prepared_workspace(
        context.parts.mirror,
        spec.setup_sha,
        name,
        owner=context.parts.sandbox.owner,
        change=change,
        file_time=context.options.file_time,
        heads={} if change else _further_heads(context),
    )
    message = f"{spec.tree or spec.base_ref} at {spec.base_sha[:12]}"
    with ExitStack() as stack:
        with context.record.stage(Phase.CHECKOUT, message):
            opened = stack.enter_context(done)
        yield opened


def _further_heads(context: RunContext) -> dict[str, str]:
    """What `environment.fetch` names besides branches, which git in the workspace knows all."""
    wanted, mirror = context.spec.environment.fetch, context.parts.mirror
    heads: dict[str, str] = {}
    for one in wanted:
        if one == OWN_PULL_REQUESTS:
            found = mirror.own_pull_requests(context.parts.forge.remote())
            heads |= {f"pull/{number}": sha for number, sha in found.items()}
            context.record.add_event(
                f"git knows {len(found)} pull requests of this repository, as origin/pull/N"
            )
        elif not any(matches(branch, (one,)) for branch in mirror.branches()):
            context.record.add_event(f"`environment.fetch` names {one}, and no branch is called so")
    return heads


@contextmanager
def open_sandbox(
    context: RunContext,
    place: Workspace,
    kept: SetupResult | None = None,
    purpose: Literal["run", "verify"] = "run",
) -> Iterator[Sandbox]:
    """Open a sandbox over a workspace, and fill the workspace meanwhile.

    Only the sandbox of the harness has the harness's program, and a gateway.
    """
    context.parts.stop()
    environment, limits = context.spec.environment, context.spec.limits
    exchange = place.exchange
    exchange.mkdir()
    borrowed = (Mount(source=path, target=str(path)) for path in place.objects)
    opened = SandboxSpec(
        run_id=context.record.run_id,
        attempt=context.attempt,
        worker=context.options.worker,
        purpose=purpose,
        image=context.image_digest or environment.image,
        workspace=place.path,
        exchange=exchange,
        mounts=(*borrowed, *context.mounts, *_tools(context, purpose), *(kept.mounts() if kept else ())),
        variables=environment.variables,
        resources=environment.resources,
        setup_network=bool(environment.setup) and not (kept and kept.exists),
        stop=context.check_stop if purpose == "run" else context.check_time,
        clock=context.mailbox.clock if purpose == "run" else Clock(),
        gateway=gateway.is_needed(context) if purpose == "run" else gateway.is_needed_for_setup(context),
        helper=context.options.helper_image,
        lifetime=limits.timeout * (1 + len(environment.setup) + len(context.spec.verify)) + _EXTRA_LIFETIME,
    )
    with ExitStack() as stack:
        with context.record.stage(Phase.SANDBOX), _in_thread(place.fill):
            made = stack.enter_context(context.parts.sandbox.open(opened))
        yield made


@contextmanager
def _in_thread(work: Callable[[], None]) -> Iterator[None]:
    """Run `work` in a thread beside the body, and wait for it, whatever happens."""
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(work)
        yield
    going.result()


def _tools(context: RunContext, purpose: str) -> Iterator[Mount]:
    parts, program = context.parts, context.options.program
    if purpose == "run" and program is not None and parts.sandbox.tools:
        yield from program.mounts(parts.harness.program or program.file.name, parts.sandbox.tools)
