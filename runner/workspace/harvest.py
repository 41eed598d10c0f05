"""Reads what an agent left in its workspace as data: a list of changes, a tree, a patch.

Git never runs in the agent's tree. We scan it ourselves, read changed files as plain bytes, and let git
build a tree from these bytes in a private repository. A path that cannot or must not be read is listed with
the reason, for the policy to refuse. Content is read byte for byte, and stored as `git add` would.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.globs import fold
from runner.core.model import Allowance, DeclaredOutput, FileChange, Phase, Proposal, Reason
from runner.workspace import git_index
from runner.workspace.attributes import LFS_MESSAGE, Pointer, edits_as_added, has_attributes, pointers
from runner.workspace.baseline import NO_SETUP, Baseline
from runner.workspace.changeset import Changeset, Edit
from runner.workspace.checkout import Workspace
from runner.workspace.git_index import SUBMODULE, SYMLINK, IndexEntry
from runner.workspace.gitignore import IgnoreRules
from runner.workspace.scan import ScanResult, scan

_MAX_CHANGES = 10_000  # listed
_MAX_TOTAL = 128 * 1024**2  # bytes of content read

# What git-update-index(1) refuses as a part of a path, with core.protectHFS and core.protectNTFS: `.git`,
# also with code points that HFS+ ignores, and as NTFS would shorten or extend it.
_HFS_IGNORES = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_LIKE_GIT = re.compile(r"(\.git|git~1)[ .]*($|[:\\])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """The result. `tree_sha` is an object of the changeset; outside of it only `patch` is needed."""

    base_sha: str
    tree_sha: str
    changes: tuple[FileChange, ...]
    patch: bytes
    truncated: str = ""
    left_out: tuple[str, ...] = ()  # what was left and is not in it, with the cause

    def proposal(self, declared: tuple[DeclaredOutput, ...] = (), summary: str = "") -> Proposal:
        return Proposal(
            base_sha=self.base_sha,
            tree_sha=self.tree_sha,
            changes=self.changes,
            patch_sha256=hashlib.sha256(self.patch).hexdigest(),
            patch_bytes=len(self.patch),
            declared=declared,
            summary=summary,
            truncated=self.truncated,
            left_out=self.left_out,
        )


def harvest(
    workspace: Workspace, allowance: Allowance, changeset: Changeset, baseline: Baseline = NO_SETUP
) -> Harvest:
    """Read what differs from the base in `workspace`, and was not left so by set-up.

    Raises RunnerError only for errors of our own.
    """
    before = git_index.read(workspace.index, workspace.base_sha)
    with safe_fs.os_errors(Phase.PROPOSAL):
        with tempfile.TemporaryDirectory(dir=workspace.folder) as scratch:
            walked = scan(
                workspace.path, before, IgnoreRules(Path(scratch), changeset.directory), baseline.nested
            )
        walked = baseline.changes_since(workspace.path, walked)
        lfs = pointers(changeset, before, walked.changed_files)
        collected = _collect(workspace.path, before, walked, allowance, baseline.deleted, lfs)
    if has_attributes((*before, *walked.changed_files)):
        _apply_attributes(collected, workspace.base_sha, before, changeset)
    collected.changes = list(_with_twins(collected.changes, before))
    return _built(workspace.base_sha, collected, changeset)


@dataclass(slots=True)
class _Collected:
    changes: list[FileChange] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    truncated: str = ""
    taken: int = 0  # bytes of content


def _collect(
    root: Path,
    before: Mapping[str, IndexEntry],
    walked: ScanResult,
    allowance: Allowance,
    gone_before: Collection[str],
    lfs: Mapping[str, Pointer],
) -> _Collected:
    found = _Collected(truncated=walked.truncated)
    gone = [] if walked.truncated else [path for path in _gone(before, walked) if path not in gone_before]
    paths = sorted((*walked.changed_files, *gone))
    top = safe_fs.open_root(root)
    try:
        for path in paths:
            if len(found.changes) >= _MAX_CHANGES:
                found.truncated = f"more than {_MAX_CHANGES:,} paths differ: the rest is not listed"
                break
            now = walked.changed_files.get(path)
            _take(found, top, path, before.get(path), now, allowance, lfs.get(path))
    finally:
        os.close(top)
    found.changes += _folders(before, walked)
    return found


def _with_twins(changes: Sequence[FileChange], before: Mapping[str, IndexEntry]) -> Iterator[FileChange]:
    """Added files know the unchanged path, if any, that would be the same file on macOS and Windows."""
    changed = {change.path for change in changes}
    there: dict[str, str] = {}
    if any(change.change == "added" for change in changes):
        there = {fold(path): path for path in before if path not in changed}
    for change in changes:
        twin = there.get(fold(change.path), "") if change.change == "added" else ""
        yield replace(change, twin=twin) if twin else change


def _gone(before: Mapping[str, IndexEntry], walked: ScanResult) -> list[str]:
    """The deleted paths, except those below an unreadable folder."""
    hidden = tuple(f"{folder}/" if folder else "" for folder in walked.unreadable)
    return [path for path in before if path not in walked.present_paths and not path.startswith(hidden)]


def _take(
    found: _Collected,
    top: int,
    path: str,
    was: IndexEntry | None,
    now: os.stat_result | None,
    allowance: Allowance,
    pointer: Pointer | None,
) -> None:
    """Add the change of one path, if it differs, and its edit."""
    if now is None:
        found.changes.append(_deleted(path, was))
        found.edits.append(Edit(path))
        return
    limit = min(allowance.max_file_bytes, _MAX_TOTAL - found.taken)
    change, content = _read(top, path, was, now, limit, pointer)
    if change is None:
        return
    found.changes.append(change)
    if content is not None:
        found.edits.append(Edit(path, change.mode, content))
        found.taken += len(content)


def _read(
    top: int,
    path: str,
    was: IndexEntry | None,
    now: os.stat_result,
    limit: int,
    pointer: Pointer | None,
) -> tuple[FileChange | None, bytes | None]:
    """(change, content) of an existing path; (None, None) when its content is unchanged."""
    change = _described(path, was, now)
    if change.kind == "special":
        return replace(change, omitted="it is a pipe, socket or device"), None
    if any(_LIKE_GIT.match(_HFS_IGNORES.sub("", part)) for part in path.split("/")):
        return replace(change, omitted="git does not allow this name"), None
    folder, name = os.path.split(path)
    try:
        here = safe_fs.open_folder(top, folder.split("/") if folder else [])
        try:
            if was is not None and (_same(here, name, was, now) or _pulled(here, name, was, now, pointer)):
                return None, None
            return _content(here, name, change, limit)
        finally:
            os.close(here)
    except OSError as error:
        return replace(change, omitted=error.strerror or str(error)), None


def _described(path: str, was: IndexEntry | None, now: os.stat_result) -> FileChange:
    mode = git_index.git_mode(now.st_mode)
    return FileChange(
        path=path,
        change="added" if was is None else "modified",
        kind="special" if mode == 0 else "symlink" if mode == SYMLINK else "file",
        mode=mode,
        old_mode=was.mode if was else 0,
        size=now.st_size,
    )


def _same(here: int, name: str, was: IndexEntry, now: os.stat_result) -> bool:
    """Whether a path still has its old content; this reads at most the old size."""
    if git_index.git_mode(now.st_mode) != was.mode or now.st_size != was.size:
        return False
    hasher = git_index.blob_hasher(was.sha, now.st_size)
    if was.mode == SYMLINK:
        hasher.update(os.fsencode(os.readlink(name, dir_fd=here)))
    else:
        for chunk in safe_fs.chunks(here, name, now.st_size):
            hasher.update(chunk)
    return hasher.hexdigest() == was.sha


def _pulled(here: int, name: str, was: IndexEntry, now: os.stat_result, pointer: Pointer | None) -> bool:
    """Whether a file is what its pointer names: Git LFS has put the content in the pointer's place."""
    if pointer is None or now.st_size != pointer.size or git_index.git_mode(now.st_mode) != was.mode:
        return False
    total = hashlib.sha256()
    for chunk in safe_fs.chunks(here, name, now.st_size):
        total.update(chunk)
    return total.hexdigest() == pointer.sha256


