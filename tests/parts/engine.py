"""A real Docker engine, and an image made of what this machine has."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from runner.clients.docker import engine as docker
from runner.core.errors import RunnerError
from tests.parts.need import missing

ROOT = Path(__file__).parent.parent.parent
CACHE = Path(tempfile.gettempdir()) / f"skillrunner-tests-{os.getuid()}"  # one engine for all checkouts
STARTED = CACHE / "dockerd.pid"  # of an engine that tests started
_PATIENCE = 60.0  # seconds for an engine to start or to stop


def answers() -> bool:
    """Whether an engine answers."""
    try:
        docker.connect().close()
    except RunnerError:
        return False
    return True


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """An engine that answers. It is started where there is none and we may, and stopped by its last user."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "engine.users").open("w") as users:
        with _alone("engine"):
            if not answers() and os.getuid() == 0 and shutil.which("dockerd"):
                _start()
            fcntl.flock(users, fcntl.LOCK_SH)
        if not answers():
            missing("a Docker engine", "start one, or install docker.io")
        yield
        docker.client().close()
        with _alone("engine"):
            if STARTED.exists() and _is_last(users):
                _stop(int(STARTED.read_text()))


@contextmanager
def _alone(name: str) -> Iterator[None]:
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start() -> None:
    with (CACHE / "dockerd.log").open("wb") as log:
        started = subprocess.Popen(["dockerd"], stdout=log, stderr=log, start_new_session=True)
    STARTED.write_text(str(started.pid))
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and not answers():
        if started.poll() is not None:  # perhaps because somebody else has just started one
            until = min(until, time.monotonic() + 15)
        time.sleep(0.2)
    started.returncode = 0  # it outlives this process: other users may still need it


def _stop(pid: int) -> None:
    STARTED.unlink()
    if _program(pid) != "dockerd":
        return
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and _program(pid) == "dockerd":
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.1)


def _program(pid: int) -> str:
    """The name of a running program; empty when there is none, or when it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/exe").readlink().name
    return ""


class OwnEngine:
    """An engine that nobody else uses, and that may be stopped; its containers have no network.

    It has a network namespace of its own: an engine told to have no bridge removes `docker0` when it starts
    (moby's `removeDefaultBridgeInterface`), and that is the bridge of the machine's engine.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.host = f"unix://{home}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        places = [f"--{name}-root={self.home}/{name}" for name in ("data", "exec")]
        options = ["--bridge=none", "--iptables=false", "--ip6tables=false", f"--pidfile={self.home}/pid"]
        with (self.home / "log").open("ab") as log:
            command = ["unshare", "--net", "dockerd", f"--host={self.host}", *places, *options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            assert time.monotonic() < until, (self.home / "log").read_text()[-2000:]
            time.sleep(0.1)

    def _answers(self) -> bool:
        asked = ["docker", f"--host={self.host}", "version"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def containers(self) -> list[str]:
        asked = ["docker", f"--host={self.host}", "ps", "--all", "--quiet"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()

    def image(self) -> str:
        """The tag of the local image, there as well."""
        build = [sys.executable, str(ROOT / "scripts/local_image.py")]
        environment = {**os.environ, "DOCKER_HOST": self.host}
        done = subprocess.run(build, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.strip()

    def freeze(self) -> None:
        """It takes what it is asked, and answers nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """As a restart of the service does it: the containers end."""
        self.thaw()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)
            self._process = None


@pytest.fixture
def own_engine() -> Iterator[OwnEngine]:
    if os.getuid() != 0 or not shutil.which("dockerd") or not shutil.which("docker"):
        missing("an engine of our own", "run this as root, with docker.io installed")
    home = Path(tempfile.mkdtemp(prefix="skillrunner-engine-"))
    made = OwnEngine(home)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def local_image(engine: None) -> str:
    """The tag of an image with a shell, git and Python, built once for all workers."""
    build = [sys.executable, str(ROOT / "scripts/local_image.py")]
    with _alone("image"):
        done = subprocess.run(build, capture_output=True, text=True, check=True)
    return done.stdout.strip()
