"""The body of another's answer as it comes, in large pieces and without its framing.

`http.client` reads one chunk at a time through a buffer of 8 KiB, which costs more than all else in a relay.
Source: RFC 9112, "HTTP/1.1", sections 6 and 7.1.
"""

import re
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, IncompleteRead

PIECE = 256 * 1024  # bytes that are read at a time
_LINE = 4096  # bytes of a chunk's size with its extensions, or of a trailer
_TRAILERS = 100
_BETWEEN = re.compile(rb"\r\n([0-9a-fA-F]{1,15})\r\n")  # what nearly always stands between two chunks
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;.*)?", re.DOTALL)


class FramingError(HTTPException):
    """Where the answer ends cannot be told."""


@dataclass(slots=True)
class Body:
    """Of an answer whose head has been read. Nothing else may read it."""

    answer: HTTPResponse
    whole: bool = False  # all of it has come
    _buffer: bytearray = field(default_factory=bytearray)
    _chunks: "Chunks | None" = None
    _missing: int | None = None

    def __post_init__(self) -> None:
        self._missing = self.answer.length
        self.whole = self._missing == 0
        if self.answer.chunked and not self.whole:
            self._chunks = Chunks()

    @property
    def length(self) -> int | None:
        """Bytes that are still to come, where that is known."""
        return self._missing

    def read(self) -> bytes:
        """What has come by now, at least a byte; empty at the end. Raises OSError, HTTPException."""
        while not self.whole:
            if piece := self._taken(self._filled()):
                return piece
        return b""

    def _filled(self) -> int:
        """How many bytes came into the buffer; what was read together with the head comes first, and alone.

        `readinto1` would wait for more behind it, and most answers are over with that.
        """
        if not self._buffer:
            self._buffer = bytearray(self.answer.fp.read1(PIECE))
            return len(self._buffer)
        if len(self._buffer) < PIECE:
            self._buffer = bytearray(PIECE)
        return self.answer.fp.readinto1(self._buffer)

    def _taken(self, count: int) -> bytes:
        if count == 0:
            if self._chunks is not None or self._missing:
                raise IncompleteRead(b"", self._missing)
            self.whole = True
        if self._chunks is not None:
            piece = b"".join(self._chunks.feed(self._buffer, count))
            self.whole = self._chunks.over
            return piece
        if self._missing is not None:
            count = min(count, self._missing)
            self._missing -= count
            self.whole = self._missing == 0
        return bytes(memoryview(self._buffer)[:count])


@dataclass(slots=True)
class Chunks:
    """Takes the chunked transfer coding off what it is fed, cut anywhere."""

    over: bool = False
    _left: int = 0  # bytes of this chunk
    _gap: bool = False  # the end of a line comes, after a chunk
    _trailers: int | None = None  # how many have come after the last chunk
    _line: bytes = b""

    def feed(self, buffer: bytearray, count: int) -> list[memoryview]:
        """The parts of the first `count` bytes that belong to the body. Raises FramingError."""
        view, parts, at = memoryview(buffer), [], 0
        while at < count and not self.over:
            if self._left:
                end = min(count, at + self._left)
                parts.append(view[at:end])
                self._left -= end - at
                at = end
            elif self._gap and not self._line and (found := _BETWEEN.match(buffer, at, count)):
                self._begin(int(found[1], 16))
                at = found.end()
            else:
                at = self._next_line(buffer, at, count)
        if at < count:
            raise FramingError("more came than the answer")
        return parts

    def _next_line(self, buffer: bytearray, at: int, count: int) -> int:
        """Where the line that begins at `at` ends."""
        end = buffer.find(b"\n", at, min(count, at + _LINE))
        self._line += buffer[at : count if end < 0 else end]
        if len(self._line) > _LINE or (end < 0 and count - at >= _LINE):
            raise FramingError("a line between chunks is too long")
        if end < 0:
            return count
        line, self._line = self._line.removesuffix(b"\r"), b""
        self._read(line)
        return end + 1

    def _read(self, line: bytes) -> None:
        if self._trailers is not None:
            self._trailers += 1
            self.over = not line
            if self._trailers > _TRAILERS:
                raise FramingError("there are too many trailers")
        elif self._gap:
            self._gap = False
            if line:
                raise FramingError("a chunk is longer than it says")
        elif found := _SIZE.fullmatch(line):
            self._begin(int(found[1], 16))
        else:
            raise FramingError("a chunk does not tell its size")

    def _begin(self, size: int) -> None:
        """A chunk; after one without any bytes only trailers come."""
        self._left = size
        self._gap = size > 0
        self._trailers = None if size else 0