def _content(here: int, name: str, change: FileChange, limit: int) -> tuple[FileChange, bytes | None]:
    if change.kind == "symlink":
        target = os.readlink(name, dir_fd=here)
        return replace(change, target=target), os.fsencode(target)
    return change, safe_fs.read_file(here, name, limit)


def _deleted(path: str, was: IndexEntry | None) -> FileChange:
    old = was.mode if was else 0
    kind = "symlink" if old == SYMLINK else "submodule" if old == SUBMODULE else "file"
    return FileChange(path=path, change="deleted", kind=kind, mode=0, old_mode=old)  # type: ignore[arg-type]


def _folders(before: Mapping[str, IndexEntry], walked: ScanResult) -> Iterator[FileChange]:
    """Changes for folders without content: nested repositories, and unreadable folders."""
    for path in sorted(walked.nested):
        change = "modified" if path in before else "added"
        why = "it is a repository of its own"
        yield FileChange(path=path, change=change, kind="submodule", mode=SUBMODULE, omitted=why)  # type: ignore[arg-type]
    for path, why in sorted(walked.unreadable.items()):
        yield FileChange(path=path or ".", change="modified", omitted=f"the folder cannot be read: {why}")


def _apply_attributes(
    found: _Collected, base: str, before: Mapping[str, IndexEntry], changeset: Changeset
) -> None:
    """Store each file as `git add` would, leave out what then equals the base, and name what LFS keeps."""
    try:
        tree = changeset.write(base, found.edits)
    except RunnerError:
        return  # `_built` says what git refuses
    as_added = list(edits_as_added(changeset, tree, found.edits))
    lfs = {edit.path for edit, now in zip(found.edits, as_added, strict=True) if now is None}
    kept = [edit for edit in as_added if edit is not None]
    same = {edit.path for edit in kept if edit.path in before and _is_blob(edit, before[edit.path])}
    found.edits = [edit for edit in kept if edit.path not in same]
    found.changes = [
        replace(change, omitted=LFS_MESSAGE) if change.path in lfs else change
        for change in found.changes
        if change.path not in same
    ]


