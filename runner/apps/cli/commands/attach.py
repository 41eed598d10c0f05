"""`skillrunner attach`: watch a run, and talk to its agent."""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING

import click

from runner.apps.cli.commands import scope_of, settings
from runner.apps.cli.commands.logs import event_line
from runner.apps.terminal import say
from runner.core.errors import RunnerError, exit_code
from runner.core.jsonl import LineSplitter, json_object
from runner.core.model import End, Phase, Reason, RunState

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.store import Store

_PAUSE = 0.3  # seconds between two polls
_PIECE = 64 * 1024  # bytes that are read at a time


@click.command()
@click.argument("run", default="latest")
@click.pass_context
def command(context: click.Context, run: str) -> None:
    """Follow RUN while it goes on; each line that is typed is said to its agent, as `steer` does.

    Ctrl-C leaves the run alone, and so does the end of the input. Ends with the run, and with its exit code.
    """
    from runner.run import stores

    options: Options = context.obj
    with stores.open_store(settings(options)) as runs:
        found = runs.run(run, scope_of(options))
        with _interruptions() as interrupted:
            end = _attached(runs, found.id, interrupted)
    if end is None:
        say(f"detached: run {found.id} goes on", err=True)
        return
    say(f"-- {end.state}: {end.message}")
    context.exit(exit_code(end))


@contextmanager
def _interruptions() -> Iterator[Event]:
    """Set by Ctrl-C, which raises nothing meanwhile: an exception may come where nobody can pass it on."""
    asked = Event()
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _attached(runs: "Store", run_id: str, interrupted: Event) -> "End | None":
    """Show what the agent does, and send it the typed lines, until the run ends. None: interrupted."""
    typed = InputLines(sys.stdin.fileno() if sys.stdin is not None and not sys.stdin.closed else None)
    with ExitStack() as stack:
        growing = TranscriptTail(stack)
        while not interrupted.is_set():
            run = runs.run(run_id)  # asked before reading, so that the end is read too
            for line in growing.lines(runs.files_of(run)):
                if text := event_line(json_object(line)):
                    say(text)
            if run.end is not None:
                return run.end
            if run.state is RunState.WAITING:
                return _waits(runs, run_id)
            for words in typed.lines():
                _say(runs, run_id, words)
            runs.sweep_lost()
    return None


def _waits(runs: "Store", run_id: str) -> "End":
    """As far as its agent is concerned a run that waits for a person has ended."""
    from runner.scheduler.obstacles import why_waiting
    from runner.store.approvals import ApprovalStore

    last = ApprovalStore(runs).last(run_id)
    message, reason = why_waiting(last).message if last else "", Reason.APPROVAL_AWAITED
    return End(state=RunState.WAITING, phase=Phase.APPROVAL, reason=reason, message=message)


def _say(runs: "Store", run_id: str, words: str) -> None:
    from runner.store import messages

    try:
        messages.send(runs, run_id, words, datetime.now(UTC))
    except RunnerError as error:  # it has ended meanwhile, which the next look tells
        say(f"not sent: {error.message}", err=True)


@dataclass(slots=True)
class InputLines:
    """The complete lines of standard input, read without a thread that waits for the next one."""

    descriptor: int | None  # None: there is none, or it has ended
    _lines: LineSplitter = field(default_factory=LineSplitter)

    def lines(self) -> list[str]:
        """The lines typed since the last call; waits briefly for them."""
        if self.descriptor is None:
            time.sleep(_PAUSE)
            return []
        if not select.select([self.descriptor], [], [], _PAUSE)[0]:
            return []
        data = os.read(self.descriptor, _PIECE)
        if data:
            found = list(self._lines.feed(data))
        else:
            self.descriptor, found = None, list(self._lines.end())
        return [text for line in found if (text := line.decode(errors="replace").strip())]


@dataclass(slots=True)
class TranscriptTail:
    """Follows the transcript of a run's last attempt."""

    stack: ExitStack
    _path: Path | None = None
    _file: IO[bytes] | None = None
    _lines: LineSplitter = field(default_factory=LineSplitter)

    def lines(self, folder: Path) -> Iterator[bytes]:
        """The lines written since the last call."""
        from runner.run.agent.transcript import TRANSCRIPT

        path = folder / TRANSCRIPT
        if path != self._path:
            with suppress(FileNotFoundError):
                self._file = self.stack.enter_context(path.open("rb"))
                self._path, self._lines = path, LineSplitter()
        while self._file is not None and (piece := self._file.read(_PIECE)):
            yield from self._lines.feed(piece)
