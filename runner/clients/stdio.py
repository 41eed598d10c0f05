"""Moves bytes between us and a running program within its limits: for processes and containers alike."""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from runner.core.model import Caps, NextInput, OnOutput, Stream

_CHUNK = 256 * 1024
_GLANCE = 0.05  # seconds between two checks whether the program has ended
_LINGER = 0.2  # seconds without output after which an ended program's output counts as complete
_TAIL = 4 * 1024**2  # bytes that pipes and the engine may still hold of what an ended program printed

LimitCause = Literal["timeout", "idle", "output", "disk"]


class CapReachedError(Exception):
    """The program is over one of its limits and has to be killed."""

    def __init__(self, cause: LimitCause) -> None:
        super().__init__(cause)
        self.cause: LimitCause = cause


class Clock:
    """A monotonic clock in seconds that can be paused. Threads may share it."""

    def __init__(self) -> None:
        self._state: tuple[float | None, float] = (
            None,
            0.0,
        )  # paused since when, and for how long before that

    def __call__(self) -> float:
        since, before = self._state
        return (time.monotonic() if since is None else since) - before

    @property
    def is_paused(self) -> bool:
        return self._state[0] is not None

    def pause(self) -> None:
        if not self.is_paused:
            self._state = (time.monotonic(), self._state[1])

    def resume(self) -> None:
        since, before = self._state
        if since is not None:
            self._state = (None, before + time.monotonic() - since)


@dataclass(slots=True)
class LimitMeter:
    """Counts output and time against the caps."""

    caps: Caps
    stop: Callable[[], None] = lambda: None  # called often; raises when the program has to be killed
    clock: Clock = field(default_factory=Clock)
    started_at: float = field(init=False)
    last_output_at: float = field(init=False)
    output_bytes: int = 0

    def __post_init__(self) -> None:
        self.started_at = self.last_output_at = self.clock()

    def note_output(self, size: int) -> None:
        self.last_output_at = self.clock()
        self.output_bytes += size
        if self.caps.output is not None and self.output_bytes > self.caps.output:
            raise CapReachedError("output")

    def check(self) -> None:
        self.stop()
        now = self.clock()
        if self.caps.timeout is not None and now - self.started_at >= self.caps.timeout:
            raise CapReachedError("timeout")
        if self.caps.idle is not None and now - self.last_output_at >= self.caps.idle:
            raise CapReachedError("idle")

    @property
    def duration(self) -> float:
        return self.clock() - self.started_at


class OutputSource(Protocol):
    """A source of output: `decode` splits the bytes read into pieces of the program's streams."""

    def fileno(self) -> int: ...

    def decode(self, data: bytes) -> Iterable[tuple[Stream, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Pipe:
    """The reading end of a pipe that carries one stream."""

    descriptor: int
    stream: Stream

    def fileno(self) -> int:
        return self.descriptor

    def decode(self, data: bytes) -> Iterable[tuple[Stream, bytes]]:
        return ((self.stream, data),)


def single_chunk(data: bytes) -> NextInput:
    """Input that consists of `data` alone."""
    pieces = iter((data,)) if data else iter(())
    return lambda: next(pieces, None)


@dataclass(slots=True)
class InputSink:
    """The program's standard input: the bytes that `next_input` returns, and then its end.

    `next_input` is called only when everything before is written: a program that does not read gets no more.
    """

    descriptor: int
    next_input: NextInput
    close: Callable[[], None]
    data: memoryview = memoryview(b"")
    is_closed: bool = False  # no more input will come

    def fileno(self) -> int:
        return self.descriptor

    def has_more(self) -> bool:
        """Whether there are bytes to write now; asks `next_input` for more."""
        if not self.data and not self.is_closed:
            said = self.next_input()
            self.is_closed = said is None
            self.data = memoryview(said or b"")
        return bool(self.data)

    def write(self) -> None:
        """Write as much as the program takes now. It need not read its input."""
        try:
            self.data = self.data[os.write(self.descriptor, self.data[:_CHUNK]) :]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.data, self.is_closed = memoryview(b""), True


@dataclass(slots=True)
class _End:
    """Decides when to stop reading: after a program's end its own output is read, its children's is not."""

    ended: Callable[[], bool]
    meter: LimitMeter
    since: float | None = None
    received: int = 0

    def reached(self, silent: bool) -> bool:
        now = self.meter.clock()
        if self.since is None:
            if self.ended():
                self.since, self.received = now, self.meter.output_bytes
            return False
        if silent and now - max(self.since, self.meter.last_output_at) > _LINGER:
            return True
        return self.meter.output_bytes - self.received > _TAIL


def pump(
    sources: Sequence[OutputSource],
    sink: InputSink | None,
    meter: LimitMeter,
    on_output: OnOutput,
    has_ended: Callable[[], bool],
) -> None:
    """Pass on all output until it ends, or until the program has ended and its output is complete.

    A background child may hold the streams open for ever, and even fill them: `has_ended` says that the
    program itself has ended. Output is read before more input is written, so an answer follows at once.
    Raises CapReachedError, and whatever `on_output` or the sink's `next_input` raises.
    """
    end = _End(has_ended, meter)
    with selectors.DefaultSelector() as selector:
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        told = _Input(selector, sources, sink) if sink is not None else None
        while _reading(selector, sources):
            if told is not None and told.is_over():
                told = None
            ready = selector.select(_GLANCE)
            for key, events in ready:
                if events & selectors.EVENT_WRITE and sink is not None:
                    sink.write()
                if events & selectors.EVENT_READ:
                    _receive(selector, key.fileobj, meter, on_output)  # type: ignore[arg-type]
            meter.check()
            if end.reached(silent=not ready):
                return


class _Input:
    """Watches until the program's standard input takes more, for as long as there is input."""

    def __init__(
        self, selector: selectors.BaseSelector, sources: Sequence[OutputSource], sink: InputSink
    ) -> None:
        self._selector, self._sink, self._writing = selector, sink, False
        # A socket has both directions, and can be registered only once.
        self._shared = next((one for one in sources if one.fileno() == sink.descriptor), None)
        os.set_blocking(sink.descriptor, False)

    def is_over(self) -> bool:
        """Whether all input was written and the program's standard input is closed."""
        if (more := self._sink.has_more()) != self._writing:
            self._writing = more
            self._watch(more)
        if not more and self._sink.is_closed:
            self._sink.close()
        return not more and self._sink.is_closed

    def _watch(self, writing: bool) -> None:
        if self._shared is not None:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(self._shared, both if writing else selectors.EVENT_READ)
        elif writing:
            self._selector.register(self._sink, selectors.EVENT_WRITE)
        else:
            self._selector.unregister(self._sink)


def _reading(selector: selectors.BaseSelector, sources: Sequence[OutputSource]) -> bool:
    return any(source.fileno() in selector.get_map() for source in sources)


def _receive(
    selector: selectors.BaseSelector, source: OutputSource, meter: LimitMeter, on_output: OnOutput
) -> None:
    try:
        data = os.read(source.fileno(), _CHUNK)
    except BlockingIOError:
        return
    except ConnectionResetError:
        data = b""
    if not data:
        selector.unregister(source)
        return
    for stream, piece in source.decode(data):
        on_output(stream, piece)
        meter.note_output(len(piece))


def half_close(sock: socket.socket) -> None:
    """Close the writing direction: the program sees the end of its input, and its output goes on."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