def _is_blob(edit: Edit, was: IndexEntry) -> bool:
    if edit.content is None or edit.mode != was.mode:
        return False
    hasher = git_index.blob_hasher(was.sha, len(edit.content))
    hasher.update(edit.content)
    return hasher.hexdigest() == was.sha


def _built(base: str, collected: _Collected, changeset: Changeset) -> Harvest:
    """Let git make a tree and a patch of the edits, and check that the patch makes the same tree."""
    made, patch, refused = changeset.tree_of(base), b"", ""
    try:
        made = changeset.write(base, collected.edits)
        patch = changeset.patch(base, made)
        if changeset.apply(base, patch) != made:
            refused = "the patch does not make the tree that it was made from"
    except RunnerError as error:
        if error.reason not in (Reason.GIT_FAILED, Reason.CONFLICT):
            raise
        refused = f"git refuses the changes: {error}"
    return Harvest(
        base_sha=base,
        tree_sha=made,
        changes=tuple(_counted(collected.changes, base, made, changeset)),
        patch=patch,
        truncated=collected.truncated or refused,
    )


def _counted(
    changes: Iterable[FileChange], base: str, made: str, changeset: Changeset
) -> Iterator[FileChange]:
    stats = changeset.stats(base, made)
    for change in changes:
        counted = stats.get(change.path)
        if counted is None or change.omitted:
            yield change
        elif counted.additions is None or counted.deletions is None:
            yield replace(change, binary=True)
        else:
            yield replace(change, additions=counted.additions, deletions=counted.deletions)
