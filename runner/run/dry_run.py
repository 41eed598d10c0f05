"""A description of what a run would do."""

from collections.abc import Iterator

from runner.core.model import RunSpec
from runner.publish.outputs import OUTPUTS


def preview_lines(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """The plan in lines, each a name and a value."""
    environment, limits, allowed = spec.environment, spec.limits, spec.allowance
    yield "skill", f"{spec.skill.name} ({spec.skill.commit or 'not committed'})"
    yield "started by", f"{spec.trigger.kind} {spec.trigger.subject}".rstrip()
    yield "base", f"{spec.base_ref} at {spec.base_sha} of {spec.repository.name}"
    yield "harness", f"{spec.harness.kind} {spec.harness.model or ''}".rstrip()
    made_of = environment.image or environment.dockerfile or environment.devcontainer
    yield "sandbox", f"{environment.sandbox} {made_of}".rstrip()
    yield "secrets", ", ".join(environment.secrets) or "none"
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
    yield (
        "allowed out",
        f"{', '.join(allowed.paths)}: {allowed.max_files} files, {allowed.max_patch_bytes:,} bytes",
    )
    permitted = ("symlinks", "submodules", "mode_changes", "binaries", "deletions")
    yield "also", ", ".join(name for name in permitted if getattr(allowed, name)) or "nothing more"
