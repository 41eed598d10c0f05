"""Gives a run that has ended to a person: its work as a checkout, its agent's session in a home of its own.

Nothing that the agent wrote gets into the person's own home.
"""

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.clients.git import Git
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, RunSpec
from runner.harnesses import HARNESSES, sessions_of
from runner.run.agent.resume import EarlierRun, relocate_session
from runner.sandboxes import exchange
from runner.workspace.mirror import Mirror

_BESIDE = ".git/skillrunner"  # of the checkout: in none of its commits
_TOLD = ("transcript.jsonl", "transcript.raw", "stderr.log", "prompt.md", "patch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """What a person gets."""

    run: str
    folder: Path
    base_sha: str
    branch: str
    has_changes: bool  # they are staged, and not committed
    transcript: Path | None
    session: str | None
    command: str | None  # for a shell: goes on with the agent's own session
    key_variable: str | None  # by which the agent is given the key of its model
    why: str  # there is no command


def hand_off(spec: RunSpec, given: EarlierRun, state: Path, kept: Path, folder: Path) -> Handoff:
    """Put a run's work into the new or empty `folder`. `kept` is the folder with the run's files.

    Raises RunnerError when the folder contains anything, or this machine has no copy of the repository.
    """
    mirror = Mirror(state, spec.repository.url)
    branch = f"handoff/{given.run_id}"
    with _new_folder(folder):
        _check_out(mirror, spec, branch, folder)
        if given.patch:
            Git(folder).run("apply", "--3way", "--whitespace=nowarn", "-", stdin=given.patch)
        beside = folder / _BESIDE
        beside.mkdir()
        for path in (kept / name for name in _TOLD):
            if path.is_file():
                shutil.copyfile(path, beside / path.name)
        command = _session(spec, given, folder, beside)
    access = HARNESSES.get(spec.harness.kind).model_for(spec.harness.options)
    transcript = beside / "transcript.jsonl"
    return Handoff(
        run=given.run_id,
        folder=folder,
        base_sha=spec.base_sha,
        branch=branch,
        has_changes=bool(given.patch),
        transcript=transcript if transcript.exists() else None,
        session=given.session.id if given.session and command else None,
        command=command,
        key_variable=access.key_variable if access and command else None,
        why="" if command else _why(spec.harness.kind, given),
    )


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Create the folder; after a failure remove it."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        message, hint = f"{folder} is there already", "name another place: --to DIR"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    with safe_fs.os_errors():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield
        except BaseException:
            safe_fs.remove(folder)
            raise


def _check_out(mirror: Mirror, spec: RunSpec, branch: str, folder: Path) -> None:
    if not mirror.directory.is_dir():
        message = f"this machine has no copy of {spec.repository.url}"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="ask on the machine that ran it")
    base = mirror.resolve(spec.base_sha)
    Git(folder.parent).run("clone", "--quiet", "--no-checkout", "--template=", mirror.directory, folder)
    git = Git(folder)
    git.run("remote", "set-url", "origin", spec.repository.url)
    git.run("checkout", "--quiet", "--no-track", "-b", branch, base)


def _session(spec: RunSpec, given: EarlierRun, folder: Path, beside: Path) -> str | None:
    """Put the session where its program finds it, and return the command that continues it."""
    session = given.session
    sessions = sessions_of(session.harness) if session else None
    if session is None or sessions is None:
        return None
    home = beside / "home"
    home.mkdir(mode=0o700)
    for name, content in relocate_session(session, str(folder)).items():
        exchange.put(home, name, content, 0o600)
    argv = shlex.join(sessions.command(session.id, spec.harness.model))
    return f"cd {shlex.quote(str(folder))} && HOME={shlex.quote(str(home))} {argv}"


def _why(harness: str, given: EarlierRun) -> str:
    if sessions_of(harness) is None:
        return f"a session of {harness} cannot be taken elsewhere"
    return f"no session of its agent is kept: skillrunner show {given.run_id}"
