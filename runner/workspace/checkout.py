"""The isolated checkout of one run, at a pinned commit.

The bytes on disk are those of the commit: line ends, `ident` and filters such as LFS are switched off for
the checkout by attributes of the highest rank, so that nothing but the agent can make a file differ.

Git's own index, written by our checkout and copied away before the agent starts, is the record of how
each file looked; `harvest` compares against it. After that we never run git in the workspace again.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.clients.git import Git
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.locks import lock
from runner.core.model import Phase, Reason
from runner.workspace import overlayfs
from runner.workspace.mirror import Mirror

_ATTRIBUTES = "* -text -ident -filter !working-tree-encoding\n"
_THEIRS, _KNOWN = "refs/heads/", "refs/remotes/origin/"
_WORKERS = max(2, min(8, os.cpu_count() or 2))
_FAST = ("-c", f"checkout.workers={_WORKERS}", "-c", "core.checkStat=default", "-c", "index.version=2")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A checkout for a sandbox.

    `objects` are the folders that its `.git` borrows from: a sandbox shows them read-only at the same
    paths. `index` is our copy of git's index; `place` is the folder that all of it lies in. `fill` writes
    what is missing: until it returns there is no more than folders, which a sandbox can be opened over.
    """

    path: Path
    base_sha: str
    objects: tuple[Path, ...]
    index: Path
    folder: Path
    mirror: Mirror
    fill: Callable[[], None] = field(repr=False, compare=False)

    @property
    def exchange(self) -> Path:
        """The sandbox's exchange folder."""
        return self.folder / "exchange"


@contextmanager
def checkout(mirror: Mirror, sha: str, name: str, **options: Any) -> Iterator[Workspace]:
    """A workspace that is filled; see `open_workspace`."""
    with open_workspace(mirror, sha, name, **options) as workspace:
        workspace.fill()
        yield workspace


@contextmanager
def open_workspace(
    mirror: Mirror,
    sha: str,
    name: str,
    *,
    owner: tuple[int, int] | None = None,
    change: Path | None = None,
    keep: bool = False,
    layered: bool = True,
    file_time: int | None = None,
    heads: Mapping[str, str] | None = None,
) -> Iterator[Workspace]:
    """Open a workspace at `sha`, to be filled once by the caller; it is removed at the end unless `keep`.

    `name` is the run's and no other's; `owner` (uid, gid) will own the files, for the superuser; `change` is
    a further folder of objects, of a change that is put on top of the base later. `layered` allows overlayfs
    where it is possible. With `file_time`, in seconds since 1970, every file was last changed then, and not
    now. `heads` are further ones that git in the workspace knows, by their name below `origin/`. Raises
    RunnerError, and so does filling it.
    """
    job = _Job(mirror, sha, owner, change, file_time, heads or {})
    layered = layered and file_time is None
    with ExitStack() as stack:
        with _speaking(mirror):
            place = stack.enter_context(_place(mirror, name, keep))
            below = _layers(stack, job, place) if layered and not keep else None
            (place / "tree").mkdir(exist_ok=True)

        def fill() -> None:
            with _speaking(mirror):
                _forget_the_dead(mirror)
                stack.enter_context(mirror.pin(name, sha))
                _fill(job, place, below)

        objects = (mirror.objects, *((change,) if change else ()))
        yield Workspace(place / "tree", sha, objects, place / "index", place, mirror, fill)


@dataclass(frozen=True, slots=True)
class _Job:
    mirror: Mirror
    sha: str
    owner: tuple[int, int] | None
    change: Path | None
    file_time: int | None
    heads: Mapping[str, str]


def _layers(stack: ExitStack, job: _Job, place: Path) -> Path | None:
    """Show the commit's files at `tree`, in layers; return their base, or None if that does not work here."""
    if not overlayfs.is_supported(place):
        return None
    bases = job.mirror.state_dir.absolute() / "bases" / job.mirror.key
    owned = "own" if job.owner is None else f"{job.owner[0]}-{job.owner[1]}"
    with ExitStack() as trial, suppress(OSError):
        made = overlayfs.base(bases, f"{job.sha}-{owned}", lambda aside: _base(job, aside))
        below = trial.enter_context(made)
        trial.callback(overlayfs.unmount, place / "tree")
        overlayfs.mount(below / "tree", place / "upper", place / "work", place / "tree")
        stack.push(trial.pop_all())
        return below
    return None


def _base(job: _Job, aside: Path) -> None:
    path = aside / "tree"
    path.mkdir(parents=True)
    _repository(job, path, aside / "git")
    _check_out(job, path, aside / "git")
    (aside / "git" / "index").rename(aside / "index")
    (path / ".git").unlink()  # it named the neighbouring folder


def _fill(job: _Job, place: Path, below: Path | None) -> None:
    path = place / "tree"
    _repository(job, path, path / ".git")
    _branches(job, path)
    if below is None:
        _check_out(job, path, path / ".git")
    else:
        (path / ".git" / "index").write_bytes((below / "index").read_bytes())
        if job.owner is not None:
            safe_fs.change_owner(path / ".git", job.owner)
            os.chown(path, *job.owner)
    if job.change is not None:
        with (path / ".git" / "objects" / "info" / "alternates").open("a") as alternates:
            alternates.write(f"{job.change}\n")
    (place / "index").write_bytes((path / ".git" / "index").read_bytes())


