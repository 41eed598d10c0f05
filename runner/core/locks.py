"""Locks among the processes of this machine. The system releases them when their process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = 0o644


@contextmanager
def lock(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder, or of a file, which is made if it is absent.

    Several may hold a `shared` lock together. Without `wait`, raises BlockingIOError where another holds it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if path.is_dir() else os.O_CREAT), _FILE)
    try:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock of a folder or file alone; an absent one is not locked."""
    if not path.exists():
        return False
    try:
        with lock(path, shared=True, wait=False):
            return False
    except BlockingIOError:
        return True
