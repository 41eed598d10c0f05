"""Splits a stream of bytes into lines in bounded memory, and reads a line's JSON object."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from runner.core.payload import parse_json

MAX_LINE = 8 * 1024**2
_TAIL = 8  # of a line over the limit, its last eighth of that is kept as well


@dataclass(slots=True)
class LineSplitter:
    """Splits what it is fed at line feeds. Of a line over `max_bytes` its beginning and its end are kept.

    Lines come without their end (LF or CRLF). Agents print single lines of many hundred kilobytes, so
    `max_bytes` is generous; a line without any end must still not fill the memory. What is missing of a long
    one is told in its place: where that is within one text of a JSON object, it stays one.
    """

    max_bytes: int = MAX_LINE
    truncated_lines: int = 0  # lines of which the middle was dropped
    _held: list[bytes] = field(default_factory=list)
    _size: int = 0
    _tail: bytearray = field(default_factory=bytearray)
    _dropped: int = 0  # bytes of the line between its beginning and its end
    _escaped: bool = False  # a backslash before `_tail` belongs to its first byte

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes."""
        first, *others = data.split(b"\n")
        self._hold(first)
        for part in others:
            yield self._take()
            self._hold(part)

    def end(self) -> Iterator[bytes]:
        """The last line, if the stream ended without a line feed."""
        if self._size:
            yield self._take()

    def _hold(self, part: bytes) -> None:
        room = self.max_bytes - self._size
        if len(part) > room:
            over, part = part[room:], part[:room]
            if not self._tail:
                self._escaped = _ends_escaped(b"".join(self._held) + part, before=False)
            self._tail += over
            self._trim(2)
        if part:
            self._held.append(part)
            self._size += len(part)

    def _trim(self, spare: int) -> None:
        """Drop all but the end of what is over the limit, once it is `spare` times as much."""
        longest = max(1, self.max_bytes // _TAIL)
        if len(self._tail) > spare * longest:
            self._escaped = _ends_escaped(self._tail[:-longest], self._escaped)
            self._dropped += len(self._tail) - longest
            del self._tail[:-longest]

    def _take(self) -> bytes:
        line = b"".join(self._held)
        if self._tail:
            line = self._cut(line)
        self._held.clear()
        self._size = 0
        return line.removesuffix(b"\r")

    def _cut(self, line: bytes) -> bytes:
        self._trim(1)
        end = bytes(self._tail)
        if self._dropped:
            self.truncated_lines += 1
            line = _without_cut_escape(line) + b" ... (%d bytes are left out) ... " % self._dropped
            end = end[self._escaped :]
        self._tail.clear()
        self._dropped = 0
        return line + end


def _ends_escaped(data: bytes | bytearray, before: bool) -> bool:
    """Whether the byte after `data` is escaped by its last one; `before`: whether its first one is."""
    run = len(data) - len(data.rstrip(b"\\"))
    return (run % 2 == 1) is not (before and run == len(data))


def _without_cut_escape(line: bytes) -> bytes:
    """The bytes without a JSON escape at their end of which the rest may be missing."""
    last = line.rfind(b"\\", max(0, len(line) - 6))
    return line if last < 0 else line[:last].rstrip(b"\\")


def json_object(line: bytes) -> Mapping[str, Any] | None:
    """The line's JSON object; None when it is anything else, nested too deeply, or not JSON at all."""
    try:
        data = parse_json(line, parse_constant=_no_constant)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
