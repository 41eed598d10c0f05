"""Worker processes for tests, and what their store says of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.apps.worker.lease import uptime
from runner.core.model import Run, RunState
from runner.store import Store
from runner.store.decisions import find_newest
from runner.workspace import overlayfs
from tests.parts import in_process
from tests.parts.cli import Done, Project, clean_environment, skill_files

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 90.0
SILENCE = 6  # seconds after which workers of one database take each other for dead
YAML = """
template: true
on: {on}
overlap: {overlap}
harness: {{kind: command, command: [sh, -c, {command!r}]}}
limits: {{attempts: {attempts}{limits}}}
output: {output}
"""
PULL_REQUEST = '{{pull_request: {{title: "docs: {name}", paths: ["docs/**"], key: fixed}}}}'


def long_ago(minutes: int = 2) -> str:
    """A schedule that was due once, that long ago, and is not due again for a year."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return f"{{cron: '{at.minute} {at.hour} {at.day} {at.month} *'}}"


@dataclass(slots=True)
class Worker:
    """One process."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a power failure does it."""
        with suppress(OSError):
            self.process.kill()
        self.process.wait()

    def wait(self, timeout: float = PATIENCE) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.said()) from None

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass(slots=True)
class Team:
    """Workers that serve one project, and their store."""

    project: Project
    server: str = ""  # the URL of a PostgreSQL database; empty: a file
    settings: str = ""  # of the `worker:` section
    workers: list[Worker] = field(default_factory=list)
    _store: Store | None = None

    @property
    def store(self) -> Store:
        """The same that the workers use, and not fenced."""
        if self._store is None:
            self._store = Store(self.project.state, self.server)
        return self._store

    def commit(
        self,
        name: str,
        command: str,
        *,
        on: str | None = None,
        overlap: str = "queue",
        attempts: int = 1,
        limits: str = "",
        output: str = PULL_REQUEST,
        more: str = "",
        ago: timedelta = timedelta(hours=1),
    ) -> None:
        """A skill on the default branch, which came there that long ago."""
        said = {
            "command": command,
            "overlap": overlap,
            "attempts": attempts,
            "limits": f", {limits}" if limits else "",
            "output": output.format(name=name),
        }
        text = YAML.format(on=on or f"{{schedule: [{long_ago()}]}}", **said) + more
        self.project.write(skill_files(name, text))
        self.push(name, ago)

    def push(self, message: str, ago: timedelta = timedelta(hours=1)) -> None:
        self.project.git("add", "-A")
        when = {"GIT_COMMITTER_DATE": (datetime.now(UTC) - ago).isoformat()}
        environment = {**clean_environment(self.project.home), **when}
        subprocess.run(["git", "commit", "-qm", message], cwd=self.project.root, env=environment, check=True)
        self.project.git("push", "-q", "origin", "HEAD")

    def start(self, *argv: str, machine: str = "", sandbox: str = "process") -> Worker:
        """A worker; those of one `machine` share a state directory. `argv`: what it runs."""
        home = self.project.home / f"machine-{machine}"
        home.mkdir(exist_ok=True)
        log = home / f"worker-{len(self.workers)}.log"
        database = "database: DATABASE_URL, " if self.server else ""
        settings = ", ".join(filter(None, ("poll: 1s", self.settings)))
        (home / "skillrunner.yaml").write_text(
            f"sandbox: {sandbox}\nworker: {{repositories: ['{self.project.origin}'], {database}{settings}}}\n"
        )
        state = self.project.state if not machine else home / "state"
        environment = {
            **self.project.environment(),
            "SKILLRUNNER_STATE_DIR": str(state),
            "PYTHONPATH": str(ROOT),
            **({"DATABASE_URL": self.server} if self.server else {}),
        }
        with log.open("ab") as out:
            command = [sys.executable, *(argv or ("-m", "runner", "worker"))]
            process = subprocess.Popen(command, cwd=home, env=environment, stdout=out, stderr=out)
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def killed_at(self, step: str, when: str, machine: str = "") -> Worker:
        """A worker that is killed right before or after a step."""
        return self.start(str(ROOT / "tests/parts/killed.py"), step, when, "worker", machine=machine)

    def driver(self, *options: str, machine: str = "") -> Worker:
        return self.start("-m", "tests.parts.worker_driver", *options, machine=machine)

    def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        end = uptime() + patience
        began = time.monotonic()
        while not condition():
            assert uptime() < end, "\n".join(worker.said() for worker in self.workers)
            # Who asks takes at most a fifth of a processor from those who work.
            time.sleep(max(0.05, 4 * (time.monotonic() - began)))
            began = time.monotonic()

    @property
    def folder(self) -> Path:
        """Where the first worker was started."""
        return next(self.project.home.glob("machine-*"))

    def environment(self) -> dict[str, str]:
        return self.project.environment() | ({"DATABASE_URL": self.server} if self.server else {})

    def skillrunner(self, *argv: str, at: Path | None = None) -> Done:
        """What a command line prints in the folder of the first worker, and its exit code."""
        return Done(*in_process.call(argv, at or self.folder, self.environment()))

    def process(self, *argv: str, timeout: float = 120) -> Done:
        """The same in a process of its own."""
        command, options = self.project.command(*argv), {"cwd": self.folder, "env": self.environment()}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, **options
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def runs(self, skill: str | None = None) -> list[Run]:
        """All of them, the newest first."""
        return self.store.runs(limit=10_000, skill=skill)

    def states(self, skill: str | None = None) -> list[str]:
        return [run.state.value for run in self.runs(skill)]

    def is_in(self, state: RunState, skill: str | None = None) -> bool:
        return state.value in self.states(skill)

    def are_ended(self, count: int = 1, skill: str | None = None) -> bool:
        found = self.runs(skill)
        return len(found) >= count and all(run.end is not None for run in found)

    def why(self, skill: str) -> str:
        """The last decision's verdict, cause and sentence."""
        found = find_newest(self.store, skill, None, None, None)
        return f"{found[1].verdict} {found[1].cause}: {found[1].message}" if found else ""

    def commits(self, branch: str) -> int:
        """How many commits of ours are on a branch of the origin."""
        found = self.project.git("rev-list", f"main..{branch}", cwd=self.project.origin)
        return len(found.split())

    def close(self) -> None:
        for worker in self.workers:
            with suppress(OSError):
                worker.signal(signal.SIGCONT)
            worker.kill()
        if self._store is not None:
            self._store.close()
        for tree in self.project.home.glob("**/workspaces/*/tree"):
            overlayfs.unmount(tree)  # the next worker would; what is mounted cannot be cleared away


@contextmanager
def made(project: Project, server: str = "", settings: str = "") -> Iterator[Team]:
    team = Team(project, server, settings)
    try:
        yield team
    finally:
        team.close()


@pytest.fixture
def team(project: Project) -> Iterator[Team]:
    """Workers with a file for a database."""
    with made(project) as one:
        yield one


@pytest.fixture
def cluster(project: Project, postgres: str) -> Iterator[Team]:
    """Workers that share a PostgreSQL database."""
    with made(project, postgres, f"silence: {SILENCE}s") as one:
        yield one


def processes(mark: str) -> list[int]:
    """The processes whose command line holds `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found
