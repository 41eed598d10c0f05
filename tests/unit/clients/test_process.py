"""The door to processes, and how the engine's streams are taken apart."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.clients import process
from runner.clients.docker.engine import Frames
from runner.clients.stdio import CapReachedError, Clock, LimitMeter
from runner.core.errors import RunnerError
from runner.core.model import Caps, Exit, Reason


@pytest.fixture
def shell(tmp_path: Path) -> "Shell":
    return Shell(tmp_path)


class Shell:
    """Runs scripts in a folder, and keeps what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = b""

    def __call__(self, script: str, *, stdin: bytes = b"", caps: Caps | None = None) -> Exit:
        return process.run(
            ("/bin/sh", "-c", script),
            cwd=self.folder,
            variables={"PATH": os.defpath},
            on_output=self.take,
            stdin=stdin,
            caps=caps,
        )

    def take(self, stream: str, data: bytes) -> None:
        self.out += data


def test_a_program_gets_the_given_variables_alone(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    shell("env | cut -d= -f1 | sort | xargs")
    assert set(shell.out.split()) <= {b"PATH", b"PWD", b"OLDPWD", b"SHLVL", b"_"}


def test_a_signal_is_a_negative_code(shell: Shell) -> None:
    assert shell("kill -TERM $$").code == -signal.SIGTERM


def test_input_larger_than_any_pipe_flows_both_ways(shell: Shell) -> None:
    data = os.urandom(2_000_000)
    shell("cat", stdin=data)
    assert shell.out == data


def test_a_program_may_close_its_streams_and_go_on(shell: Shell) -> None:
    ended = shell("exec >&- 2>&-; sleep 0.3; exit 7")
    assert (ended.cause, ended.code) == ("exited", 7)
    assert ended.duration >= 0.3


def test_its_time_runs_on_then(shell: Shell) -> None:
    assert shell("exec >&- 2>&-; sleep 60", caps=Caps(timeout=0.3)).cause == "timeout"


def test_output_keeps_a_program_from_being_idle(shell: Shell) -> None:
    ended = shell("for n in 1 2 3 4 5 6; do echo $n; sleep 0.25; done", caps=Caps(idle=1))
    assert ended.cause == "exited"


def test_a_program_is_asked_to_end_before_it_is_killed(shell: Shell) -> None:
    script = "trap 'echo saved > state; exit' TERM; sleep 60 & wait"
    assert shell(script, caps=Caps(timeout=0.3)).cause == "timeout"
    assert (shell.folder / "state").read_text() == "saved\n"


def test_the_whole_group_dies(shell: Shell) -> None:
    shell("for n in 1 2 3; do (trap '' TERM HUP; echo $$ >&2; sleep 60) & echo $!; done")
    children = [int(pid) for pid in shell.out.split()]
    assert children
    assert _gone(children)


@pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError])
def test_an_interrupted_listener_leaves_nothing_running(tmp_path: Path, error: type[BaseException]) -> None:
    seen: list[int] = []

    def interrupt(stream: str, data: bytes) -> None:
        seen.append(int(data))
        raise error

    with pytest.raises(error):
        process.run(
            ("/bin/sh", "-c", "echo $$; sleep 60"),
            cwd=tmp_path,
            variables={"PATH": os.defpath},
            on_output=interrupt,
        )
    assert _gone(seen)


def _gone(pids: list[int]) -> bool:
    """Whether none of these runs any more; one that nobody has buried yet is gone as well."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if not any(_runs(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _runs(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_several_run_at_once_without_mixing(tmp_path: Path) -> None:
    shells = [Shell(tmp_path) for _ in range(4)]
    scripts = [f"for n in $(seq 200); do echo {number}; done" for number in range(4)]
    threads = [
        threading.Thread(target=shell, args=(script,)) for shell, script in zip(shells, scripts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [shell.out for shell in shells] == [f"{number}\n".encode() * 200 for number in range(4)]


def test_descriptors_are_given_back(shell: Shell) -> None:
    shell("true")
    before = _descriptors()
    for _ in range(5):
        shell("true", stdin=b"x")
        shell("sleep 60", caps=Caps(timeout=0.05))
    assert _descriptors() == before


def _descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def _program(folder: Path, text: str, mode: int) -> Path:
    path = folder / "program"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode"), [("#!/no/such/interpreter\n", 0o755), ("no header\n", 0o755), ("#!/bin/sh\n", 0o644)]
)
def test_what_cannot_be_run_is_named(tmp_path: Path, text: str, mode: int) -> None:
    path = _program(tmp_path, text, mode)
    with pytest.raises(RunnerError) as caught:
        process.run((str(path),), cwd=tmp_path, variables={}, on_output=lambda *_: None)
    assert caught.value.reason is Reason.HARNESS_MISSING
    assert str(path) in caught.value.message


def test_arguments_that_are_too_long_are_no_crash(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="too long"):
        process.run(("/bin/echo", "x" * 50_000_000), cwd=tmp_path, variables={}, on_output=lambda *_: None)


def test_a_meter_allows_exactly_its_limit() -> None:
    meter = LimitMeter(Caps(output=10))
    meter.note_output(10)
    with pytest.raises(CapReachedError) as caught:
        meter.note_output(1)
    assert caught.value.cause == "output"


_PIECES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=20)


@given(_PIECES, st.data())
def test_frames_are_read_however_they_are_cut(pieces: list[tuple[int, bytes]], data: st.DataObject) -> None:
    wire = b"".join(bytes([kind, 0, 0, 0]) + len(piece).to_bytes(4, "big") + piece for kind, piece in pieces)
    frames, got = Frames(-1), {"stdout": b"", "stderr": b""}
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        for stream, piece in frames.decode(wire[:size]):
            got[stream] += piece
        wire = wire[size:]
    assert got == {
        "stdout": b"".join(piece for kind, piece in pieces if kind == 1),
        "stderr": b"".join(piece for kind, piece in pieces if kind == 2),
    }


def test_a_clock_that_is_held_stands_still() -> None:
    clock = Clock()
    before = clock()
    clock.pause()
    held = clock()
    meter = LimitMeter(Caps(timeout=0.001, idle=0.001), clock=clock)
    time.sleep(0.02)
    meter.check()
    clock.pause()
    assert clock.is_paused
    assert clock() == held >= before
    clock.resume()
    clock.resume()
    assert clock() - held < time.monotonic() - before
    time.sleep(0.02)
    with pytest.raises(CapReachedError):
        meter.check()
