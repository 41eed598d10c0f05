"""Who is alive on this machine: each holds a lock on a file of its own, which falls when its process dies."""

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "lock"


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """This process works on the run in `folder`, for as long as the context lasts or the process lives."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_held(folder: Path) -> bool:
    """Whether some process works on the run in `folder`."""
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def state_dir_id(folder: Path) -> str:
    """What tells this state directory from every other one, on any machine; made when first asked for."""
    path, mine = folder / "place", uuid.uuid4().hex
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = folder / f"place.{mine}"
        aside.write_text(mine)
        with suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    return path.read_text()
