"""Bytes from one socket to another and back. The kernel moves them: they never come into this process."""

import fcntl
import os
import select
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

_PIECE = 1024 * 1024
_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


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


@dataclass(slots=True)
class _Way:
    """One direction, with a pipe in the kernel between."""

    source: socket.socket
    target: socket.socket
    moved: int = 0
    over: bool = False  # nothing comes any more, and all has been handed on
    _held: int = 0  # bytes in the pipe
    _pipe: tuple[int, int] = field(default_factory=lambda: _wide_pipe())

    def wants(self) -> tuple[tuple[int, int], ...]:
        """What it waits for."""
        if self._held:
            return ((self.target.fileno(), select.POLLOUT),)
        return () if self.over else ((self.source.fileno(), select.POLLIN),)

    def move(self, ready: set[tuple[int, int]]) -> None:
        if not self._held and (self.source.fileno(), select.POLLIN) in ready:
            came = _spliced(self.source.fileno(), self._pipe[1], _PIECE)
            self._held = came or 0
            if came == 0:
                self.over = True
                with suppress(OSError):  # the other side may be gone as well
                    self.target.shutdown(socket.SHUT_WR)
        if self._held:
            went = _spliced(self._pipe[0], self.target.fileno(), self._held) or 0
            self._held -= went
            self.moved += went

    def close(self) -> None:
        for end in self._pipe:
            os.close(end)


def _wide_pipe() -> tuple[int, int]:
    ends = os.pipe()
    with suppress(OSError):  # the kernel may grant less, which is slower and nothing else
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, _PIECE)
    return ends


def _spliced(source: int, target: int, most: int) -> int | None:
    """How many bytes moved, 0 at the end of the source; None where none could at the moment."""
    try:
        return os.splice(source, target, most, flags=_FLAGS)
    except BlockingIOError:
        return None


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
