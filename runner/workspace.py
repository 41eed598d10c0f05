"""The isolated checkout of one run, at a pinned commit.

The bytes on disk are those of the commit: line ends, `ident` and filters such as LFS are switched off for
the checkout by attributes of the highest rank, so that nothing but the agent can make a file differ.

Git's own index, written by our checkout and copied away before the agent starts, is the record of how
each file looked; `harvest` compares against it. After that we never run git in the workspace again.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runner import overlay, tree
from runner.doors.git import Git
from runner.errors import RunnerError
from runner.mirror import Mirror
from runner.model import Phase, Reason

_ATTRIBUTES = "* -text -ident -filter !working-tree-encoding\n"
_WORKERS = max(2, min(8, os.cpu_count() or 2))
_FAST = ("-c", f"checkout.workers={_WORKERS}", "-c", "core.checkStat=default", "-c", "index.version=2")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A checkout that is ready for a sandbox.

    `objects` are the folders that its `.git` borrows from: a sandbox shows them read-only at the same
    paths. `index` is our copy of git's index; `place` is the folder that all of it lies in.
    """

    path: Path
    base_sha: str
    objects: tuple[Path, ...]
    index: Path
    place: Path
    mirror: Mirror


@dataclass(frozen=True, slots=True)
class Change:
    """A tree to put on top of the base, and the folder of objects that holds it."""

    tree_sha: str
    objects: Path


@contextmanager
def checkout(
    mirror: Mirror,
    sha: str,
    name: str,
    *,
    url: str = "",
    owner: tuple[int, int] | None = None,
    change: Change | None = None,
    keep: bool = False,
    layered: bool = True,
) -> Iterator[Workspace]:
    """A workspace of its own at `sha`, removed afterwards unless `keep`.

    `name` is the run's and no other's; `url` is what the workspace calls its origin; `owner` (uid, gid)
    will own the files, for the superuser; `change` is put on top of the base, staged. `layered` allows
    overlayfs where it is possible. Raises RunnerError.
    """
    job = _Job(mirror, sha, url or mirror.url, owner)
    with ExitStack() as stack:
        with tree.system_errors():
            place = stack.enter_context(_place(mirror, name, keep))
            with _doubting(mirror):
                stack.enter_context(mirror.keep(name, sha))
                path = _lay_out(stack, job, place, layered=layered and not keep)
                if change is not None:
                    _put_on_top(path, change, owner)
            index = place / "index"
            index.write_bytes((path / ".git" / "index").read_bytes())
        objects = (mirror.objects, *((change.objects,) if change else ()))
        yield Workspace(path, sha, objects, index, place, mirror)


@dataclass(frozen=True, slots=True)
class _Job:
    mirror: Mirror
    sha: str
    url: str
    owner: tuple[int, int] | None


def _lay_out(stack: ExitStack, job: _Job, place: Path, *, layered: bool) -> Path:
    """Fill `place` with a checkout, in layers if that works here; return the path of the work tree."""
    path = place / "tree"
    if layered and overlay.possible(place):
        with ExitStack() as trial, suppress(OSError):
            _layers(trial, job, place, path)
            stack.push(trial.pop_all())
            return path
        tree.remove(place / "upper")
    _plain(job, path)
    return path


def _layers(stack: ExitStack, job: _Job, place: Path, path: Path) -> None:
    bases = job.mirror.state_dir.absolute() / "bases" / job.mirror.key
    owned = "own" if job.owner is None else f"{job.owner[0]}-{job.owner[1]}"
    below = stack.enter_context(overlay.base(bases, f"{job.sha}-{owned}", lambda aside: _base(job, aside)))
    upper = place / "upper"
    _clone(job, upper)
    (upper / ".git" / "index").write_bytes((below / "index").read_bytes())
    if job.owner is not None:
        tree.give(upper, job.owner)
    stack.callback(overlay.unmount, path)
    overlay.mount(below / "tree", upper, place / "work", path)


def _base(job: _Job, aside: Path) -> None:
    aside.mkdir()
    _plain(job, aside / "tree")
    (aside / "tree" / ".git" / "index").rename(aside / "index")
    tree.remove(aside / "tree" / ".git")


def _plain(job: _Job, path: Path) -> None:
    _clone(job, path)
    git = Git(path)
    git.run(*_FAST, "read-tree", "--reset", "-u", job.sha)
    if job.owner is not None:
        tree.give(path, job.owner)
        git.run(*_FAST, "update-index", "-q", "--refresh", ok=(0, 1))
        os.chown(path / ".git" / "index", *job.owner)


def _clone(job: _Job, path: Path) -> None:
    """A `.git` that borrows the mirror's objects, knows its branches, and stands on the commit."""
    flags = ("--quiet", "--shared", "--no-checkout", "--template=")
    Git(path.parent).run("clone", *flags, "--", job.mirror.directory, path)
    git = Git(path)
    git.run("config", "remote.origin.url", job.url)
    git.run("update-ref", "--no-deref", "HEAD", job.sha)
    (path / ".git" / "info").mkdir()
    (path / ".git" / "info" / "attributes").write_text(_ATTRIBUTES)


def _put_on_top(path: Path, change: Change, owner: tuple[int, int] | None) -> None:
    with (path / ".git" / "objects" / "info" / "alternates").open("a") as alternates:
        alternates.write(f"{change.objects}\n")
    Git(path).run(*_FAST, "read-tree", "-m", "-u", "HEAD", change.tree_sha)
    if owner is not None:
        tree.give(path, owner)


@contextmanager
def _place(mirror: Mirror, name: str, keep: bool) -> Iterator[Path]:
    """A folder that is ours while we live; what dead processes left is swept first."""
    rooms = mirror.state_dir.absolute() / "workspaces"
    rooms.mkdir(parents=True, exist_ok=True)
    place = rooms / name
    with overlay.locked(rooms / ".lock"):
        sweep(rooms)
        place.mkdir(mode=0o755)
        held = _held(place)
        mirror.forget({found.name for found in rooms.iterdir()})
        if keep:
            (place / "kept").touch()
    try:
        yield place
    finally:
        if not keep:
            _remove(place)
        os.close(held)


def sweep(rooms: Path) -> None:
    """Remove the workspaces of processes that died. The lock on a living one's folder is taken."""
    for place in rooms.iterdir():
        if place.is_dir() and not (place / "kept").exists():
            with suppress(BlockingIOError):
                held = _held(place)
                _remove(place)
                os.close(held)


def _held(place: Path) -> int:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove(place: Path) -> None:
    overlay.unmount(place / "tree")
    tree.remove(place)


@contextmanager
def _doubting(mirror: Mirror) -> Iterator[None]:
    """A mirror that fails us is looked at, and removed when it is damaged: the next fetch mends it."""
    try:
        yield
    except RunnerError as error:
        if error.reason not in (Reason.GIT_FAILED, Reason.REF_NOT_FOUND) or mirror.healthy():
            raise
        mirror.discard()
        message = f"the mirror of {mirror.url} was damaged, and is removed: {error}"
        raise RunnerError(
            Phase.CHECKOUT, Reason.GIT_FAILED, message, hint="run it again", retryable=True
        ) from error
