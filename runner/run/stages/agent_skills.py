"""Further skills of the repository, put where agents look for their user's skills.

Codex, Gemini CLI, OpenCode, Qwen Code and Copilot CLI look below `~/.agents/skills`, Claude Code looks below
`~/.claude/skills`, according to their documentation.
"""

from pathlib import PurePosixPath

from runner.clients.git import Git, blobs, entries
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.run.context import RunContext
from runner.sandboxes import Sandbox

_FOLDERS = (".agents/skills", ".claude/skills")
_PLAIN_MODES = {0o100644: 0o644, 0o100755: 0o755}
_MAX_BYTES = 16 * 1024**2  # bytes of all of them


def install_skills(context: RunContext, box: Sandbox) -> None:
    """Put the skills that `environment.skills` names into the home. They lie beside the skill's own folder.

    They come from the same commit as the skill's own text. Raises RunnerError SKILL_NOT_FOUND.
    """
    spec = context.spec
    if not spec.environment.skills:
        return
    git, commit = (
        Git(context.parts.mirror.directory, phase=Phase.HARNESS),
        spec.skill.commit or spec.setup_sha,
    )
    above = PurePosixPath(spec.skill.path).parent
    for name in spec.environment.skills:
        _put(git, commit, above / name, box)


def _put(git: Git, commit: str, folder: PurePosixPath, box: Sandbox) -> None:
    found = entries(git, commit, [str(folder)], sizes=True)
    plain = {path: entry for path, entry in found.items() if entry.mode in _PLAIN_MODES}
    if f"{folder}/SKILL.md" not in plain:
        raise _missing(
            f"`environment.skills` names {folder.name}, and {commit[:12]} has no {folder}/SKILL.md"
        )
    if (size := sum(entry.size for entry in plain.values())) > _MAX_BYTES:
        raise _missing(f"the skill {folder} has {size:,} bytes, more than {_MAX_BYTES:,}")
    contents = dict(blobs(git, {entry.sha for entry in plain.values()}))
    for path, entry in plain.items():
        inside = PurePosixPath(path).relative_to(folder.parent)
        for home in _FOLDERS:
            box.put(f"home/{home}/{inside}", contents[entry.sha], _PLAIN_MODES[entry.mode])


def _missing(message: str) -> RunnerError:
    hint = "name folders that lie beside the skill's own, with a SKILL.md, and commit them"
    return RunnerError(Phase.HARNESS, Reason.SKILL_NOT_FOUND, message, hint=hint)
