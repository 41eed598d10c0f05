"""What the queue promises, on SQLite and on PostgreSQL."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from runner.store.engine import open_engine

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 30.0


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queue.db"
    found: str = request.getfixturevalue("postgres")
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


class Seen:
    """A handler that notes what it is given."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []

    def __call__(self, run_id: str, attempt: int) -> None:
        self.begun.append((run_id, attempt))


def test_an_attempt_begins_once(url: str) -> None:
    seen = Seen()
    with open_engine(url, "w1", seen) as engine:
        for _ in range(3):
            engine.enqueue("a", 1)
        engine.enqueue("a", 2)
        until(lambda: len(seen.begun) == 2)
    with open_engine(url, "w2", seen) as engine:
        engine.enqueue("a", 1)
        engine.enqueue("b", 1)
        until(lambda: len(seen.begun) == 3)
    assert sorted(seen.begun) == [("a", 1), ("a", 2), ("b", 1)]


def test_many_at_a_time(url: str) -> None:
    barrier = threading.Barrier(8, timeout=PATIENCE)
    met: list[str] = []

    def handle(run_id: str, _: int) -> None:
        barrier.wait()
        met.append(run_id)

    with open_engine(url, "w1", handle) as engine:
        for number in range(8):
            engine.enqueue(f"x-{number}", 1)
        until(lambda: len(met) == 8)


def test_what_has_ended_can_be_forgotten(url: str) -> None:
    seen = Seen()
    with open_engine(url, "w1", seen) as engine:
        engine.enqueue("x", 1)
        until(lambda: len(seen.begun) == 1)
        until(lambda: engine.engine.get_workflow_status("x:1").status == "SUCCESS")
        engine.forget({"x": 2})
        engine.enqueue("x", 1)
        until(lambda: len(seen.begun) == 2)


@contextmanager
def worker(url: str, name: str, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.parts.queue_worker", url, name, str(seconds)],
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        with suppress(OSError):
            process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def test_the_runs_of_a_killed_worker_are_handled_by_another(url: str) -> None:
    """One after the other: a second process beside a living one is what SQLite does not serve."""
    with worker(url, "dies", 60) as first:
        tell(first, "start x")
        assert line(first) == "begin x:1"
        first.kill()
    with worker(url, "lives", 0) as second:
        tell(second, "start y")
        assert [line(second), line(second)] == ["begin y:1", "end y:1"]
        tell(second, "recover dies")
        assert {line(second), line(second), line(second)} == {"recovered 1", "begin x:1", "end x:1"}
        tell(second, "recover dies")
        assert line(second) == "recovered 0"


def collect(process: "subprocess.Popen[str]", told: list[str]) -> None:
    assert process.stdout is not None
    told.extend(text.strip() for text in process.stdout)


def test_of_two_who_recover_one_handles_it(postgres: str) -> None:
    with worker(postgres, "dies", 60) as first:
        tell(first, "start x")
        assert line(first) == "begin x:1"
        first.kill()
    with worker(postgres, "one", 0) as one, worker(postgres, "two", 0) as two:
        for process in (one, two):
            tell(process, "recover dies")
        told: list[str] = []
        readers = [threading.Thread(target=collect, args=(process, told)) for process in (one, two)]
        for reader in readers:
            reader.start()
        until(lambda: sum(text.startswith("recovered ") for text in told) == 2 and "end x:1" in told)
        tell(one, "start last")
        until(lambda: "end last:1" in told)
        for process in (one, two):
            process.terminate()
    for reader in readers:
        reader.join()
    assert told.count("begin x:1") == 1
