"""Bytes from one socket to another and back.

On Linux the kernel moves them, and they never come into this process.
"""

import fcntl
import os
import select
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Protocol

_PIECE = 1024 * 1024


def tunnel(near: socket.socket, far: socket.socket, idle: float) -> tuple[int, int]:
    """Connect two sockets until both have ended, one broke off, or nothing has moved for `idle` seconds.

    Returns how many bytes went to `far`, and how many came from there.
    """
    with ExitStack() as stack:
        ways = [_Way(near, far), _Way(far, near)]
        for way in ways:
            stack.callback(way.close)
        near.setblocking(False)
        far.setblocking(False)
        with suppress(OSError):  # one side broke off, and so it is over
            while not all(way.over for way in ways) and (ready := _ready(ways, idle)):
                for way in ways:
                    way.move(ready)
        return ways[0].moved, ways[1].moved


class _Between(Protocol):
    """Holds what has come and not gone yet; it is filled when it is empty."""

    def take(self, source: socket.socket) -> int | None:
        """How many bytes came, 0 at the end of the source; None where none could at the moment."""
        ...

    def give(self, target: socket.socket, held: int) -> int | None:
        """How many of the bytes went; None where none could at the moment."""
        ...

    def close(self) -> None: ...


class _Pipe:
    """In the kernel."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        with suppress(OSError):  # the kernel may grant less, which is slower and nothing else
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIECE)

    def take(self, source: socket.socket) -> int | None:
        return self._spliced(source.fileno(), self._in, _PIECE)

    def give(self, target: socket.socket, held: int) -> int | None:
        return self._spliced(self._out, target.fileno(), held)

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)

    def _spliced(self, source: int, target: int, most: int) -> int | None:
        try:
            return os.splice(source, target, most, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return None


class _Buffer:
    """In this process, where the kernel has no way of its own."""

    def __init__(self) -> None:
        self._view = memoryview(bytearray(_PIECE))
        self._gone = 0

    def take(self, source: socket.socket) -> int | None:
        self._gone = 0
        try:
            return source.recv_into(self._view)
        except BlockingIOError:
            return None

    def give(self, target: socket.socket, held: int) -> int | None:
        try:
            went = target.send(self._view[self._gone : self._gone + held])
        except BlockingIOError:
            return None
        self._gone += went
        return went

    def close(self) -> None:
        """It goes with its owner."""


_BETWEEN: type[_Pipe] | type[_Buffer] = _Pipe if hasattr(os, "splice") else _Buffer


@dataclass(slots=True)
class _Way:
    """One direction."""

    source: socket.socket
    target: socket.socket
    moved: int = 0
    over: bool = False  # nothing comes any more, and all has been handed on
    _held: int = 0  # bytes on the way
    _between: _Between = field(default_factory=lambda: _BETWEEN())

    def wants(self) -> tuple[tuple[int, int], ...]:
        """What it waits for."""
        if self._held:
            return ((self.target.fileno(), select.POLLOUT),)
        return () if self.over else ((self.source.fileno(), select.POLLIN),)

    def move(self, ready: set[tuple[int, int]]) -> None:
        if not self._held and (self.source.fileno(), select.POLLIN) in ready:
            came = self._between.take(self.source)
            self._held = came or 0
            if came == 0:
                self.over = True
                with suppress(OSError):  # the other side may be gone as well
                    self.target.shutdown(socket.SHUT_WR)
        if self._held:
            went = self._between.give(self.target, self._held) or 0
            self._held -= went
            self.moved += went

    def close(self) -> None:
        self._between.close()


def _ready(ways: list[_Way], seconds: float) -> set[tuple[int, int]]:
    """Which descriptors can be read or written; empty when none could for so long."""
    wanted: dict[int, int] = {}
    for way in ways:
        for descriptor, event in way.wants():
            wanted[descriptor] = wanted.get(descriptor, 0) | event
    poll = select.poll()
    for descriptor, events in wanted.items():
        poll.register(descriptor, events)
    return {
        (descriptor, event)
        for descriptor, events in poll.poll(seconds * 1000)
        for event in (select.POLLIN, select.POLLOUT)
        if events & (event | select.POLLERR | select.POLLHUP)
    }
