"""Locks keep processes apart, and end with them."""

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from runner.core.locks import is_locked, lock

HOLD = """
import sys, time
from pathlib import Path
from runner.core.locks import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["file", "folder"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    found = tmp_path / "x"
    if request.param == "folder":
        found.mkdir()
    return found


def test_one_holds_it_and_the_next_may_after_it(path: Path) -> None:
    with lock(path):
        assert is_locked(path)
        with pytest.raises(BlockingIOError), lock(path, wait=False):
            raise AssertionError("two hold it")
    assert not is_locked(path)
    with lock(path, wait=False):
        assert is_locked(path)


def test_several_share_it_and_none_is_alone_meanwhile(path: Path) -> None:
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(lock(path, shared=True, wait=False))
        assert not is_locked(path), "nobody holds it alone"
        with pytest.raises(BlockingIOError), lock(path, wait=False):
            raise AssertionError("it is alone")
    with lock(path, wait=False), pytest.raises(BlockingIOError), lock(path, shared=True, wait=False):
        raise AssertionError("it is shared")


def test_what_is_absent_is_not_locked_and_not_made(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "x")
    assert not is_locked(tmp_path / "x/y")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_holds_it_no_longer(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_locked(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_locked(path)


def test_a_waiting_process_gets_it_when_the_holder_ends(path: Path) -> None:
    with lock(path):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.kill()
    process.communicate()
