"""Who lives: a worker says so again and again, and notices who has fallen silent."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.store.workers import Worker, Workers

log = logging.getLogger("skillrunner.worker")

_RENEWALS = 6  # in the time after which a silent worker counts as dead


def uptime() -> float:
    """Seconds on a clock that no one can set, and that goes on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def lease_lost_error() -> RunnerError:
    message = "this worker was silent for so long that others took it for dead"
    hint = "look at the load of its machine, and at its way to the database"
    return RunnerError(Phase.HARNESS, Reason.WORKER_LOST, message, hint=hint)


@dataclass(slots=True)
class Lease:
    """The time for which others take this worker's word that it lives.

    It is counted from before a word is sent, and others count from when they hear it: so it ends here first.
    A worker that was stopped, or cut off from its database, knows by its own clock that its runs are lost.
    Where the database is a file there are no others, and it ends only when somebody says so.
    """

    workers: Workers
    id: str
    silence: float  # seconds
    now: Callable[[], datetime]
    shared: bool = True
    state: str = "running"
    is_lost: bool = False
    clock: Callable[[], float] = uptime
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = self.clock() + self.silence

    def is_held(self) -> bool:
        """Whether nobody can have taken over. Once it has ended, it has ended for good."""
        self.is_lost = self.is_lost or (self.shared and self.clock() > self._until)
        return not self.is_lost

    def check(self) -> None:
        """Raises RunnerError WORKER_LOST when somebody may have taken over."""
        if not self.is_held():
            raise lease_lost_error()

    def renew(self) -> None:
        """Say that we live. Raises RunnerError where the database is away."""
        began = self.clock()
        if self.is_held() and self.workers.renew(self.id, self.now(), self.state):
            self._until = began + self.silence
        else:
            self.is_lost = True

    @contextmanager
    def renewal_thread(self, after_renewal: Callable[[], None]) -> Iterator[None]:
        """Beat in a thread, for as long as the context lasts, and `listen` after each beat."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(self.silence / _RENEWALS) and not self.is_lost:
                try:
                    self.renew()
                    after_renewal()
                except RunnerError as error:
                    log.warning("the store could not be told that this worker lives: %s", error.message)

        thread = threading.Thread(target=keep, name="beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=self.silence)


@dataclass(slots=True)
class HeartbeatMonitor:
    """Notices who is silent, by one's own clock: those of other machines, and what they say, do not matter.

    While nobody could be heard, as the database was away or this process was stopped, no silence counts.
    """

    _last_beats: dict[str, tuple[int, float]] = field(
        default_factory=dict
    )  # by worker: its last beat, and when
    _last_check: float = 0.0

    def find_expired(self, living: Iterable[Worker], now: float) -> list[Worker]:
        """The dead among those whom nobody has found dead. To be asked as often as one beats."""
        deaf, self._last_check = now - self._last_check, now
        heard, dead = {}, []
        for one in living:
            beats, since = self._last_beats.get(one.id, (-1, now))
            if beats != one.beats or deaf > one.silence / 3:
                since = now
            heard[one.id] = (one.beats, since)
            if now - since > one.silence:
                dead.append(one)
        self._last_beats = heard
        return dead
