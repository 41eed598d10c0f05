"""Heartbeats: a worker renews its lease regularly, and notices workers that stopped renewing theirs."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.store.workers import Worker, WorkerStore

log = logging.getLogger("skillrunner.worker")

_RENEWALS = 6  # heartbeats within `silence`, after which a worker counts as dead


def uptime() -> float:
    """Seconds on a clock that no one can set, and that goes on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def lease_lost_error() -> RunnerError:
    message = "this worker was silent for so long that others took it for dead"
    hint = "look at the load of its machine, and at its way to the database"
    return RunnerError(Phase.HARNESS, Reason.WORKER_LOST, message, hint=hint)


@dataclass(slots=True)
class Lease:
    """The time for which this worker owns its runs: `silence` seconds after each heartbeat.

    This worker counts from before it sends a heartbeat, the others from when they read it, so the lease ends
    here first: a worker that was suspended, or cut off from its database, knows that its runs are lost.
    A file database has no other workers (`shared` is False); then only `mark_dead` ends the lease.
    """

    workers: WorkerStore
    id: str
    silence: float  # seconds
    now: Callable[[], datetime]
    shared: bool = True
    state: str = "running"
    is_lost: bool = False
    clock: Callable[[], float] = uptime
    is_cut_off: bool = False  # the last heartbeat could not be stored
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = self.clock() + self.silence

    def is_held(self) -> bool:
        """Whether no other worker can have taken over. A lease that has ended stays ended."""
        self.is_lost = self.is_lost or (self.shared and self.clock() > self._until)
        return not self.is_lost

    def check(self) -> None:
        """Raises RunnerError WORKER_LOST when another worker may have taken over."""
        if not self.is_held():
            raise lease_lost_error()

    def renew(self) -> bool:
        """Send a heartbeat; return whether it was sent: a lease that has ended is not renewed.

        Raises RunnerError when the database cannot be reached.
        """
        began = self.clock()
        if not self.is_held():
            return False
        self.is_cut_off = True
        lives = self.workers.renew(self.id, self.now(), self.state)
        self.is_cut_off = False
        if lives:
            self._until = began + self.silence
        else:
            self.is_lost = True
        return True

    @contextmanager
    def renewal_thread(
        self, after_renewal: Callable[[float], None], on_failure: Callable[[RunnerError, float], None]
    ) -> Iterator[None]:
        """Renew the lease in a thread for as long as the context lasts.

        Calls `after_renewal` each time, and `on_failure` when the database cannot be reached, both with the
        moment at which the heartbeat began.
        """
        done = threading.Event()

        def keep() -> None:
            while not done.wait(self.silence / _RENEWALS) and not self.is_lost:
                began = self.clock()
                try:
                    if self.renew():
                        after_renewal(began)
                except RunnerError as error:
                    on_failure(error, began)

        thread = threading.Thread(target=keep, name="beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=self.silence)


@dataclass(slots=True)
class HeartbeatMonitor:
    """Finds workers that stopped sending heartbeats, by this machine's clock alone.

    Time in which no heartbeat could be read does not count: the database was unreachable, or this process
    was stopped.
    """

    _last_beats: dict[str, tuple[int, float]] = field(
        default_factory=dict
    )  # by worker: its last heartbeat's number, and when it was read
    _last_check: float = 0.0

    def find_expired(self, living: Iterable[Worker], now: float) -> list[Worker]:
        """The workers whose heartbeats stopped. Call this as often as heartbeats are sent."""
        gap, self._last_check = now - self._last_check, now
        heard, dead = {}, []
        for one in living:
            beats, since = self._last_beats.get(one.id, (-1, now))
            if beats != one.beats or gap > one.silence / 3:
                since = now
            heard[one.id] = (one.beats, since)
            if now - since > one.silence:
                dead.append(one)
        self._last_beats = heard
        return dead
