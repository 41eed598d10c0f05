"""Runs processes of the host, each in a group of its own that is killed as a whole."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.clients.stdio import CapReachedError, Clock, InputSink, LimitMeter, Pipe, pump, single_chunk
from runner.core.errors import RunnerError
from runner.core.model import Caps, Exit, NextInput, OnOutput, Phase, Reason

_GRACE = 2.0  # seconds between asking a group to end and killing it


def run(
    argv: tuple[str, ...],
    *,
    cwd: Path,
    variables: Mapping[str, str],
    on_output: OnOutput,
    stdin: bytes | NextInput = b"",
    caps: Caps | None = None,
    stop: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
) -> Exit:
    """Run a program with exactly `variables` as its environment, and hand on its output as it flows.

    It leads a new session. When it ends, reaches a cap, or `on_output` or `stop` raises, everything that is
    still in its process group is killed; a child that began a session of its own is out of reach. While
    `clock` is paused the group is stopped.
    Raises RunnerError HARNESS_MISSING when there is no such program.
    """
    clock = clock or Clock()
    process = _start(argv, cwd, variables)
    group = _Group(process.pid, clock, stop)
    meter = LimitMeter(caps or Caps(), group.obey, clock)
    try:
        _pump(process, stdin, meter, on_output)
        code = _wait(process, meter)
        return Exit(cause="exited", code=code, duration=meter.duration, output_bytes=meter.output_bytes)
    except CapReachedError as reached:
        _end_group(process)
        return Exit(cause=reached.cause, code=None, duration=meter.duration, output_bytes=meter.output_bytes)
    finally:
        _kill_group(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


@dataclass(slots=True)
class _Group:
    id: int
    clock: Clock
    stop: Callable[[], None]
    held: bool = False

    def obey(self) -> None:
        self.stop()
        if self.clock.is_paused != self.held:
            self.held = not self.held
            _signal(self.id, signal.SIGSTOP if self.held else signal.SIGCONT)


def _start(argv: tuple[str, ...], cwd: Path, variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:  # also: too many arguments, a script without an interpreter
        raise RunnerError(
            Phase.HARNESS,
            Reason.HARNESS_MISSING,
            f"{argv[0]} cannot be run: {error.strerror}",
            hint="install it, or name another program in the skill's `harness`",
        ) from error


def _pump(
    process: "subprocess.Popen[bytes]", stdin: bytes | NextInput, meter: LimitMeter, on_output: OnOutput
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    say = single_chunk(stdin) if isinstance(stdin, bytes) else stdin
    sink = InputSink(process.stdin.fileno(), say, process.stdin.close)
    sources = (Pipe(process.stdout.fileno(), "stdout"), Pipe(process.stderr.fileno(), "stderr"))
    pump(sources, sink, meter, on_output, lambda: process.poll() is not None)


def _wait(process: "subprocess.Popen[bytes]", meter: LimitMeter) -> int:
    """The exit code of a program that has closed its streams, which need not mean that it has ended."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.05)
        meter.check()


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM, then SIGKILL: an agent may have something to save."""
    _signal(process.pid, signal.SIGTERM)
    until = time.monotonic() + _GRACE
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def _kill_group(group: int) -> None:
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
