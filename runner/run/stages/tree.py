"""The tree of a run that stands on an event's commit: it comes after set-up, once that is sealed.

Set-up runs on the branch's own files. What tells agents what to do stays the branch's too, whatever the
commit says: of that, the agent sees the difference in git alone.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import replace

from runner.clients.git import blobs, entries
from runner.core.globs import matches
from runner.publish.policy.paths import with_folders
from runner.publish.policy.protected import AGENT_SETTINGS
from runner.run.agent import resume
from runner.run.context import RunContext
from runner.sandboxes import exchange
from runner.workspace import git_index
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace, set_times
from runner.workspace.git_index import SYMLINK


def put_tree(context: RunContext, place: Workspace, changeset: Changeset) -> Workspace:
    """The workspace with the files of the run's commit in place of those that set-up ran on."""
    spec, owner = context.spec, context.parts.sandbox.owner
    if spec.base_sha == spec.setup_sha:
        return place
    tree = _start_tree(context, changeset)
    before = git_index.read(place.index, place.base_sha)
    edits = changeset.edits(place.base_sha, tree)
    resume.apply_edits(edits, place.path, owner)
    written = {edit.path for edit in edits}
    kept = {path: entry for path, entry in before.items() if path not in written}
    if (pinned := context.options.file_time) is not None:
        set_times(place.path, pinned)
        kept = {}
    index = git_index.with_facts(changeset.index(tree), spec.base_sha, place.path, kept)
    place.index.write_bytes(index)
    exchange.put(place.path, ".git/index", index, 0o644, owner)
    exchange.put(place.path, ".git/HEAD", f"{spec.base_sha}\n".encode(), 0o644, owner)
    whose = ", which is a stranger's" if spec.is_strangers else ""
    where = f"{spec.tree or spec.base_ref}, {spec.base_sha[:12]}{whose}"
    context.record.add_event(f"sealed, on {where}; set-up ran on {spec.setup_sha[:12]}")
    return replace(place, base_sha=spec.base_sha)


def _start_tree(context: RunContext, changeset: Changeset) -> str:
    """The tree of the run's commit, with the branch's own settings of agents."""
    spec = context.spec
    settings = tuple(_settings(context))
    differing = changeset.edits(spec.base_sha, spec.setup_sha)
    return changeset.write(
        spec.base_sha, [edit for edit in differing if matches(edit.path, settings, ignore_case=True)]
    )


def _settings(context: RunContext) -> Iterator[str]:
    """Globs of what steers agents, the skill's own folder, and what links of these names lead to."""
    spec, git = context.spec, context.parts.mirror.git
    named = tuple(with_folders((*AGENT_SETTINGS, "**/SKILL.md", "**/skill.yaml", f"{spec.skill.path}/**")))
    yield from named
    found = entries(git, spec.setup_sha)
    links = {
        path: entry.sha
        for path, entry in found.items()
        if entry.mode == SYMLINK and matches(path, named, ignore_case=True)
    }
    targets = dict(blobs(git, {*links.values()})) if links else {}
    for path, sha in links.items():
        target = targets[sha].decode(errors="surrogateescape")
        led = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        yield from (led, f"{led}/**")
