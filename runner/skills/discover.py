"""Reads the skill folders of a working tree: paths and bytes. It follows no links: they may lead anywhere."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from runner.config.documents import Fault
from runner.skills.loader import PROMPT_FILE, SKILL_FILE, is_skill_file

FOLDERS = ("skills", ".agents/skills", ".github/skills")
"""Where skills are looked for, beside the repository's root."""

MAX_FOLDER = 16 * 1024**2
MAX_FILES = 2_000
_IGNORED = frozenset({"__pycache__", ".git", ".DS_Store", "node_modules"})
_DEPTH = 4  # folders in one another, in which skills are looked for


@dataclass(slots=True)
class SkillFolders:
    """The files of skill folders, and what could not be read."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    read: set[Path] = field(default_factory=set)  # the folders, wherever a path to them leads through


def discover(root: Path, folders: Sequence[str] = FOLDERS, read: Collection[Path] = ()) -> SkillFolders:
    """Every skill of a working tree: the folders with skill files below one of `folders`, but for `read`."""
    found = SkillFolders(read=set(read))
    for folder in folders:
        label = str(PurePosixPath(folder))
        _collect(root / folder, _inside(root / folder), label, found)
        found.faults.extend(_links(root / folder, label))
    return found


def _links(folder: Path, label: str) -> Iterator[Fault]:
    """The faults of skills behind a link."""
    for child in sorted(folder.iterdir()) if folder.is_dir() else ():
        if child.is_symlink() and _is_skill(child):
            message = "is a symbolic link, which is not followed"
            yield Fault(f"{label}/{child.name}", 1, 1, message, "", "copy the folder")


def skills_of_paths(paths: Iterable[Path], folders: Sequence[str] = FOLDERS) -> SkillFolders:
    """The skills at `paths`: each is a file of a skill, its folder, a folder of skills, or a repository."""
    found = SkillFolders()
    for path in paths:
        start = path.parent if path.is_file() or path.is_symlink() else path
        if not path.exists():
            found.faults.append(Fault(str(path), 1, 1, "no such file or folder", "", "check the path"))
        elif _is_skill(start):
            _read_folder(start, str(start), found)
        elif children := list(_inside(start)):
            _collect(start, children, str(start), found)
        elif path.is_dir():
            below = discover(start, folders, found.read)
            found.faults.extend(_below(start, fault) for fault in below.faults)
            found.files.update((str(start / name), content) for name, content in below.files.items())
            found.read |= below.read
    return found


def _below(start: Path, fault: Fault) -> Fault:
    return Fault(str(start / fault.file), fault.line, fault.column, fault.message, fault.value, fault.hint)


def _inside(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """The skill folders below `folder`, sorted; what lies in one is its own."""
    for child in sorted(folder.iterdir()) if folder.is_dir() else ():
        if child.name in _IGNORED or child.is_symlink() or not child.is_dir():
            continue
        if _is_skill(child):
            yield child
        elif depth > 1:
            yield from _inside(child, depth - 1)


def _is_skill(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(is_skill_file(child.name) for child in folder.iterdir())
    except OSError:  # a folder that nobody may look into
        return False


def _collect(above: Path, skills: Iterable[Path], label: str, found: SkillFolders) -> None:
    for folder in skills:
        _read_folder(folder, f"{label}/{folder.relative_to(above).as_posix()}", found)


def _read_folder(folder: Path, label: str, found: SkillFolders) -> None:
    if (real := folder.resolve()) in found.read:  # named twice, by this path or by another
        return
    found.read.add(real)
    size = 0
    for count, path in enumerate(_files(folder), 1):
        name = f"{label}/{path.relative_to(folder).as_posix()}"
        try:
            size += path.lstat().st_size
            if path.is_symlink():
                _link(path, name, found)
            elif size > MAX_FOLDER or count > MAX_FILES:
                message = f"the folder holds more than {MAX_FOLDER} bytes or {MAX_FILES} files"
                found.faults.append(
                    Fault(name, 1, 1, message, "", "keep only what the skill needs in its folder")
                )
                return
            elif path.is_file():
                found.files[name] = path.read_bytes()
        except OSError as error:
            found.faults.append(
                Fault(name, 1, 1, f"cannot be read: {error.strerror}", "", "check its permissions")
            )


def _link(path: Path, name: str, found: SkillFolders) -> None:
    if path.name in (SKILL_FILE, PROMPT_FILE):
        found.faults.append(
            Fault(name, 1, 1, "is a symbolic link, which is not followed", "", "copy the file")
        )


def modes(folder: Path) -> dict[str, int]:
    """Git's mode of each plain file of a skill's folder, by its path inside."""
    return {
        path.relative_to(folder).as_posix(): 0o100755 if os.access(path, os.X_OK) else 0o100644
        for path in _files(folder)
        if path.is_file() and not path.is_symlink()
    }


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _IGNORED)
        yield from (Path(parent, name) for name in sorted(names) if name not in _IGNORED)
