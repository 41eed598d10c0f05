"""The skill's own folder in a run's workspace: as it was read, whatever the run's commit has there.

What is not committed comes along, and what another branch has in another version. It lies there before the
baseline is taken, so it is no change of the run.
"""

from collections.abc import Mapping

from runner.clients.git import Git, blobs, entries
from runner.core.model import Phase
from runner.run.agent import resume
from runner.run.context import RunContext
from runner.workspace.changeset import Edit
from runner.workspace.checkout import Workspace

_MODES = (0o100644, 0o100755)


def skill_edits(context: RunContext) -> list[Edit]:
    """What makes the folder of the skill in a checkout of the base what was read; empty: it is that."""
    spec, git = context.spec, Git(context.parts.mirror.directory, phase=Phase.CHECKOUT)
    there = {
        path: (one.mode, one.sha) for path, one in entries(git, spec.setup_sha, [spec.skill.path]).items()
    }
    given = context.options.skill_files
    if given is None:
        commit = spec.skill.commit or spec.setup_sha
        known = git.run("cat-file", "-e", f"{commit}^{{commit}}", ok=(0, 1, 128)).code == 0
        return _committed(git, commit, spec.skill.path, there) if known and commit != spec.setup_sha else []
    contents = dict(blobs(git, {sha for mode, sha in there.values() if mode in _MODES}))
    here = {path: (mode, contents.get(sha)) for path, (mode, sha) in there.items()}
    gone = [Edit(path) for path, (mode, _) in here.items() if path not in given and mode in _MODES]
    return gone + [Edit(path, *one) for path, one in sorted(given.items()) if here.get(path) != one]


def _committed(git: Git, commit: str, folder: str, there: Mapping[str, tuple[int, str]]) -> list[Edit]:
    found = {path: (one.mode, one.sha) for path, one in entries(git, commit, [folder]).items()}
    plain = {path: one for path, one in found.items() if one[0] in _MODES and there.get(path) != one}
    contents = dict(blobs(git, {sha for _, sha in plain.values()}))
    gone = [Edit(path) for path, (mode, _) in there.items() if path not in found and mode in _MODES]
    return gone + [Edit(path, mode, contents[sha]) for path, (mode, sha) in sorted(plain.items())]


def put_skill(context: RunContext, place: Workspace, edits: list[Edit]) -> None:
    """Make the edits of `skill_edits`, and say so."""
    if edits:
        resume.apply_edits(edits, place.path, context.parts.sandbox.owner)
        files = "1 file" if len(edits) == 1 else f"{len(edits)} files"
        context.record.add_event(f"{files} of {context.spec.skill.path} lie there as the skill was read")
