"""Limits the rate of one token's requests to GitHub's secondary limits, which answers do not announce.

GitHub's "Rate limits for the REST API", "About secondary rate limits": 900 points a minute, of which a read
costs one and a write five; 80 requests a minute and 500 an hour that create content. And its "Best practices
for using the REST API": one write after the other, and a second between two of them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

RequestKind = Literal["read", "grant", "write", "create"]
"""What a request does. Granting a token is a POST that changes nothing visible."""

_MINUTE, _HOUR = 60.0, 3600.0
_COSTS: dict[RequestKind, int] = {"read": 1, "grant": 5, "write": 5, "create": 5}
_POINTS = 900  # points in a minute
_FOR_READS = 850  # points of these for writes, so that a write does not wait for reads
_AT_ONCE = 720  # points of these without a delay; the others are spread over the rest of the minute
_CREATED = ((80, _MINUTE), (500, _HOUR))
_BETWEEN_WRITES = 1.0  # seconds
_SHORTEST = 0.001  # seconds: a shorter sleep than the clock's resolution would never end
_NEVER = float("-inf")


@dataclass(slots=True)
class RequestPace:
    """The recent requests of a token. Pure: callers pass the time, in seconds of a monotonic clock."""

    points: deque[tuple[float, int]] = field(default_factory=deque)  # of the last minute: (time, points)
    creations: deque[float] = field(default_factory=deque)  # times in the last hour
    last_write: float = _NEVER  # when the last write ended
    blocked_until: float = _NEVER  # until when GitHub accepts no request

    def wait(self, now: float, kind: RequestKind) -> float:
        """Seconds until such a request may be sent; 0: now."""
        self._forget(now)
        if kind in ("read", "grant"):
            ready = [self._spread(now), self._fits(now, kind, _FOR_READS)]
        else:
            ready = [self.last_write + _BETWEEN_WRITES, self._fits(now, kind, _POINTS)]
        if kind == "create":
            ready += [self.creations[-most] + span for most, span in _CREATED if len(self.creations) >= most]
        return max(now, self.blocked_until, *ready) - now

    def note_sent(self, now: float, kind: RequestKind) -> None:
        self.points.append((now, _COSTS[kind]))
        if kind == "create":
            self.creations.append(now)

    def _forget(self, now: float) -> None:
        while self.points and self.points[0][0] + _MINUTE <= now:
            self.points.popleft()
        while self.creations and self.creations[0] + _HOUR <= now:
            self.creations.popleft()

    def _fits(self, now: float, kind: RequestKind, most: int) -> float:
        """The first time at which the last minute has room for the request."""
        ready, over = now, self._points() + _COSTS[kind] - most
        for at, points in self.points:
            if over <= 0:
                break
            ready, over = at + _MINUTE, over - points
        return ready

    def _spread(self, now: float) -> float:
        """The time of the next read, when the minute's remaining reads are evenly spread."""
        left = _FOR_READS - self._points()
        if not 0 < left <= _FOR_READS - _AT_ONCE:
            return now
        first, last = self.points[0][0], self.points[-1][0]
        return last + (first + _MINUTE - last) / left

    def _points(self) -> int:
        return sum(points for _, points in self.points)


@dataclass(slots=True)
class RateLimiter:
    """Limits the requests of one token for all threads of a process."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _pace: RequestPace = field(default_factory=RequestPace)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def slot(self, kind: RequestKind) -> Iterator[None]:
        """Wait until a request may be sent; send it inside the context, which lets one write in at a time."""
        if kind in ("read", "grant"):
            self._wait(kind)
            yield
            return
        with self._writing:
            self._wait(kind)
            try:
                yield
            finally:
                self._pace.last_write = self.clock()

    def block(self, seconds: float) -> None:
        """Block all requests of this token for `seconds`, as GitHub asked."""
        with self._lock:
            self._pace.blocked_until = max(self._pace.blocked_until, self.clock() + seconds)

    def seconds_blocked(self) -> float:
        """For how many more seconds requests are blocked; 0: they are not."""
        return max(0.0, self._pace.blocked_until - self.clock())

    def _wait(self, kind: RequestKind) -> None:
        while (seconds := self._try(kind)) > 0:
            self.sleep(max(seconds, _SHORTEST))

    def _try(self, kind: RequestKind) -> float:
        with self._lock:
            now = self.clock()
            seconds = self._pace.wait(now, kind)
            if seconds <= 0:
                self._pace.note_sent(now, kind)
            return seconds
