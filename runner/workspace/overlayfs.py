"""Copy-on-write checkouts, where the runner is root and the kernel has overlayfs.

A commit is checked out once into a base that nothing ever writes to; each run gets its own layer above
it. A base is in use while somebody holds a shared lock on its folder. Everything here may fail on some
machine: the caller then makes a plain checkout.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runner.core import safe_fs
from runner.core.locks import lock

_KEPT_BASES = 3  # for each repository
_OPTIONS = "redirect_dir=on,metacopy=off,index=off,volatile"


def is_supported(folder: Path) -> bool:
    """Whether overlayfs may work here; only the mount itself can tell for sure."""
    return sys.platform == "linux" and os.geteuid() == 0 and not set(str(folder)) & set(":,\\")


@contextmanager
def base(folder: Path, name: str, build: Callable[[Path], None]) -> Iterator[Path]:
    """The base `name` in `folder`, made by `build` if it does not exist; it stays while the context lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / name
    with ExitStack() as held:
        with lock(folder / ".lock"):
            if not found.is_dir():
                _build(found, build)
            held.enter_context(lock(found, shared=True, wait=False))
            _evict(folder)
        os.utime(found)
        yield found


def mount(lower: Path, upper: Path, work: Path, at: Path) -> None:
    """Mount `lower` at `at` with `upper` for writes. Raises OSError when this is not possible."""
    for folder in (upper, work, at):
        folder.mkdir(exist_ok=True)
    layers = f"lowerdir={lower},upperdir={upper},workdir={work},{_OPTIONS}"
    done = subprocess.run(
        ["mount", "-t", "overlay", "-o", layers, "overlay", str(at)], capture_output=True, check=False
    )
    if done.returncode:
        raise OSError(done.returncode, done.stderr.decode(errors="replace").strip(), str(at))


def unmount(at: Path) -> None:
    """Unmount `at` lazily, if it is mounted."""
    if at.is_mount():
        subprocess.run(["umount", "--lazy", str(at)], capture_output=True, check=False)


def _build(found: Path, build: Callable[[Path], None]) -> None:
    aside = found.with_name(f".{found.name}.new")
    safe_fs.remove(aside)
    try:
        build(aside)
        aside.rename(found)
    finally:
        safe_fs.remove(aside)


def _evict(folder: Path) -> None:
    """Remove the least recently used bases that no run uses."""
    bases = [found for found in folder.iterdir() if found.is_dir() and not found.name.startswith(".")]
    for old in sorted(bases, key=lambda found: found.stat().st_mtime, reverse=True)[_KEPT_BASES:]:
        with suppress(BlockingIOError), lock(old, wait=False):
            safe_fs.remove(old)
