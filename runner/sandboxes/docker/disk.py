"""How much of the host's disk a container fills: its folders are the host's, where no quota holds.

One file is bounded by the kernel (see `options.py`); all of them together are counted now and then, and more
often while the disk fills. It fills no faster than programs write: no room is reserved (see `seccomp.py`).
Counted are also files that were removed and are still open.
"""

import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.core.errors import RunnerError

_GLANCE = 0.1  # seconds between two looks at the free space
_AT_LEAST_EVERY = 30.0  # seconds between two counts
_PATIENCE = 120.0  # seconds for a count
_BYTES_PER_FILE = 8192  # of the limit: empty files use up a file system too
_BLOCK = 512  # bytes: the unit of stat(2)
_SHARE = 10  # of its time that counting may take: one part in so many


class DiskWatch:
    """Counts in a thread what folders take, until it is stopped, or until they take more than they may."""

    def __init__(self, folders: Sequence[Path], limit: int, processes: Callable[[], Sequence[int]]) -> None:
        self.is_over = False
        self._folders, self._limit, self._processes = folders, limit, processes
        self._stopped = threading.Event()
        self._free_at_start = self._free = _free(folders[0])
        self._files_at_start = _free_files(folders[0])
        self._next = self._rested = 0.0
        self._left = 0  # bytes of the limit, as of the last count

    def run(self) -> None:
        while not self.is_over and not self._stopped.wait(_GLANCE):
            with suppress(OSError, RunnerError, subprocess.SubprocessError):  # looked at again
                self._look()

    def stop(self) -> None:
        self._stopped.set()

    def _look(self) -> None:
        free, now = _free(self._folders[0]), time.monotonic()
        most_files, step = self._limit // _BYTES_PER_FILE, self._limit // 16
        files_lost = self._files_at_start - _free_files(self._folders[0])
        lost = self._free - free
        filling = lost > step or files_lost > most_files
        # Counting rests long where there is much to count, but not once all that was left may be taken.
        if lost <= max(self._left, step) and now < (self._rested if filling else self._next):
            return
        taken = self._taken()
        self.is_over = taken > self._limit or (files_lost > most_files and self._files() > most_files)
        ended = time.monotonic()
        self._free, self._left = free, self._limit - taken
        self._rested = ended + (ended - now) * _SHARE
        self._next = max(self._rested, now + _AT_LEAST_EVERY)

    def _taken(self) -> int:
        """Bytes. What nobody but the container's user may read counts as what the disk has lost."""
        counted, whole = self._counted("-skxc")
        counted = counted * 1024 + removed_bytes(self._processes(), self._folders[0].stat().st_dev)
        lost = 0 if whole else self._free_at_start - _free(self._folders[0])
        return max(counted, lost)

    def _files(self) -> int:
        counted, whole = self._counted("--inodes", "-sxc")
        lost = 0 if whole else self._files_at_start - _free_files(self._folders[0])
        return max(counted, lost)

    def _counted(self, *options: str) -> tuple[int, bool]:
        """What du(1) says, and whether it could look everywhere."""
        command = ["du", *options, "--", *map(str, self._folders)]
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
        return int(done.stdout.splitlines()[-1].split()[0]), done.returncode == 0


@contextmanager
def watch_disk(
    folders: Sequence[Path], limit: int, processes: Callable[[], Sequence[int]]
) -> Iterator[DiskWatch]:
    """Watch for as long as the context lasts. `processes` are the container's, as numbered by the host."""
    watch = DiskWatch(folders, limit, processes)
    thread = threading.Thread(target=watch.run, name="disk", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def removed_bytes(processes: Sequence[int], device: int) -> int:
    """What plain files of a device take that are in no folder any more, and that processes hold open."""
    found: dict[int, int] = {}
    for process in processes:
        for one in _open_files(process):
            if stat.S_ISREG(one.st_mode) and not one.st_nlink and one.st_dev == device:
                found[one.st_ino] = one.st_blocks * _BLOCK
    return sum(found.values())


def _open_files(process: int) -> Iterator[os.stat_result]:
    with suppress(OSError):  # it has ended, or is another user's
        for opened in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                yield opened.stat()


def _free_files(folder: Path) -> int:
    """How many files there may still be; 0 where a file system has no limit of its own."""
    return os.statvfs(folder).f_favail


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
