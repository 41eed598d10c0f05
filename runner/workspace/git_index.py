"""Git's index file, read as a record of how each file looked when git wrote it.

The format is that of gitformat-index(5), versions 2 and 3. Only an index that our own git wrote is read.
"""

import hashlib
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

SUBMODULE = 0o160000
SYMLINK = 0o120000
_EXTENDED = 0x4000
_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One path of the checkout: its blob in git, and the file system's facts when git wrote it."""

    mode: int
    sha: str
    size: int
    inode: int
    ctime: int  # nanoseconds
    mtime: int

    def is_untouched(self, now: os.stat_result) -> bool:
        """Whether the file is unchanged, by its change time, which only the kernel sets."""
        return (
            self.ctime == now.st_ctime_ns
            and self.mtime == now.st_mtime_ns
            and self.inode == now.st_ino & _32_BITS
            and self.size == now.st_size & _32_BITS
            and self.mode == git_mode(now.st_mode)
        )

    @property
    def facts(self) -> tuple[int, ...]:
        return self.ctime, self.mtime, self.inode, self.size


def git_mode(mode: int) -> int:
    """Git's mode of a file or link; 0 for what git cannot store."""
    if stat.S_ISLNK(mode):
        return SYMLINK
    if stat.S_ISREG(mode):
        return 0o100755 if mode & stat.S_IXUSR else 0o100644
    return 0


def blob_hasher(sha: str, size: int) -> "hashlib._Hash":
    """A hash that names a blob of `size` bytes, of the kind that `sha` is of."""
    kind = hashlib.sha256 if len(sha) == 64 else hashlib.sha1
    return kind(b"blob %d\0" % size, usedforsecurity=False)


def read(path: Path, commit: str) -> dict[str, IndexEntry]:
    """The entries of the index by path. Raises RunnerError for an unknown version."""
    return {name: entry for name, entry, _ in _entries(path.read_bytes(), commit)}


def with_facts(data: bytes, commit: str, root: Path, known: Mapping[str, IndexEntry]) -> bytes:
    """An index that knows how each file below `root` looks now: as `known` says, else as the system does."""
    out, top = bytearray(data), safe_fs.open_root(root)
    try:
        for path, _, at in _entries(data, commit):
            facts = known[path].facts if path in known else _facts(top, path)
            if facts is not None:
                ctime, mtime, inode, size = facts
                struct.pack_into(">4I", out, at, *divmod(ctime, 10**9), *divmod(mtime, 10**9))
                struct.pack_into(">I", out, at + 20, inode & _32_BITS)
                struct.pack_into(">I", out, at + 36, size & _32_BITS)
    finally:
        os.close(top)
    kind = hashlib.sha256 if len(commit) == 64 else hashlib.sha1
    end = len(out) - len(commit) // 2
    out[end:] = kind(out[:end], usedforsecurity=False).digest()
    return bytes(out)


def _facts(top: int, path: str) -> tuple[int, ...] | None:
    folder, name = os.path.split(path)
    try:
        here = safe_fs.open_folder(top, folder.split("/") if folder else [])
        try:
            now = os.stat(name, dir_fd=here, follow_symlinks=False)
        finally:
            os.close(here)
    except OSError:
        return None
    return now.st_ctime_ns, now.st_mtime_ns, now.st_ino, now.st_size


def _entries(data: bytes, commit: str) -> Iterator[tuple[str, IndexEntry, int]]:
    """(path, entry, where it stands) for each entry."""
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC" or version not in (2, 3):
        message = "what should be a git index is none of version 2 or 3"
        raise RunnerError(Phase.PROPOSAL, Reason.GIT_FAILED, message)
    record = struct.Struct(f">10I{len(commit) // 2}sH")
    at = 12
    for _ in range(count):
        ctime, ctime_ns, mtime, mtime_ns, _, inode, mode, _, _, size, sha, flags = record.unpack_from(
            data, at
        )
        start = at + record.size + (2 if flags & _EXTENDED else 0)
        end = data.index(b"\0", start)
        times = (ctime * 10**9 + ctime_ns, mtime * 10**9 + mtime_ns)
        yield os.fsdecode(data[start:end]), IndexEntry(mode, sha.hex(), size, inode, *times), at
        at += (end - at + 8) & ~7  # padded with one to eight NULs
