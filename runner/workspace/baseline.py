"""What set-up left in a workspace, recorded before the agent starts: none of it is the agent's change.

Set-up may fill submodules, pull files from Git LFS, write lock files. Without this record all of that would
count as changed. As in `harvest`, git does not run in the workspace, and no link is followed.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.core import safe_fs
from runner.core.model import Phase
from runner.workspace import git_index
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace
from runner.workspace.git_index import IndexEntry
from runner.workspace.gitignore import IgnoreRules
from runner.workspace.scan import ScanResult, parent_folders, scan

_MAX_READ = 256 * 1024**2  # bytes whose digests are kept; beyond them the file system's facts have to do
_MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class FileState:
    """How a path looked after set-up: the file system's facts, and a digest where it was read."""

    mode: int
    size: int
    inode: int
    ctime: int  # nanoseconds; only the kernel sets it
    mtime: int
    digest: str = ""

    def has_facts(self, now: os.stat_result) -> bool:
        facts = (self.mode, self.size, self.inode, self.ctime, self.mtime)
        return facts == (now.st_mode, now.st_size, now.st_ino, now.st_ctime_ns, now.st_mtime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The differences between the base and the workspace after set-up. Empty: set-up made none."""

    files: Mapping[str, FileState] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()
    nested: frozenset[str] = frozenset()  # folders with a repository of their own, and filled submodules
    closed: frozenset[str] = frozenset()  # those of them in which the base tracks no file
    unreadable: frozenset[str] = frozenset()

    def changes_since(self, root: Path, walked: ScanResult) -> ScanResult:
        """The scan without what set-up left and nobody has changed since."""
        if self == NO_SETUP:
            return walked
        differing = dict(_differing(root, self, walked.changed_files))
        inside = {self._owner(path) for path in (*differing, *(self.files.keys() - walked.changed_files))}
        return replace(
            walked,
            changed_files={path: now for path, now in differing.items() if not self._owner(path)},
            nested={path for path in walked.nested if path not in self.nested} | (inside - {""}),
            unreadable={at: why for at, why in walked.unreadable.items() if at not in self.unreadable},
        )

    def _owner(self, path: str) -> str:
        """The nested repository that a path lies in; empty: none."""
        while "/" in path:
            path = path.rpartition("/")[0]
            if path in self.closed:
                return path
        return ""


NO_SETUP = Baseline()


def take_baseline(workspace: Workspace, changeset: Changeset) -> Baseline:
    """Record what set-up left in `workspace`."""
    before = git_index.read(workspace.index, workspace.base_sha)
    with safe_fs.os_errors(Phase.SETUP):
        with tempfile.TemporaryDirectory(dir=workspace.folder) as scratch:
            walked = scan(workspace.path, before, IgnoreRules(Path(scratch), changeset.directory), None)
        return Baseline(
            files=dict(_states(workspace.path, walked.changed_files)),
            deleted=frozenset() if walked.truncated else frozenset(before.keys() - walked.present_paths),
            nested=frozenset(walked.nested),
            closed=frozenset(walked.nested - parent_folders(before)),
            unreadable=frozenset(_without_tracked(walked.unreadable, before)),
        )


def _without_tracked(folders: Iterable[str], before: Mapping[str, IndexEntry]) -> Iterator[str]:
    """The folders with nothing of the repository in them."""
    for folder in folders:
        if folder and not any(path.startswith(f"{folder}/") for path in before):
            yield folder


def _states(root: Path, files: Mapping[str, os.stat_result]) -> Iterator[tuple[str, FileState]]:
    left, top = _MAX_READ, safe_fs.open_root(root)
    try:
        for count, (path, now) in enumerate(files.items()):
            state = FileState(now.st_mode, now.st_size, now.st_ino, now.st_ctime_ns, now.st_mtime_ns)
            if count < _MAX_FILES and now.st_size <= left:
                left -= now.st_size
                state = replace(state, digest=_digest(top, path, now))
            yield path, state
    finally:
        os.close(top)


def _differing(
    root: Path, baseline: Baseline, files: Mapping[str, os.stat_result]
) -> Iterator[tuple[str, os.stat_result]]:
    top = safe_fs.open_root(root)
    try:
        for path, now in files.items():
            was = baseline.files.get(path)
            if was is None or not (was.has_facts(now) or _has_content(top, path, was, now)):
                yield path, now
    finally:
        os.close(top)


def _has_content(top: int, path: str, was: FileState, now: os.stat_result) -> bool:
    kept = git_index.git_mode(was.mode) == git_index.git_mode(now.st_mode) and was.size == now.st_size
    return bool(was.digest) and kept and _digest(top, path, now) == was.digest


def _digest(top: int, path: str, now: os.stat_result) -> str:
    """The SHA-256 of a file's or link's content; empty where it cannot be read."""
    folder, name = os.path.split(path)
    try:
        here = safe_fs.open_folder(top, folder.split("/") if folder else [])
        try:
            if git_index.git_mode(now.st_mode) == git_index.SYMLINK:
                return hashlib.sha256(os.fsencode(os.readlink(name, dir_fd=here))).hexdigest()
            total = hashlib.sha256()
            for chunk in safe_fs.chunks(here, name, now.st_size):
                total.update(chunk)
            return total.hexdigest()
        finally:
            os.close(here)
    except OSError:
        return ""
