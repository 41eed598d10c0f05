"""The output of a harness: stored as it came, and as events, with every secret masked."""

import json
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import IO, Any, Literal, Self

from runner.core.jsonl import LineSplitter
from runner.core.model import (
    Exit,
    Finish,
    Message,
    Problem,
    Reasoning,
    Stream,
    ToolCall,
    ToolResult,
    TranscriptEvent,
)
from runner.core.redact import Redactor, escape_invisible
from runner.harnesses import Reader

RAW = "transcript.raw"
COMPLAINTS = "stderr.log"
TRANSCRIPT = "transcript.jsonl"

_RAW_HEAD, _RAW_TAIL = 60 * 1024**2, 4 * 1024**2
_TRANSCRIPT_BYTES = 64 * 1024**2
_SPARE_BYTES = 1024**2  # beyond that, for end markers alone
_STRING = 64 * 1024  # characters of one text in the transcript
_DEEPEST = 32
ObserveTranscript = Callable[[TranscriptEvent], None]


class StallMonitor(Exception):  # noqa: N818 - it stops a command, and is not an error
    """Raised when a harness reports nothing but problems for the idle time: its model is not there."""

    def __init__(self, ended: Exit) -> None:
        self.exit = ended


class TranscriptLog:
    """Records the stream of one harness as files and as events. Problems alone do not count as progress."""

    def __init__(
        self,
        folder: Path,
        reader: Reader,
        secrets: Collection[str],
        observe: ObserveTranscript,
        idle: float,
        clock: Callable[[], float] = monotonic,
        note_end: Callable[[bool], None] = lambda is_last: None,
        goes_on: bool = False,
    ) -> None:
        """`note_end` is told when the agent says its last word (True), and when it works on (False).

        `goes_on`: the files hold the turns before, and what comes now is added to them.
        """
        self.reader = reader
        self.cuts: list[str] = []  # what is not kept, in words
        self.has_ended = False  # nothing but noise came after the agent's end marker
        self.events = 0
        self.files = tuple(folder / name for name in (RAW, COMPLAINTS, TRANSCRIPT))
        self._observe = observe
        self._idle = idle
        self._clock = clock
        self._note_end = note_end
        self._mode: Literal["ab", "wb"] = "ab" if goes_on else "wb"
        self._began = self._progress = clock()
        self._taken = 0
        self._mask = Redactor(secrets)
        self._lines: dict[Stream, LineSplitter] = {"stdout": LineSplitter(), "stderr": LineSplitter()}
        self._redactors: dict[Stream, Redactor] = {"stdout": Redactor(secrets), "stderr": Redactor(secrets)}
        self._raw: dict[Stream, HeadAndTail] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        raw, complaints, transcript = (self._open.enter_context(path.open(self._mode)) for path in self.files)
        self._raw = {"stdout": HeadAndTail(raw), "stderr": HeadAndTail(complaints)}
        self._transcript = transcript
        self._size, self._left_out = transcript.tell(), 0
        return self

    def __exit__(self, *_: object) -> None:
        with self._open:
            self.flush()
            for name, ends in zip((RAW, COMPLAINTS), self._raw.values(), strict=False):
                if missing := ends.close():
                    self.cuts.append(f"{name} has not all that was printed: {missing:,} bytes are not kept")

    def feed(self, stream: Stream, data: bytes) -> None:
        """Take more output of the harness."""
        self._raw[stream].write(self._redactors[stream].feed(data))
        for line in self._lines[stream].feed(data):
            self._read(stream, line)
        self._transcript.flush()
        self._taken += len(data)
        now = self._clock()
        if now - self._progress > self._idle:
            raise StallMonitor(self.exit_of_stop("idle"))

    def exit_of_stop(self, cause: Literal["idle", "cancelled", "exited"]) -> Exit:
        """The exit of a command that the runner stopped for this cause."""
        return Exit(cause=cause, code=None, duration=self.age, output_bytes=self._taken)

    def flush(self) -> None:
        """Both streams have ended: read what follows the last line feed."""
        for stream, lines in self._lines.items():
            self._raw[stream].write(self._redactors[stream].end())
            for line in lines.end():
                self._read(stream, line)
            if lines.truncated_lines:
                self.add_problem(
                    f"{lines.truncated_lines} lines of {stream} were longer than {lines.max_bytes} bytes"
                )
                lines.truncated_lines = 0
        if self._left_out:
            left_out, self._left_out = self._left_out, 0
            message = f"{left_out} further events are not in this transcript"
            self.cuts.append(f"{TRANSCRIPT} is over {_TRANSCRIPT_BYTES // 1024**2} MiB: {message}")
            self._write(Problem(message=message), _SPARE_BYTES)

    @property
    def age(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._began

    def add_message(self, text: str) -> None:
        """Record a message of a person to the agent."""
        self._write(Message(role="user", text=text))

    def add_problem(self, message: str) -> None:
        self._write(Problem(message=message))

    def _read(self, stream: Stream, line: bytes) -> None:
        for event in self.reader.read(stream, line):
            if not isinstance(event, Problem):
                self._progress = self._clock()
            self._follow(event)
            self._write(event, _SPARE_BYTES if isinstance(event, Finish) else 0)

    def _follow(self, event: TranscriptEvent) -> None:
        """Note whether the agent has said its last word."""
        if isinstance(event, Finish):
            self.has_ended = True
            if event.ok:  # after a bad end an agent may try once more, in silence
                self._note_end(True)
        elif self.has_ended and _is_work(event):
            self.has_ended = False
            self._note_end(False)

    def _write(self, event: TranscriptEvent, spare: int = 0) -> None:
        self.events += 1
        if self._size >= _TRANSCRIPT_BYTES + spare:
            self._left_out += 1
            return
        said = (one.name for one in fields(event) if one.name != "type")
        safe = {name: self._safe(getattr(event, name)) for name in said}
        line = json.dumps({"at": _now(), "type": event.type, **safe}, default=asdict).encode() + b"\n"
        self._size += len(line)
        self._transcript.write(line)
        self._observe(replace(event, **safe))

    def _safe(self, value: Any, depth: int = 0) -> Any:
        """The value with secrets masked, control characters visible, and nothing too long or too deep."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict | list) and depth == _DEEPEST:
            return "…"
        if isinstance(value, dict):
            return {self._text(key): self._safe(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list):
            return [self._safe(one, depth + 1) for one in value]
        return value

    def _text(self, text: str) -> str:
        text = escape_invisible(self._mask.redact(text))
        return text if len(text) <= _STRING else f"{text[:_STRING]}… ({len(text) - _STRING} more characters)"


@dataclass(slots=True)
class HeadAndTail:
    """Writes the beginning and the end of a stream to a file, and between them how many bytes are missing."""

    file: IO[bytes]
    room: int = field(default=0, init=False)  # bytes of the beginning that may still be written
    _tail: bytearray = field(default_factory=bytearray)
    _missing: int = 0

    def __post_init__(self) -> None:
        self.room = max(0, _RAW_HEAD - self.file.tell())

    def write(self, data: bytes) -> None:
        head, rest = data[: self.room], data[self.room :]
        self.room -= len(head)
        self.file.write(head)
        self._tail += rest
        if len(self._tail) > 2 * _RAW_TAIL:
            self._trim()

    def close(self) -> int:
        """Write the end. Returns how many bytes are missing."""
        self._trim()
        if self._missing:
            self.file.write(f"\n[{self._missing} bytes are not kept]\n".encode())
        self.file.write(self._tail)
        return self._missing

    def _trim(self) -> None:
        spare = max(0, len(self._tail) - _RAW_TAIL)
        self._missing += spare
        del self._tail[:spare]


def _is_work(event: TranscriptEvent) -> bool:
    """Whether an agent that tells this still works."""
    if isinstance(event, Message):
        return event.role == "assistant"
    return isinstance(event, Reasoning | ToolCall | ToolResult)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