def _repository(job: _Job, path: Path, git: Path) -> None:
    """A repository for the files in `path` that borrows the mirror's objects and stands on the commit."""
    kind = "sha256" if len(job.sha) == 64 else "sha1"
    flags = ("--quiet", "--template=", f"--object-format={kind}")
    Git(path).run("init", *flags, *((f"--separate-git-dir={git}",) if git.parent != path else ()), path)
    (git / "objects" / "info" / "alternates").write_text(f"{job.mirror.objects}\n")
    (git / "HEAD").write_text(f"{job.sha}\n")
    (git / "info").mkdir()
    (git / "info" / "attributes").write_text(_ATTRIBUTES)
    if (shallow := job.mirror.directory / "shallow").exists():
        (git / "shallow").write_bytes(shallow.read_bytes())


def _branches(job: _Job, path: Path) -> None:
    """Write the origin's branches and tags into a `.git`, as a clone would, and not where the origin is."""
    git = path / ".git"
    listing = job.mirror.git.output(
        "for-each-ref", "--format=%(objectname) %(refname)", _THEIRS, "refs/tags/"
    )
    lines = [f"{line}\n" for line in listing.split("\n") if line]  # a name may hold other line ends
    head = (job.mirror.directory / "HEAD").read_text().strip().removeprefix("ref: ")
    own = [line for line in lines if line.endswith(f" {head}\n")]  # the branch that a clone makes
    known = [line.replace(f" {_THEIRS}", f" {_KNOWN}", 1) for line in lines]
    there = {line.rstrip("\n").partition(" ")[2] for line in known}
    more = {f"{_KNOWN}{name}": sha for name, sha in job.heads.items()}
    known += [f"{sha} {ref}\n" for ref, sha in more.items() if ref not in there]
    (git / "packed-refs").write_bytes(os.fsencode("".join((*own, *known))))


def _check_out(job: _Job, path: Path, git: Path) -> None:
    Git(path).run(*_FAST, "read-tree", "--reset", "-u", job.sha)
    if job.owner is not None:
        safe_fs.change_owner(path, job.owner)
    if job.file_time is not None:
        set_times(path, job.file_time)
    if job.owner is not None or job.file_time is not None:
        Git(path).run(*_FAST, "update-index", "-q", "--refresh", ok=(0, 1))
    if job.owner is not None:
        os.chown(git / "index", *job.owner)


def set_times(path: Path, second: int) -> None:
    """Every file, link and folder but git's own was last changed at this second."""
    os.utime(path, (second, second))
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if parent != str(path) or name != ".git"]
        for name in (*folders, *names):
            os.utime(Path(parent, name), (second, second), follow_symlinks=False)


@contextmanager
def _place(mirror: Mirror, name: str, keep: bool) -> Iterator[Path]:
    """A folder locked by this process; those of dead processes are removed first."""
    rooms = _rooms(mirror)
    rooms.mkdir(parents=True, exist_ok=True)
    place = rooms / name
    with ExitStack() as held:
        with lock(rooms / ".lock"):
            remove_dead_workspaces(rooms)
            place.mkdir(mode=0o755)
            held.enter_context(lock(place, wait=False))
            if keep:
                (place / "kept").touch()
        try:
            yield place
        finally:
            if not keep:
                _remove(place)


def _rooms(mirror: Mirror) -> Path:
    return mirror.state_dir.absolute() / "workspaces"


def _forget_the_dead(mirror: Mirror) -> None:
    """Unpin the refs of dead runs, under the lock of new runs: each living run has a folder by then."""
    with lock(_rooms(mirror) / ".lock"):
        mirror.unpin_others({found.name for found in _rooms(mirror).iterdir()})


def remove_dead_workspaces(folder: Path) -> None:
    """Remove the workspaces of dead processes. A living process holds the lock of its folder."""
    for place in folder.iterdir():
        if place.is_dir() and not (place / "kept").exists():
            with suppress(BlockingIOError), lock(place, wait=False):
                _remove(place)


def _remove(place: Path) -> None:
    overlayfs.unmount(place / "tree")
    safe_fs.remove(place)


@contextmanager
def _speaking(mirror: Mirror) -> Iterator[None]:
    """Turn errors raised inside into RunnerError.

    After a failure of the mirror it is checked, and removed when it is damaged: the next fetch makes it anew.
    """
    try:
        with safe_fs.os_errors():
            yield
    except RunnerError as error:
        if error.reason not in (Reason.GIT_FAILED, Reason.REF_NOT_FOUND) or mirror.is_healthy():
            raise
        mirror.discard()
        message = f"the mirror of {mirror.url} was damaged, and is removed: {error}"
        raise RunnerError(
            Phase.CHECKOUT, Reason.GIT_FAILED, message, hint="run it again", retryable=True
        ) from error
