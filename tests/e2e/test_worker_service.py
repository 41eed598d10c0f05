"""A worker as a service: its supervisor hears how it is, and a health check can ask."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.store import Store
from runner.store.workers import Worker, WorkerStore
from tests.parts.cli import Done, Project, skill_files

YAML = (
    'on: {schedule: [{cron: "0 0 1 1 *"}]}\nharness: {kind: command, command: ["true"]}\noutput: {none: {}}\n'
)
PATIENCE = 90.0


@pytest.fixture
def served(project: Project) -> Project:
    project.commit(skill_files("yearly", YAML))
    (project.home / "skillrunner.yaml").write_text(
        f"sandbox: process\nworker: {{repositories: ['{project.origin}'], poll: 1s, drain: 20s}}\n"
    )
    return project


@contextmanager
def worker(project: Project, variables: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        project.command("worker"),
        cwd=project.home,
        env={**project.environment(), **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def health(project: Project) -> Done:
    done = subprocess.run(
        project.command("worker", "status", "--healthy"),
        cwd=project.home,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def heard(listener: socket.socket, word: str) -> list[str]:
    """What is said, up to and with a message that begins with `word`."""
    said = [""]
    while not said[-1].startswith(word):
        said.append(listener.recv(4096).decode())
    return said[1:]


def test_a_supervisor_hears_that_it_works_lives_and_ends(served: Project, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE)
        variables = {"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "200000"}
        with worker(served, variables) as process:
            before = heard(listener, "READY=1")
            assert "STATUS=working; repositories: 1, runs: 0" not in before
            assert heard(listener, "STATUS=working; repositories: 1, runs: 0")
            assert heard(listener, "WATCHDOG=1")
            assert heard(listener, "WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            assert heard(listener, "STOPPING=1")
            assert process.wait(timeout=PATIENCE) == 0


def test_health_is_that_of_a_worker_of_this_host(served: Project) -> None:
    before = health(served)
    assert (before.code, before.out) == (1, f"not healthy: no worker runs on {os.uname().nodename}\n")
    with worker(served, {}) as process:
        until = time.monotonic() + PATIENCE
        while (now := health(served)).code:
            assert time.monotonic() < until, now
        assert now.out.startswith(f"healthy: {os.uname().nodename}-")
        assert "is running" in now.out
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    assert health(served).code == 1


def test_a_worker_that_fell_silent_is_not_healthy(served: Project) -> None:
    store = Store(served.state)
    then = datetime.now(UTC) - timedelta(seconds=100)
    facts = {"pid": 1, "version": "1", "capacity": 1, "state": "running", "place": "here", "silence": 30.0}
    facts |= {"started_at": then, "seen_at": then}
    for host in (os.uname().nodename, "elsewhere"):
        WorkerStore(store).register(Worker(id=f"{host}-1", host=host, **facts))  # type: ignore[arg-type]
    WorkerStore(store).renew("elsewhere-1", datetime.now(UTC))
    store.close()
    now = health(served)
    assert now.code == 1
    assert now.out.startswith(f"not healthy: {os.uname().nodename}-1 is running, last heard of 10")


def test_a_secret_comes_from_a_file_or_the_worker_says_why_not(served: Project, tmp_path: Path) -> None:
    served.variables["GITHUB_TOKEN_FILE"] = str(tmp_path / "absent")
    done = health(served)
    assert done.code == 3
    assert f"GITHUB_TOKEN_FILE: {tmp_path}/absent cannot be read: No such file or directory" in done.err
