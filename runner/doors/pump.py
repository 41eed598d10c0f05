"""Moves bytes between a running program and us, while its limits hold: for processes and containers alike."""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from runner.model import Caps, OnOutput, Stream

_CHUNK = 256 * 1024
_GLANCE = 0.05  # seconds between looks at whether the program has ended
_LINGER = 0.2  # seconds of silence after which an ended program has nothing more to say
_TAIL = 4 * 1024**2  # bytes that pipes and the engine may still hold of what an ended program printed

Cause = Literal["timeout", "idle", "output"]


class CapReachedError(Exception):
    """The program is over one of its limits and has to die."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


@dataclass(slots=True)
class Meter:
    """Counts output and time against the caps, on a clock that no one can set."""

    caps: Caps
    stop: Callable[[], None] = lambda: None  # asked all the time; raises when the program has to die
    started: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    received: int = 0

    def took(self, size: int) -> None:
        self.heard = time.monotonic()
        self.received += size
        if self.caps.output is not None and self.received > self.caps.output:
            raise CapReachedError("output")

    def check(self) -> None:
        self.stop()
        now = time.monotonic()
        if self.caps.timeout is not None and now - self.started >= self.caps.timeout:
            raise CapReachedError("timeout")
        if self.caps.idle is not None and now - self.heard >= self.caps.idle:
            raise CapReachedError("idle")

    @property
    def duration(self) -> float:
        return time.monotonic() - self.started


class Source(Protocol):
    """Something to read from: `decode` splits what was read into pieces of the program's streams."""

    def fileno(self) -> int: ...

    def decode(self, data: bytes) -> Iterable[tuple[Stream, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Pipe:
    """One end of a pipe that carries one stream."""

    descriptor: int
    stream: Stream

    def fileno(self) -> int:
        return self.descriptor

    def decode(self, data: bytes) -> Iterable[tuple[Stream, bytes]]:
        return ((self.stream, data),)


@dataclass(slots=True)
class Sink:
    """What the program reads: `data`, and then the end of its standard input."""

    descriptor: int
    data: memoryview
    close: Callable[[], None]

    def fileno(self) -> int:
        return self.descriptor

    def write(self) -> bool:
        """Write what fits now; whether there is more. A program need not read its input."""
        try:
            sent = os.write(self.descriptor, self.data[:_CHUNK]) if self.data else 0
        except BlockingIOError:
            sent = 0
        except (BrokenPipeError, ConnectionResetError):
            sent = len(self.data)
        self.data = self.data[sent:]
        return bool(self.data)


@dataclass(slots=True)
class _End:
    """Tells when to stop reading: an ended program is heard out, a child that it left behind is not."""

    ended: Callable[[], bool]
    meter: Meter
    since: float | None = None
    received: int = 0

    def reached(self, silent: bool) -> bool:
        now = time.monotonic()
        if self.since is None:
            if self.ended():
                self.since, self.received = now, self.meter.received
            return False
        if silent and now - max(self.since, self.meter.heard) > _LINGER:
            return True
        return self.meter.received - self.received > _TAIL


def pump(
    sources: Sequence[Source], sink: Sink | None, meter: Meter, on_output: OnOutput, ended: Callable[[], bool]
) -> None:
    """Hand on all output until it ends, or until the program has ended and nothing more of it comes.

    A background child may hold the streams open for ever, and even fill them: `ended` tells that the
    program itself is gone. Raises CapReachedError, and whatever `on_output` raises.
    """
    end = _End(ended, meter)
    with selectors.DefaultSelector() as selector:
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        _register_sink(selector, sources, sink)
        while _reading(selector, sources):
            ready = selector.select(_GLANCE)
            for key, events in ready:
                _serve(selector, key.fileobj, events, sink, meter, on_output)
            meter.check()
            if end.reached(silent=not ready):
                return


def _register_sink(selector: selectors.BaseSelector, sources: Sequence[Source], sink: Sink | None) -> None:
    if sink is None:
        return
    os.set_blocking(sink.descriptor, False)
    for source in sources:
        if source.fileno() == sink.descriptor:  # a socket goes both ways
            selector.modify(source, selectors.EVENT_READ | selectors.EVENT_WRITE)
            return
    selector.register(sink, selectors.EVENT_WRITE)


def _reading(selector: selectors.BaseSelector, sources: Sequence[Source]) -> bool:
    return any(source.fileno() in selector.get_map() for source in sources)


def _serve(
    selector: selectors.BaseSelector,
    file: object,
    events: int,
    sink: Sink | None,
    meter: Meter,
    on_output: OnOutput,
) -> None:
    if events & selectors.EVENT_WRITE and sink is not None and not sink.write():
        if file is sink:
            selector.unregister(sink)
        else:
            selector.modify(file, selectors.EVENT_READ)  # type: ignore[arg-type]
        sink.close()
    if events & selectors.EVENT_READ:
        _receive(selector, file, meter, on_output)  # type: ignore[arg-type]


def _receive(selector: selectors.BaseSelector, source: Source, meter: Meter, on_output: OnOutput) -> None:
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
        meter.took(len(piece))


def half_close(sock: socket.socket) -> None:
    """No more input: the program sees the end of it, its output still flows."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
