"""Locks that show which processes of this machine live: the system releases them when a process dies."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.core.locks import is_locked, lock

_LOCK = "lock"


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` for as long as the context lasts, or until the process dies."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock(folder / _LOCK):
        yield


def is_held(folder: Path) -> bool:
    """Whether some process holds the lock of `folder`."""
    return is_locked(folder / _LOCK)


def state_dir_id(folder: Path) -> str:
    """An id of this state directory, unique across machines; the first call creates it."""
    path, mine = folder / "place", uuid.uuid4().hex
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = folder / f"place.{mine}"
        aside.write_text(mine)
        with suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    return path.read_text()
