"""A description of what a run would do, and of what it would be refused for."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from runner.clients.git import Git, entries
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, RunSpec
from runner.harnesses import HARNESSES
from runner.publish.outputs import OUTPUTS
from runner.run import bootstrap
from runner.run.environment.context import read_committed
from runner.run.launch import NewRun
from runner.run.limits import refuse_beyond_limits
from runner.run.place import Host
from runner.run.stages.image import check_image_name
from runner.sandboxes import SANDBOXES


def refusals(host: Host, start: NewRun, spec: RunSpec) -> Iterator[RunnerError]:
    """What would end the run before its agent starts, as far as that can be known without a sandbox."""
    checks: tuple[Callable[[], object], ...] = (
        host.forge.check_credential,
        lambda: bootstrap.make_parts(host, spec, start.mirror, lambda _: None),
        lambda: bootstrap.make_options(host.place, spec),
        lambda: refuse_beyond_limits(spec, host.forge, datetime.now(UTC)),
        lambda: _check_sandbox(spec),
        lambda: _check_program(host, spec),
        lambda: _check_committed(start, spec),
    )
    told: set[str] = set()
    for check in checks:
        try:
            check()
        except RunnerError as error:
            if error.message not in told:
                yield error
            told.add(error.message)


def _check_sandbox(spec: RunSpec) -> None:
    """Raise RunnerError where the sandbox does not answer, or cannot have the image."""
    kind, image = SANDBOXES.get(spec.environment.sandbox), spec.environment.image
    for line in kind.doctor(image):
        if not line.ok:
            raise RunnerError(Phase.SANDBOX, Reason.ENGINE_FAILED, line.message, hint=line.hint)
    check_image_name(kind, spec)


def _check_program(host: Host, spec: RunSpec) -> None:
    """Raise RunnerError HARNESS_MISSING where the program would be looked for on this machine, and is not."""
    kind, configured = spec.harness.kind, host.place.config.harnesses.get(spec.harness.kind)
    command = spec.harness.options.get("command") or ()
    program = HARNESSES.get(kind).program or (command[0] if command else None)
    is_shown = configured is not None and (configured.binary or configured.version)
    if SANDBOXES.get(spec.environment.sandbox).tools or program is None or is_shown:
        return
    in_workspace = "/" in program and not Path(program).is_absolute()
    if not in_workspace and shutil.which(program, path=os.environ.get("PATH")) is None:
        message = f"{program} is not on PATH of this machine, for the harness {kind}"
        hint = "install it, or choose a sandbox whose image has it: --sandbox docker"
        raise RunnerError(Phase.HARNESS, Reason.HARNESS_MISSING, message, hint=hint)


def _check_committed(start: NewRun, spec: RunSpec) -> None:
    """Raise RunnerError where a file that the skill names is not in its commit."""
    commit, environment = spec.skill.commit or spec.base_sha, spec.environment
    git = Git(start.mirror.directory, phase=Phase.SANDBOX)
    for key, path in (("dockerfile", environment.dockerfile), ("devcontainer", environment.devcontainer)):
        if path:
            read_committed(git, commit, path, f"environment.{key}")
    above = spec.skill.path.rpartition("/")[0]
    for name in environment.skills:
        file = f"{above}/{name}/SKILL.md" if above else f"{name}/SKILL.md"
        if file not in entries(git, commit, [file]):
            message = f"`environment.skills` names {name}, and {commit[:12]} has no {file}"
            hint = "name folders that lie beside the skill's own, with a SKILL.md, and commit them"
            raise RunnerError(Phase.HARNESS, Reason.SKILL_NOT_FOUND, message, hint=hint)


def preview_lines(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """The plan in lines, each a name and a value."""
    environment, limits, allowed = spec.environment, spec.limits, spec.allowance
    yield "skill", f"{spec.skill.name} ({spec.skill.commit or 'not committed'})"
    yield "started by", f"{spec.trigger.kind} {spec.trigger.subject}".rstrip()
    yield "base", f"{spec.base_ref} at {spec.base_sha} of {spec.repository.name}"
    if spec.trusted_sha:
        whose = ", a stranger's" if spec.is_strangers else ""
        yield "tree", f"{spec.tree or spec.base_ref}{whose}; set-up on {spec.setup_sha}"
    yield "harness", f"{spec.harness.kind} {spec.harness.model or ''}".rstrip()
    made_of = environment.image or environment.dockerfile or environment.devcontainer
    yield "sandbox", f"{environment.sandbox} {made_of}".rstrip()
    none = f"none, and no hosts but the model's: {spec.strangers}" if spec.is_strangers else "none"
    yield "secrets", ", ".join(environment.secrets) or none
    if environment.repositories:
        yield "reads", ", ".join(environment.repositories.values())
    if given := (*spec.tools, *(server.name for server in environment.mcp)):
        yield "tools", ", ".join(given)
    yield "limits", f"{limits.timeout:.0f} s, {limits.idle:.0f} s idle, {limits.attempts} attempts"
    yield "set-up", "; ".join(environment.setup) or "none"
    yield "verify", "; ".join(spec.verify) or "nothing"
    for output in spec.outputs:
        yield "output", output.kind.replace("_", " ")
        yield from OUTPUTS.get(output.kind).preview(spec, output)
    if not allowed.paths:
        yield "allowed out", "no changed files: no output of this skill publishes any"
        return
    room = f"{', '.join(allowed.paths)}: {allowed.max_files} files, {allowed.max_patch_bytes:,} bytes"
    is_public = any(OUTPUTS.get(output.kind).publishes for output in spec.outputs)
    yield "allowed out", room if is_public else f"nothing is published; the run keeps {room}"
    permitted = ("symlinks", "submodules", "mode_changes", "binaries", "deletions")
    yield "also", ", ".join(name for name in permitted if getattr(allowed, name)) or "nothing more"
