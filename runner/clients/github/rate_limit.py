"""How fast one token may ask GitHub: what its secondary limits leave, which no answer tells in advance.

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

Kind = Literal["read", "grant", "write", "create"]
"""What a request does. To grant a token is a POST that changes nothing which anybody sees."""

_MINUTE, _HOUR = 60.0, 3600.0
_COSTS: dict[Kind, int] = {"read": 1, "grant": 5, "write": 5, "create": 5}
_POINTS = 900  # in a minute
_FOR_READS = 850  # of these, so that a write need not wait for a minute's reads
_AT_ONCE = 720  # of these, as fast as they come; the others are spread over the rest of the minute
_CREATED = ((80, _MINUTE), (500, _HOUR))
_BETWEEN_WRITES = 1.0  # seconds
_SHORTEST = 0.001  # seconds of sleep: below a clock's grain a wait would never end
_NEVER = float("-inf")


@dataclass(slots=True)
class RequestPace:
    """What was asked lately. Pure: the time is handed in, in seconds of a clock that only goes on."""

    spent: deque[tuple[float, int]] = field(default_factory=deque)  # of the last minute: when, and points
    created: deque[float] = field(default_factory=deque)  # when, in the last hour
    wrote: float = _NEVER  # when the last write ended
    closed: float = _NEVER  # until when GitHub wants to hear nothing

    def wait(self, now: float, kind: Kind) -> float:
        """Seconds until such a request may be sent; 0: now."""
        self._forget(now)
        if kind in ("read", "grant"):
            ready = [self._spread(now), self._fits(now, kind, _FOR_READS)]
        else:
            ready = [self.wrote + _BETWEEN_WRITES, self._fits(now, kind, _POINTS)]
        if kind == "create":
            ready += [self.created[-most] + span for most, span in _CREATED if len(self.created) >= most]
        return max(now, self.closed, *ready) - now

    def note_sent(self, now: float, kind: Kind) -> None:
        self.spent.append((now, _COSTS[kind]))
        if kind == "create":
            self.created.append(now)

    def _forget(self, now: float) -> None:
        while self.spent and self.spent[0][0] + _MINUTE <= now:
            self.spent.popleft()
        while self.created and self.created[0] + _HOUR <= now:
            self.created.popleft()

    def _fits(self, now: float, kind: Kind, most: int) -> float:
        """When so much of the minute will be over that the request fits."""
        ready, over = now, self._points() + _COSTS[kind] - most
        for at, points in self.spent:
            if over <= 0:
                break
            ready, over = at + _MINUTE, over - points
        return ready

    def _spread(self, now: float) -> float:
        """When the next of the reads comes that are left for this minute: they are evenly apart."""
        left = _FOR_READS - self._points()
        if not 0 < left <= _FOR_READS - _AT_ONCE:
            return now
        first, last = self.spent[0][0], self.spent[-1][0]
        return last + (first + _MINUTE - last) / left

    def _points(self) -> int:
        return sum(points for _, points in self.spent)


@dataclass(slots=True)
class RateLimiter:
    """The pace of one token, for all threads of a process."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _pace: RequestPace = field(default_factory=RequestPace)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def slot(self, kind: Kind) -> Iterator[None]:
        """Wait until a request may be sent, and send it inside: no other one writes meanwhile."""
        if kind in ("read", "grant"):
            self._wait(kind)
            yield
            return
        with self._writing:
            self._wait(kind)
            try:
                yield
            finally:
                self._pace.wrote = self.clock()

    def block(self, seconds: float) -> None:
        """GitHub wants to hear nothing for so long, from nobody who has this token."""
        with self._lock:
            self._pace.closed = max(self._pace.closed, self.clock() + seconds)

    def seconds_blocked(self) -> float:
        """For how many seconds more GitHub wants to hear nothing; 0: it listens."""
        return max(0.0, self._pace.closed - self.clock())

    def _wait(self, kind: Kind) -> None:
        while (seconds := self._try(kind)) > 0:
            self.sleep(max(seconds, _SHORTEST))

    def _try(self, kind: Kind) -> float:
        with self._lock:
            now = self.clock()
            seconds = self._pace.wait(now, kind)
            if seconds <= 0:
                self._pace.note_sent(now, kind)
            return seconds
