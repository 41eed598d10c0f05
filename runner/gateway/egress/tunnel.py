"""Moves bytes between two sockets, in both directions.

On Linux the kernel moves them with splice(2), and they never enter this process.
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
    """Connect two sockets until both have ended, one broke, or nothing has moved for `idle` seconds.

    Returns the number of bytes sent to `far` and received from it.
    """
    with ExitStack() as stack:
        ways = [_Direction(near, far), _Direction(far, near)]
        for way in ways:
            stack.callback(way.close)
        near.setblocking(False)
        far.setblocking(False)
        with suppress(OSError):  # one side broke the connection, which ends the tunnel
            while not all(way.over for way in ways) and (ready := _ready(ways, idle)):
                for way in ways:
                    way.move(ready)
        return ways[0].moved, ways[1].moved


class _Transfer(Protocol):
    """Holds the bytes that were read and not written yet; it is filled when it is empty."""

    def take(self, source: socket.socket) -> int | None:
        """Read bytes; return how many, 0 at the end of the source, None when none are ready."""
        ...

    def give(self, target: socket.socket, held: int) -> int | None:
        """Write bytes; return how many, None when the target is not ready."""
        ...

    def close(self) -> None: ...


class _Pipe:
    """A pipe in the kernel, filled and emptied by splice(2)."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        with suppress(OSError):  # the kernel may grant less, which is only slower
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
    """A buffer in this process, for systems without splice(2)."""

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
        """Nothing to close."""


_BETWEEN: type[_Pipe] | type[_Buffer] = _Pipe if hasattr(os, "splice") else _Buffer


@dataclass(slots=True)
class _Direction:
    """One direction of a tunnel."""

    source: socket.socket
    target: socket.socket
    moved: int = 0
    over: bool = False  # the source has ended, and everything was written
    _held: int = 0  # bytes read and not written yet
    _between: _Transfer = field(default_factory=lambda: _BETWEEN())

    def wants(self) -> tuple[tuple[int, int], ...]:
        """The event that the direction waits for: readable source or writable target."""
        if self._held:
            return ((self.target.fileno(), select.POLLOUT),)
        return () if self.over else ((self.source.fileno(), select.POLLIN),)

    def move(self, ready: set[tuple[int, int]]) -> None:
        if not self._held and (self.source.fileno(), select.POLLIN) in ready:
            came = self._between.take(self.source)
            self._held = came or 0
            if came == 0:
                self.over = True
                with suppress(OSError):  # the other side may be closed as well
                    self.target.shutdown(socket.SHUT_WR)
        if self._held:
            went = self._between.give(self.target, self._held) or 0
            self._held -= went
            self.moved += went

    def close(self) -> None:
        self._between.close()


def _ready(ways: list[_Direction], seconds: float) -> set[tuple[int, int]]:
    """The descriptors that can be read or written; empty after the timeout."""
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
