"""The folder through which files go into a sandbox and come out of it.

What lies there after a harness ran is untrusted: links, pipes and devices are never followed or opened for
long, and nothing is read beyond its limit.
"""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def put(
    folder: Path, name: str, data: bytes, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Write a new file, in place of whatever has that name; folders that `name` has are made where missing.

    Raises OSError when one of these is there and is no folder.
    """
    where, name = _parent(folder, name, owner)
    try:
        _clear(name, where)
        file = os.open(name, _WRITE, mode, dir_fd=where)
        with os.fdopen(file, "wb") as out:
            out.write(data)
            os.fchmod(out.fileno(), mode)
            if owner is not None:
                os.fchown(out.fileno(), *owner)
    finally:
        os.close(where)


def link(folder: Path, name: str, target: str, owner: tuple[int, int] | None = None) -> None:
    """Make a symbolic link as `put` makes a file; what it names is not looked at."""
    where, name = _parent(folder, name, owner)
    try:
        _clear(name, where)
        os.symlink(target, name, dir_fd=where)
        if owner is not None:
            os.chown(name, *owner, dir_fd=where, follow_symlinks=False)
    finally:
        os.close(where)


def remove(folder: Path, name: str, owner: tuple[int, int] | None = None) -> None:
    """Remove whatever has that name, if anything has."""
    where, name = _parent(folder, name, owner)
    try:
        _clear(name, where)
    finally:
        os.close(where)


def _parent(folder: Path, name: str, owner: tuple[int, int] | None) -> tuple[int, str]:
    """The folder in which a path ends, made where it is missing, and the name there."""
    *folders, name = map(_plain, name.split("/"))
    where = os.open(folder, _FOLDER)
    for one in folders:
        where = _entered(where, one, owner)
    return where, name


def _entered(where: int, name: str, owner: tuple[int, int] | None) -> int:
    """The folder `name` in the folder `where`, which is closed."""
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=where)
            if owner is not None:
                os.chown(name, *owner, dir_fd=where, follow_symlinks=False)
        return os.open(name, _FOLDER, dir_fd=where)
    finally:
        os.close(where)


def _clear(name: str, where: int) -> None:
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=where)
        except (IsADirectoryError, PermissionError):  # the latter is what POSIX says of a folder
            shutil.rmtree(name, dir_fd=where)


def get(folder: Path, name: str, limit: int) -> bytes | None:
    """At most `limit` bytes of a plain file; None when there is no plain file of that name.

    No link is followed, in the folders that the name has neither.
    """
    *folders, name = map(_plain, name.split("/"))
    try:
        where = os.open(folder, _FOLDER)
        for one in folders:
            where = _below(where, one)
    except OSError:
        return None
    try:
        file = os.open(name, _READ, dir_fd=where)
    except OSError:
        return None
    finally:
        os.close(where)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read(limit)


def _below(where: int, name: str) -> int:
    """The folder `name` in the folder `where`, which is closed."""
    try:
        return os.open(name, _FOLDER, dir_fd=where)
    finally:
        os.close(where)


def _plain(name: str) -> str:
    if "/" in name or name in ("", ".", "..") or "\0" in name:
        raise ValueError(f"{name!r} is not a plain file name")
    return name
