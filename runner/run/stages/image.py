"""The image of a run whose skill names a Dockerfile or a devcontainer."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from runner.clients.docker import images
from runner.clients.docker.build import Build
from runner.clients.git import Git
from runner.core.errors import RunnerError
from runner.core.locks import lock
from runner.core.model import Phase, Reason, RunSpec
from runner.core.redact import escape_invisible
from runner.run.context import RunContext
from runner.run.environment.context import DOCKERFILE, BuildContext, build_context, read_committed
from runner.run.environment.devcontainer import Devcontainer, parse_devcontainer
from runner.run.trust import is_agreed
from runner.sandboxes import SandboxKind
from runner.sandboxes.docker.options import PLACES

LOG = "image.log"
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")  # a host may be in capitals
_PAUSE = 0.2  # seconds between two checks whether another build of the same image has ended


def check_image_name(sandbox: SandboxKind, spec: RunSpec) -> None:
    """Raise RunnerError INVALID_CONFIG where a sandbox that needs an image gets none, or no name of one."""
    environment = spec.environment
    if not sandbox.tools or environment.dockerfile or environment.devcontainer:
        return
    image = environment.image
    if _IMAGE.fullmatch(image) is None:
        message = f"{image!r} is not the name of an image" if image else "there is no image"
        hint = "write `image: python:3.12-slim` in skillrunner.yaml, or --image python:3.12-slim"
        raise RunnerError(Phase.SANDBOX, Reason.INVALID_CONFIG, message, hint=hint)


def resolve_reference(context: RunContext) -> RunContext:
    """The context with the image's name in its spec; an image with a Dockerfile is built.

    The commands of a devcontainer come before the skill's own, and the skill's variables replace its own.
    """
    environment = context.spec.environment
    if environment.devcontainer:
        found = _devcontainer(context, environment.devcontainer)
        image = environment.image or found.image or _build(context, found.dockerfile, found.context)
        setup = (*found.setup, *environment.setup)
        variables = {**found.variables, **environment.variables}
        environment = replace(environment, image=image, setup=setup, variables=variables)
    elif environment.dockerfile:
        environment = replace(environment, image=_build(context, environment.dockerfile))
    return replace(context, spec=replace(context.spec, environment=environment))


def pin(context: RunContext) -> str:
    """The reference to the run's image: to the content that the configuration names, if it names one."""
    image = context.spec.environment.image
    digest = context.options.image_digests.get(image)
    return images.pinned(image, digest) if digest else image


def note_move(context: RunContext, image: str, digest: str) -> None:
    """Say it when an image of this name was another one in the skill's last run: its tag moved."""
    spec, record = context.spec, context.record
    before = record.store.last_image(spec.repository.name, spec.skill.name)
    if before is None or before[0] != image or before[1] == digest:
        return
    keep = f"`digests: {{{image!r}: {digest.rpartition('@')[2]}}}` in skillrunner.yaml keeps it as it is"
    message = f"the image {image} is another one than in the skill's last run: {before[1]} then, {digest} now"
    record.add_event(f"{message}; {keep}", moved_image=image)


def _devcontainer(context: RunContext, path: str) -> Devcontainer:
    spec, git = context.spec, Git(context.parts.mirror.directory, phase=Phase.SANDBOX)
    content = read_committed(git, spec.skill.commit or spec.setup_sha, path, "environment.devcontainer")
    return parse_devcontainer(path, content, PLACES.workspace)


def _build(context: RunContext, path: str, folder: str = "") -> str:
    spec, mirror = context.spec, context.parts.mirror
    found = build_context(mirror, spec.skill.commit or spec.setup_sha, spec.setup_sha, path, folder)
    wanted = Build(
        key=found.key,
        name=path,
        dockerfile=DOCKERFILE,
        text=found.dockerfile.decode(errors="replace"),
        registries=context.options.build_registries,
        network=_may_reach_network(context, found, path, folder),
        write=found.write,
        resources=spec.environment.resources,
        timeout=spec.environment.build_timeout,
        stop=context.check_stop,
    )
    with (
        _build_lock(mirror.state_dir.absolute() / "images" / f"{found.key}.lock", context.check_stop),
        _log(context) as log,
    ):
        return context.parts.sandbox.build(
            wanted, lambda line: context.record.add_event(escape_invisible(line)), log
        )


def _may_reach_network(context: RunContext, found: BuildContext, path: str, folder: str) -> bool:
    """Whether what a build runs was agreed to, or is the same in the skill's commit.

    A run on an event's commit, or on one that nobody agreed to, builds from the default branch.
    """
    spec, mirror = context.spec, context.parts.mirror
    if spec.trusted_sha:
        return True
    agreed = is_agreed(mirror, spec.repository.default_branch, spec.base_ref, spec.base_sha)
    if agreed or not found.files:
        return True
    trusted = spec.skill.commit
    if trusted and build_context(mirror, trusted, trusted, path, folder).key == found.key:
        return True
    context.record.add_event(f"{path} is built without a network: its files are proposed, and not merged yet")
    return False


@contextmanager
def _log(context: RunContext) -> Iterator[Callable[[str], None]]:
    """A file of the run with the build's output; it is removed when nothing was built."""
    path = context.record.folder / LOG
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:

        def log(line: str) -> None:
            file.write(f"{escape_invisible(line)}\n")

        try:
            yield log
        finally:
            file.flush()
            if path.stat().st_size:
                context.record.register_artifact(LOG, path)
            else:
                path.unlink()


@contextmanager
def _build_lock(path: Path, stop: Callable[[], None]) -> Iterator[None]:
    """Hold the lock for this image, so that nobody else on this machine builds it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(lock(path, wait=False))
                break
            except BlockingIOError:
                stop()
                time.sleep(_PAUSE)
        yield
