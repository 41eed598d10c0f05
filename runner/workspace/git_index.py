"""Git's index file, read as a record of how each file looked when git wrote it.

The format is that of gitformat-index(5), versions 2 and 3. Only an index that our own git wrote is read.
"""

import hashlib
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

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
    data = path.read_bytes()
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC" or version not in (2, 3):
        message = f"{path} is no git index of version 2 or 3"
        raise RunnerError(Phase.PROPOSAL, Reason.GIT_FAILED, message)
    record = struct.Struct(f">10I{len(commit) // 2}sH")
    found: dict[str, IndexEntry] = {}
    at = 12
    for _ in range(count):
        ctime, ctime_ns, mtime, mtime_ns, _, inode, mode, _, _, size, sha, flags = record.unpack_from(
            data, at
        )
        start = at + record.size + (2 if flags & _EXTENDED else 0)
        end = data.index(b"\0", start)
        found[os.fsdecode(data[start:end])] = IndexEntry(
            mode, sha.hex(), size, inode, ctime * 10**9 + ctime_ns, mtime * 10**9 + mtime_ns
        )
        at += (end - at + 8) & ~7  # padded with one to eight NULs
    return found
