"""Results of set-up commands, kept for later runs with the same key (docs/decisions/0009).

Set-up can write in three places: the workspace, its home, and /tmp. The sandbox itself packs what is new
there, with the `tar` of the image. To the runner the archive is one opaque file.
"""

import hashlib
import json
import os
import shlex
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from runner.clients.git import Entry, Git, entries
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.globs import matches
from runner.core.model import Phase, Places, Reason, Stream
from runner.run.context import RunContext
from runner.run.environment import commands
from runner.run.environment.lockfiles import setup_globs
from runner.sandboxes import Mount, Sandbox
from runner.workspace.checkout import Workspace

INSIDE = "/opt/skillrunner/prepared.tar"
UNUSED_AFTER = 14 * 24 * 3600.0  # seconds after which what nobody used is removed
_MAX_BYTES = 4 * 1024**3  # bytes of one archive
_ARCHIVE, _LIST, _MARK = "prepared.tar", "prepared.list", "prepared.mark"
_SUBMODULE = 0o160000


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupResult:
    """The result of set-up for one key; it need not exist yet."""

    key: str
    folder: Path
    tracked_files: Mapping[str, Entry]
    exists: bool

    @property
    def archive(self) -> Path:
        return self.folder / f"{self.key}.tar"

    def mounts(self) -> Iterator[Mount]:
        if self.exists:
            yield Mount(source=self.archive, target=INSIDE)


def find_setup_result(context: RunContext, git: Git, found: str) -> SetupResult | None:
    """The kept result for the tree or commit `found` in `git`; None: no result is to be kept."""
    environment = context.spec.environment
    # Where nothing can be mounted the places differ from run to run, and what is made there with them.
    if not (environment.setup and environment.setup_key and context.parts.sandbox.tools):
        return None
    tracked = entries(git, found)
    key, folder = _key(context, tracked), context.parts.mirror.state_dir.absolute() / "prepared"
    there = _is_usable(folder / f"{key}.list", tracked) and (folder / f"{key}.tar").is_file()
    if there:
        with suppress(OSError):
            os.utime(folder / f"{key}.tar")  # or who looks for what is unused might remove it before its use
    return SetupResult(key=key, folder=folder, tracked_files=tracked, exists=there)


def _key(context: RunContext, tracked: Mapping[str, Entry]) -> str:
    """A digest. It covers repository and branch, because a set-up command may run any file in them."""
    environment, spec = context.spec.environment, context.spec
    read = setup_globs(environment.setup_key, spec.skill.path)
    said = {
        "format": 1,
        "repository": spec.repository.url,
        "branch": spec.base_ref,
        "image": context.image_digest,
        "user": context.parts.sandbox.owner or (os.getuid(), os.getgid()),
        "commands": environment.setup,
        "variables": dict(environment.variables),
        "beside": dict(context.other_repositories),
        "files": {path: asdict(one) for path, one in tracked.items() if matches(path, read)},
    }
    text = json.dumps(said, sort_keys=True).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def _is_usable(names: Path, tracked: Mapping[str, Entry]) -> bool:
    """Whether no file of the result has a path that the repository now uses."""
    try:
        made = os.fsdecode(names.read_bytes()).split("\n")[:-1]
    except OSError:
        return False
    ours = {*tracked, *_parents(tracked)}
    return not any(path in ours or not tracked.keys().isdisjoint(_ancestors(path)) for path in made)


def _ancestors(path: str) -> list[str]:
    return [str(one) for one in PurePosixPath(path).parents][:-1]


def _parents(paths: Collection[str]) -> set[str]:
    return {above for path in paths for above in _ancestors(path)}


def set_up(
    context: RunContext, box: Sandbox, kept: SetupResult | None, place: Workspace | None = None
) -> None:
    """Run the set-up commands, or restore their kept result, and cut the network.

    A new result is kept if `place` is given, which must contain nothing that an agent wrote. A failure to
    keep it is an event. Raises RunnerError SETUP_FAILED.
    """
    spec, say = context.spec, context.record.add_event
    if kept is not None and kept.exists:
        _restore(context, box, kept)
        return
    box.put(_MARK, b"")
    commands.run_setup(box, spec.environment.setup, spec.limits, say)
    box.seal()
    if kept is not None and place is not None:
        try:
            size = _keep(context, box, kept, place)
        except (_NotKept, OSError) as error:
            say(f"what set-up made is not kept: {error}")
        else:
            say(f"what set-up made is kept for later runs: {size:,} bytes, key {kept.key[:12]}")


class _NotKept(Exception):  # noqa: N818 - the run goes on
    """Why the result of set-up cannot be used again."""


