"""Readers of programs that print JSON lines: all that such readers have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runner.core.jsonl import json_object
from runner.core.model import Exit, Message, Outcome, Stream, TranscriptEvent, Unknown
from runner.core.partial_json import PartialObject, join_lines, parts, strip_terminal_codes
from runner.harnesses import Reader
from runner.harnesses._fields import MAX_TEXT, beginning
from runner.harnesses.outcome import Tally, judge

_LONGEST = 256 * 1024  # characters of a torn object that later lines may complete
_MOST_LINES = 200  # that it may have


class JsonReader(Reader):
    """Reads one object a line, and what can be read where something else is before, in or behind it."""

    program = ""
    """What the program is called in a verdict."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._torn = ""  # an object without its end, which the next lines may hold
        self._waited = 0  # lines since it began

    @abstractmethod
    def _events(self, data: Mapping[str, Any]) -> Iterator[TranscriptEvent]:
        """The events that an object tells."""

    def _complaint(self, line: bytes) -> Iterator[TranscriptEvent]:
        """The events that a line of standard error tells."""
        yield Message(role="system", text=beginning(line))

    def read(self, stream: Stream, line: bytes) -> Iterable[TranscriptEvent]:
        if not line.strip():
            return []
        return self._tally.count(self._complaint(line) if stream == "stderr" else self._line(line))

    def outcome(self, ended: Exit, changed: bool) -> Outcome:
        return judge(self._tally, self.program, ended, changed)

    def _line(self, line: bytes) -> Iterator[TranscriptEvent]:
        if (data := json_object(line)) is not None:
            self._torn = ""
            yield from self._events(data)
            return
        text = strip_terminal_codes(line)
        if self._torn and (found := join_lines(self._torn, text)) is not None:
            self._torn = ""
            data, text = found
            yield from self._events(data)
        yield from self._parts(text)

    def _parts(self, text: str) -> Iterator[TranscriptEvent]:
        found = list(parts(text))
        for part in found:
            if isinstance(part, str):
                yield Unknown(text=part[:MAX_TEXT])
            else:
                yield from self._events(part.data if isinstance(part, PartialObject) else part)
        self._remember(found[-1] if found else "", text)

    def _remember(self, last: object, text: str) -> None:
        """Keep what the next line may complete: an object that is torn, or printed on several lines."""
        if isinstance(last, PartialObject):
            self._torn = last.text
        elif isinstance(last, str):
            opened = text.lstrip() if text.lstrip().startswith("{") else ""
            self._torn = f"{self._torn}{text}" if self._torn else opened
        else:
            self._torn = ""
        self._waited = self._waited + 1 if self._torn else 0
        if len(self._torn) > _LONGEST or self._waited > _MOST_LINES:
            self._torn = ""
