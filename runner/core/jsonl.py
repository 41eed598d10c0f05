"""Splits a stream of bytes into lines in bounded memory, and reads a line's JSON object."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

MAX_LINE = 8 * 1024**2


@dataclass(slots=True)
class LineSplitter:
    """Splits what it is fed at line feeds. Of a line over `longest` bytes only the beginning is kept.

    Lines come without their end (LF or CRLF). Agents print single lines of many hundred kilobytes, so
    `longest` is generous; a line without any end must still not fill the memory.
    """

    max_bytes: int = MAX_LINE
    truncated_lines: int = 0  # lines of which the end was dropped
    _held: list[bytes] = field(default_factory=list)
    _size: int = 0
    _cutting: bool = False

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
            part = part[:room]
            self.truncated_lines += not self._cutting
            self._cutting = True
        if part:
            self._held.append(part)
            self._size += len(part)

    def _take(self) -> bytes:
        line = b"".join(self._held).removesuffix(b"\r")
        self._held.clear()
        self._size = 0
        self._cutting = False
        return line


def json_object(line: bytes) -> Mapping[str, Any] | None:
    """The line's JSON object; None when it is anything else, nested too deeply, or not JSON at all."""
    try:
        data = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
