"""A real Docker engine, and an image made of what this machine has."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.doors import docker
from tests.parts.need import missing

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache"


def answers() -> bool:
    return (shutil.which("docker") is not None and _info()) or _sdk_answers()


def _info() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _sdk_answers() -> bool:
    from docker import from_env
    from docker.errors import DockerException

    try:
        from_env(timeout=5).close()
    except DockerException:
        return False
    return True


def _start_engine() -> None:
    """Start an engine that outlives this test process: several of them may share it."""
    log = (CACHE / "dockerd.log").open("wb")
    subprocess.Popen(["dockerd"], stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and not answers():
        time.sleep(0.3)


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """An engine that answers; started where nobody has and we may."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answers() and os.getuid() == 0 and shutil.which("dockerd"):
            _start_engine()
    if not answers():
        missing("a Docker engine", "start one, or install docker.io")
    yield
    docker.client().close()


@pytest.fixture(scope="session")
def local_image(engine: None) -> str:
    """The tag of an image with a shell, git and Python."""
    with (CACHE / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts/local_image.py")], capture_output=True, text=True, check=True
        )
    return done.stdout.strip()