def _restore(context: RunContext, box: Sandbox, kept: SetupResult) -> None:
    context.record.add_event(f"set up from what is kept: key {kept.key[:12]}")
    check = commands.run_command(box, f"tar -xpf {INSIDE} -C /", context.spec.limits)
    if not check.ok:
        kept.archive.unlink(missing_ok=True)
        message = f"what set-up made could not be put back, and is removed\n{check.output}".rstrip()
        raise RunnerError(Phase.SETUP, Reason.SETUP_FAILED, message, hint="run it again", retryable=True)
    box.seal()


def _keep(context: RunContext, box: Sandbox, kept: SetupResult, place: Workspace) -> int:
    places = box.places
    made = _new_files(context, box, kept, [str(path) for path in place.objects])
    box.put(_LIST, os.fsencode("".join(f"{path}\n" for path in made)))
    packed = commands.run_command(
        box, f"tar -cf {places.exchange}/{_ARCHIVE} -C / -T {places.exchange}/{_LIST}", context.spec.limits
    )
    if not packed.ok:
        raise _NotKept(f"tar failed: {packed.output.strip()[-200:]}")
    below = f"{places.workspace.lstrip('/')}/"
    return _store(kept, place.exchange, [path.removeprefix(below) for path in made if path.startswith(below)])


def _new_files(context: RunContext, box: Sandbox, kept: SetupResult, mounts: list[str]) -> list[str]:
    """The files and empty folders that set-up created, with paths from the root. Raises _NotKept."""
    places, git = box.places, f"{box.places.workspace}/.git"
    roots = [places.workspace, places.home, "/tmp"]  # noqa: S108 - the container's own
    leave = " -o ".join(f"-path {shlex.quote(path)}" for path in (git, *mounts))
    found = _list_files(context, box, f"{' '.join(roots)} \\( {leave} \\) -prune -o -print0")
    changed = _list_files(
        context, box, f"{places.workspace} -newer {places.exchange}/{_MARK} ! -type d -print0"
    )
    _check_tracked(places, kept, set(found), set(changed))
    ours = {f"{places.workspace}/{path}" for path in (*kept.tracked_files, *_parents(kept.tracked_files))}
    theirs = {*ours, *roots, *_parents(found), *_parents(mounts)}
    made = [path for path in found if path not in theirs]
    if any("\n" in path or "\\" in path for path in made):
        raise _NotKept("a file's name has a line feed or a backslash in it")
    return [path.lstrip("/") for path in made]


def _check_tracked(places: Places, kept: SetupResult, found: set[str], changed: set[str]) -> None:
    for path, entry in kept.tracked_files.items():
        inside = f"{places.workspace}/{path}"
        if entry.mode != _SUBMODULE and (inside in changed or inside not in found):
            raise _NotKept(f"set-up changes the repository's own {path}")


def _list_files(context: RunContext, box: Sandbox, what: str) -> list[str]:
    out = bytearray()

    def take(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            out.extend(data)

    ended = box.exec(("sh", "-c", f"exec find {what}"), on_output=take, caps=context.spec.limits.caps)
    if ended.cause != "exited" or ended.code != 0:
        raise _NotKept("the image has no `find` that can list it all")
    return [os.fsdecode(path) for path in bytes(out).split(b"\0") if path]


def _store(kept: SetupResult, exchange: Path, made: list[str]) -> int:
    """Copy the archive to its folder; other programs in the sandbox may still run, so it is not moved."""
    kept.folder.mkdir(parents=True, exist_ok=True)
    prune(kept.folder)
    aside = kept.folder / f"{kept.key}.{os.getpid()}.{time.monotonic_ns()}.new"
    below = os.open(exchange, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with aside.open("wb") as file:
            for chunk in safe_fs.chunks(below, _ARCHIVE, _MAX_BYTES):
                file.write(chunk)
        os.unlink(_ARCHIVE, dir_fd=below)
        aside.chmod(0o644)
        kept.archive.unlink(missing_ok=True)
        (kept.folder / f"{kept.key}.list").write_bytes(os.fsencode("".join(f"{path}\n" for path in made)))
        size = aside.stat().st_size
        aside.rename(kept.archive)
        return size
    finally:
        aside.unlink(missing_ok=True)
        os.close(below)


def prune(folder: Path) -> None:
    """Remove results that no run has used for long. A mounted one stays with its sandbox."""
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            if path.suffix != ".list" and time.time() - path.stat().st_mtime > UNUSED_AFTER:
                path.unlink()
                path.with_suffix(".list").unlink(missing_ok=True)
