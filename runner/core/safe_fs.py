"""Touching a folder that an agent could write to: no link is followed, nothing in it is run.

A path is opened one component at a time, so that a folder which turns into a link on the way is an
error and never a door to the outside.
"""

import errno
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_root(folder: Path) -> int:
    """A descriptor of a folder of ours. Raises OSError when there is none."""
    return os.open(folder, _FOLDER)


def open_folder(root: int, parts: Sequence[str]) -> int:
    """A descriptor of the folder at `parts` below the folder `root`. Raises OSError when there is none."""
    here = os.dup(root)
    for part in parts:
        try:
            below = os.open(part, _FOLDER, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def read_file(folder: int, name: str, limit: int) -> bytes:
    """The content of a plain file. Raises OSError: EFBIG above `limit` bytes, EINVAL for what is no file."""
    return b"".join(chunks(folder, name, limit))


def chunks(folder: int, name: str, limit: int) -> Iterator[bytes]:
    """The content of a plain file, piece by piece. Raises as `read_file` does."""
    with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file")
        left = limit
        while found.st_size <= limit and (chunk := file.read(1024**2)):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left < 0 or found.st_size > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes")


def change_owner(root: Path, owner: tuple[int, int]) -> None:
    """Make `owner` (uid, gid) own everything below `root` that is not theirs yet.

    What is theirs is left alone: on an overlay each change of an owner would copy the file.
    """
    uid, gid = owner
    for _, folders, files, here in os.fwalk(root, follow_symlinks=False):
        for name in (".", *folders, *files):
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
            if (found.st_uid, found.st_gid) != owner:
                os.chown(name, uid, gid, dir_fd=here, follow_symlinks=False)


def remove(root: Path) -> None:
    """Remove `root` and everything below it, however deep it is and whatever modes its folders have.

    rm(1) and chmod(1) walk with descriptors, follow no link, and know no limit on the depth.
    """
    if not os.path.lexists(root):
        return
    if _call("rm", "-rf", "--", str(root)) and root.is_dir():
        _call("chmod", "-R", "u+rwX", "--", str(root))
        if _call("rm", "-rf", "--", str(root)):
            raise OSError(errno.ENOTEMPTY, "could not be removed", str(root))


def _call(*argv: str) -> int:
    return subprocess.run(argv, capture_output=True, check=False).returncode


@contextmanager
def os_errors(phase: Phase = Phase.CHECKOUT) -> Iterator[None]:
    """What the operating system refuses becomes a RunnerError: a full disk, or a folder that is not ours."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        message = f"no space is left: {error}" if full else f"the file system said no: {error}"
        hint = (
            "free some space, or move state_dir in skillrunner.yaml to a larger disk"
            if full
            else "let the user who runs skillrunner own its state_dir, then run it again"
        )
        reason = Reason.DISK_FULL if full else Reason.GIT_FAILED
        raise RunnerError(phase, reason, message, hint=hint, retryable=full) from error
