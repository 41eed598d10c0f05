"""Compares a tree with its earlier state, level by level, without reading a file."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.core import safe_fs
from runner.workspace.git_index import SUBMODULE, IndexEntry
from runner.workspace.gitignore import IgnoreRules

_DEPTH = 100  # folders in one another
_LENGTH = 3000  # bytes of a path, so that git and the system can name it too
_NEW_ENTRIES = 200_000  # that are looked at


@dataclass(slots=True)
class ScanResult:
    """The differences by the file system's facts; contents are not compared yet."""

    changed_files: dict[str, os.stat_result] = field(
        default_factory=dict
    )  # new files, and files whose facts changed
    nested: set[str] = field(default_factory=set)  # folders with a repository of their own inside
    unreadable: dict[str, str] = field(default_factory=dict)  # folder -> reason
    present_paths: set[str] = field(default_factory=set)  # the paths of `before` that still exist
    truncated: str = ""


def scan(
    root: Path,
    before: Mapping[str, IndexEntry],
    ignored: IgnoreRules,
    enter: Collection[str] | None = (),
) -> ScanResult:
    """Compare the tree at `root` with `before`. The `.git` of the root itself is not looked at.

    `enter` names the nested repositories whose files are looked at too; None: all of them.
    """
    top = safe_fs.open_root(root)
    try:
        state = _Walk(top, before, parent_folders(before), ignored, enter)
        level = [""]
        while level and not state.found.truncated:
            level = state.descend(level)
        return state.found
    finally:
        os.close(top)


def parent_folders(before: Iterable[str]) -> set[str]:
    """Every folder above one of the paths."""
    found: set[str] = set()
    for path in before:
        while "/" in path and (path := path.rsplit("/", 1)[0]) not in found:
            found.add(path)
    return found


@dataclass(slots=True)
class _Walk:
    top: int
    before: Mapping[str, IndexEntry]
    folders: set[str]  # that hold paths of `before`
    ignored: IgnoreRules
    enter: Collection[str] | None
    found: ScanResult = field(default_factory=ScanResult)
    new: int = 0

    def descend(self, level: list[str]) -> list[str]:
        """Scan the folders of one level; return those of the next."""
        below: list[str] = []
        files: dict[str, os.stat_result] = {}
        folders: list[str] = []
        for folder in level:
            for path, now in self._entries(folder):
                if stat.S_ISDIR(now.st_mode):
                    if self._submodule(path):
                        below += [path] if self._is_open_submodule(path) else []
                    else:
                        (below if path in self.folders else folders).append(path)
                elif path in self.before:
                    self._known(path, now)
                else:
                    files[path] = now
        left_out = self.ignored.ignored_paths(files, folders)
        self.found.changed_files.update((path, now) for path, now in files.items() if path not in left_out)
        return below + [folder for folder in folders if folder not in left_out]

    def _entries(self, folder: str) -> list[tuple[str, os.stat_result]]:
        try:
            return self._listed(folder)
        except OSError as error:
            self.found.unreadable[folder] = error.strerror or str(error)
            return []

    def _listed(self, folder: str) -> list[tuple[str, os.stat_result]]:
        parts = folder.split("/") if folder else []
        if len(parts) > _DEPTH or len(os.fsencode(folder)) > _LENGTH:
            raise OSError(0, "it lies too deep")
        here = safe_fs.open_folder(self.top, parts)
        try:
            found = self._scanned(here, folder)
            if any(path.rpartition("/")[2] == ".gitignore" for path, _ in found):
                self.ignored.add_file(folder, here)
            return found
        finally:
            os.close(here)

    def _scanned(self, here: int, folder: str) -> list[tuple[str, os.stat_result]]:
        prefix = f"{folder}/" if folder else ""
        found = []
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.name == ".git":
                    if folder and self._nested(folder):
                        return []
                    continue
                path = prefix + entry.name
                self.new += path not in self.before
                if self.new > _NEW_ENTRIES:
                    self.found.truncated = f"there are more than {_NEW_ENTRIES:,} new files and folders"
                    return []
                found.append((path, entry.stat(follow_symlinks=False)))
        return found

    def _nested(self, folder: str) -> bool:
        """Whether a folder stays closed: git takes a nested repository as one entry unless it tracks files
        in it.
        """
        self.found.nested.add(folder)
        return folder not in self.folders and not self._enters(folder)

    def _enters(self, folder: str) -> bool:
        return self.enter is None or folder in self.enter

    def _submodule(self, path: str) -> bool:
        return path in self.before and self.before[path].mode == SUBMODULE

    def _is_open_submodule(self, path: str) -> bool:
        """Whether the folder of a submodule, which our checkout left empty, has files to look at."""
        self.found.present_paths.add(path)
        try:
            here = safe_fs.open_folder(self.top, path.split("/"))
            try:
                filled = bool(os.listdir(here))  # noqa: PTH208 - a descriptor has no path
            finally:
                os.close(here)
        except OSError as error:
            self.found.unreadable[path] = error.strerror or str(error)
            return False
        if filled:
            self.found.nested.add(path)
        return filled and self._enters(path)

    def _known(self, path: str, now: os.stat_result) -> None:
        self.found.present_paths.add(path)
        if not self.before[path].is_untouched(now):
            self.found.changed_files[path] = now
