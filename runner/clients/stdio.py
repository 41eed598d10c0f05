"""Moves bytes between a running program and us, while its limits hold: for processes and containers alike."""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from runner.core.model import Caps, OnOutput, Say, Stream

_CHUNK = 256 * 1024
_GLANCE = 0.05  # seconds between looks at whether the program has ended
_LINGER = 0.2  # seconds of silence after which an ended program has nothing more to say
_TAIL = 4 * 1024**2  # bytes that pipes and the engine may still hold of what an ended program printed

LimitCause = Literal["timeout", "idle", "output"]


class CapReachedError(Exception):
    """The program is over one of its limits and has to die."""

    def __init__(self, cause: LimitCause) -> None:
        super().__init__(cause)
        self.cause: LimitCause = cause


class Clock:
    """Seconds on a clock that no one can set, and that stands still while it is held. Any thread may ask."""

    def __init__(self) -> None:
        self._state: tuple[float | None, float] = (None, 0.0)  # held since when, and how long before that

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
    stop: Callable[[], None] = lambda: None  # asked all the time; raises when the program has to die
    clock: Clock = field(default_factory=Clock)
    started: float = field(init=False)
    heard: float = field(init=False)
    received: int = 0

    def __post_init__(self) -> None:
        self.started = self.heard = self.clock()

    def note_output(self, size: int) -> None:
        self.heard = self.clock()
        self.received += size
        if self.caps.output is not None and self.received > self.caps.output:
            raise CapReachedError("output")

    def check(self) -> None:
        self.stop()
        now = self.clock()
        if self.caps.timeout is not None and now - self.started >= self.caps.timeout:
            raise CapReachedError("timeout")
        if self.caps.idle is not None and now - self.heard >= self.caps.idle:
            raise CapReachedError("idle")

    @property
    def duration(self) -> float:
        return self.clock() - self.started


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


def single_chunk(data: bytes) -> Say:
    """`data`, and then nothing any more."""
    pieces = iter((data,)) if data else iter(())
    return lambda: next(pieces, None)


@dataclass(slots=True)
class Sink:
    """What the program reads: whatever `say` tells, and then the end of its standard input.

    It is asked only when all that it told before is written: who does not read is told nothing more.
    """

    descriptor: int
    say: Say
    close: Callable[[], None]
    data: memoryview = memoryview(b"")
    over: bool = False  # nothing more will be said

    def fileno(self) -> int:
        return self.descriptor

    def has_more(self) -> bool:
        """Whether something is to be written now; asks for it."""
        if not self.data and not self.over:
            said = self.say()
            self.over = said is None
            self.data = memoryview(said or b"")
        return bool(self.data)

    def write(self) -> None:
        """Write what fits now. A program need not read its input."""
        try:
            self.data = self.data[os.write(self.descriptor, self.data[:_CHUNK]) :]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.data, self.over = memoryview(b""), True


@dataclass(slots=True)
class _End:
    """Tells when to stop reading: an ended program is heard out, a child that it left behind is not."""

    ended: Callable[[], bool]
    meter: LimitMeter
    since: float | None = None
    received: int = 0

    def reached(self, silent: bool) -> bool:
        now = self.meter.clock()
        if self.since is None:
            if self.ended():
                self.since, self.received = now, self.meter.received
            return False
        if silent and now - max(self.since, self.meter.heard) > _LINGER:
            return True
        return self.meter.received - self.received > _TAIL


def pump(
    sources: Sequence[Source],
    sink: Sink | None,
    meter: LimitMeter,
    on_output: OnOutput,
    ended: Callable[[], bool],
) -> None:
    """Hand on all output until it ends, or until the program has ended and nothing more of it comes.

    A background child may hold the streams open for ever, and even fill them: `ended` tells that the
    program itself is gone. What it prints is heard before it is told more, so an answer follows at once.
    Raises CapReachedError, and whatever `on_output` or the sink's `say` raises.
    """
    end = _End(ended, meter)
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
    """Watches for room in the program's standard input, for as long as there is something to say."""

    def __init__(self, selector: selectors.BaseSelector, sources: Sequence[Source], sink: Sink) -> None:
        self._selector, self._sink, self._writing = selector, sink, False
        # A socket goes both ways, and can be watched only once.
        self._shared = next((one for one in sources if one.fileno() == sink.descriptor), None)
        os.set_blocking(sink.descriptor, False)

    def is_over(self) -> bool:
        """Whether all is said; the program's input has been ended then."""
        if (more := self._sink.has_more()) != self._writing:
            self._writing = more
            self._watch(more)
        if not more and self._sink.over:
            self._sink.close()
        return not more and self._sink.over

    def _watch(self, writing: bool) -> None:
        if self._shared is not None:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(self._shared, both if writing else selectors.EVENT_READ)
        elif writing:
            self._selector.register(self._sink, selectors.EVENT_WRITE)
        else:
            self._selector.unregister(self._sink)


def _reading(selector: selectors.BaseSelector, sources: Sequence[Source]) -> bool:
    return any(source.fileno() in selector.get_map() for source in sources)


def _receive(
    selector: selectors.BaseSelector, source: Source, meter: LimitMeter, on_output: OnOutput
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
    """No more input: the program sees the end of it, its output still flows."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
