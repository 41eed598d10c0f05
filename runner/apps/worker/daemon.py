"""The daemon's loop: look at repositories, decide on what is due, admit runs, and carry them out."""

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from runner import __version__
from runner.apps.worker.controller import Controller
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.events import webhooks
from runner.apps.worker.executor import Executor
from runner.apps.worker.lease import Lease, lease_lost_error, uptime
from runner.apps.worker.recovery import Recovery
from runner.apps.worker.repositories import RepositoryList
from runner.apps.worker.run_job import RunFunction, StopSignals, cancellation, run_job
from runner.apps.worker.systemd import SystemdNotifier, supervisor
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.store import Store, hold, store_mark
from runner.store.engine import Engine, open_engine
from runner.store.workers import Worker, Workers

log = logging.getLogger("skillrunner.worker")

_LOOKERS = 16
_TICK = 1.0  # seconds between two looks at the queue where nothing else wakes the loop
_CARE = 5.0  # seconds between two looks at who died and what was left
_UNUSED = 3600.0  # seconds between two looks for what no run uses any more
_SWEEP = 10.0  # seconds between two tries to remove what an engine kept
_LAST = 60.0  # seconds that runs which were stopped have to end


def utc() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Daemon:
    """One worker process. `now` is its calendar, and `carry` what it does with a run."""

    config: Config
    store: Store
    roster: RepositoryList
    now: Callable[[], datetime] = utc
    carry: RunFunction = run_job
    id: str = field(default_factory=lambda: f"{os.uname().nodename}-{uuid.uuid4().hex[:12]}")
    signals: int = 0  # how often one asked us to leave
    said: int = 0  # the same through the store
    notify: SystemdNotifier = field(default_factory=supervisor)
    desk: Controller = field(init=False)
    lease: Lease = field(init=False)
    stops: StopSignals = field(init=False)
    hands: Executor = field(init=False)
    caretaker: Recovery = field(init=False)
    # A queue, as a signal's handler may put something into it at any moment: an event has a lock.
    _woken: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    _swept: "Future[None] | None" = None
    _next: dict[str, float] = field(default_factory=dict)  # when what is done now and then is done again

    @property
    def stop_level(self) -> int:
        """Whether to end: 1 when what runs has ended, 2 now. Who asks twice by a signal means now."""
        return max(self.signals, self.said)

    @property
    def error_log(self) -> ErrorLog:
        return self.roster.faults

    def __post_init__(self) -> None:
        workers, place = Workers(self.store), store_mark(self.store.folder)
        self.store.worker = self.id
        shared = not self.store.database.is_file
        self.lease = Lease(workers, self.id, self.config.worker.silence, self.now, shared)
        self.stops = StopSignals(self.lease)
        self.store.wait = self.stops.wait
        self.caretaker = Recovery(self.config, self.store, workers, self.id, place, self.now)
        self.desk = Controller(self.config, self.store, self.roster, self.now, self.wake, self.error_log)
        self.hands = Executor(
            config=self.config,
            store=self.store,
            worker=self.id,
            now=self.now,
            desk=self.desk,
            stops=self.stops,
            faults=self.error_log,
            carry=self.carry,
            wake=self.wake,
        )

    # --- life -----------------------------------------------------------------------------------

    def run(self, *, once: bool = False) -> None:
        """Work until somebody asks it to leave; with `once`, until what is due now has ended.

        Raises RunnerError WORKER_LOST when others took it for dead: what it ran is no longer its own.
        """
        with ExitStack() as stack:
            stack.enter_context(hold(self.store.folder / "workers" / self.id))
            stack.enter_context(self._registered())
            self.caretaker.find_dead()
            stack.enter_context(self.lease.renewal_thread(self.caretaker.find_dead))
            engine = stack.enter_context(open_engine(self.store.database.url, self.id, self.hands.handle))
            self.caretaker.clear_sandboxes()
            lookers = stack.enter_context(_pool(_LOOKERS, "look"))
            beginners = stack.enter_context(_pool(2, "begin"))
            if self.config.worker.listen is not None:
                stack.enter_context(self._webhooks(self.config.worker.listen))
            self._loop(engine, lookers, beginners, once)
            with self.error_log.report_once("watch"):
                self.desk.watchman.send()
            self._drain()
            self.desk.watchman.close()
        self.lease.check()

    def _webhooks(self, listen: str) -> AbstractContextManager[None]:
        names = self.config.worker.webhook_secrets
        secrets = [value for name in names if (value := os.environ.get(name))]
        if len(secrets) < len(names) or not names:
            message = "worker.listen needs worker.webhook_secrets, and their variables set"
            hint = "export WEBHOOK_SECRET=..., and write `webhook_secrets: [WEBHOOK_SECRET]`"
            raise RunnerError(Phase.LOAD, Reason.SECRET_MISSING, message, hint=hint)
        return webhooks(listen, self.desk.ears, secrets, self.desk.serves, self.wake)

    @contextmanager
    def _registered(self) -> Iterator[None]:
        now, workers = self.now(), self.lease.workers
        workers.register(
            Worker(
                id=self.id,
                host=os.uname().nodename,
                place=self.caretaker.place,
                pid=os.getpid(),
                version=__version__,
                capacity=self.config.worker.concurrency.worker,
                silence=self.config.worker.silence,
                state="running",
                started_at=now,
                seen_at=now,
            )
        )
        self.lease.renew()
        yield
        with self.error_log.report_once("leave"):
            workers.mark_ended(self.id, self.now())

    def _loop(
        self, engine: Engine, lookers: ThreadPoolExecutor, beginners: ThreadPoolExecutor, once: bool
    ) -> None:
        while not self.stop_level and self.lease.holds():
            if self._is_time("look", self.config.worker.poll):
                self.desk.start_polls(lookers)
            if self.desk.collect_polls(lookers):
                self.notify.ready()
            with self.error_log.report_once("attend"):
                self.desk.decide_events(lookers)
            with self.error_log.report_once("care"):
                self._care(engine, lookers)
            self.desk.decide_slots()
            with self.error_log.report_once("watch"):
                self._watch()
            with self.error_log.report_once("admit"):
                self.hands.take(engine, beginners)
            with self.error_log.report_once("heed"):
                self._heed()
            self._tell()
            if once and not self.desk.is_polling and self.hands.is_idle():
                return
            self._sleep(self._pause())

    def _tell(self) -> None:
        """Tell the supervisor what this worker does, and that its loop goes round."""
        doing = "draining" if self.stop_level else "working"
        self.notify.status(f"{doing}; repositories: {len(self.desk.watched)}, runs: {len(self.hands.busy)}")
        self.notify.alive()

    def _is_time(self, what: str, every: float) -> bool:
        """By a clock that no one can set: what has to be done every so often is done, whatever the date."""
        now = uptime()
        if now < self._next.get(what, now):
            return False
        self._next[what] = now + every
        return True

    def _pause(self) -> float:
        following = self.desk.timetable.next_at()
        if following is None:
            return _TICK
        return max(0.0, min(_TICK, (following - self.now()).total_seconds()))

    def wake(self) -> None:
        """There is something to do. May be called from anywhere."""
        self._woken.put(None)

    def _sleep(self, seconds: float) -> None:
        try:
            self._woken.get(timeout=seconds)
            while True:
                self._woken.get_nowait()
        except Empty:
            return

    def request_stop(self) -> None:
        """Take nothing more; asked again, stop what still runs. A signal's handler may call it."""
        self.signals += 1
        self.wake()

    def _heed(self) -> None:
        """What people ask for through the store: that runs stop, or that this worker ends."""
        self.hands.stop_cancelled()
        self.said = self.lease.workers.stop_level(self.id)

    def _drain(self) -> None:
        """Wait for what runs; when that takes too long, stop it."""
        self.lease.state = "draining"
        self.notify.stopping()
        until = uptime() + self.config.worker.drain
        while self.hands.busy and self.stops.everything is None:
            with self.error_log.report_once("heed"):
                self._heed()
            self.stops.everything = self._why_all(until)
            self._tell()
            self._sleep(0.1)
        self._wait_for_ends(_LAST)
        self.stops.over = True
        self._wait_for_ends(_TICK)

    def _wait_for_ends(self, seconds: float) -> None:
        until = uptime() + seconds
        while self.hands.busy and uptime() < until:
            self._sleep(0.1)

    def _why_all(self, until: float) -> RunnerError | None:
        if not self.lease.holds():
            return lease_lost_error()
        if self.stop_level > 1:
            how = "asked twice to end" if self.signals > 1 else "told to end now"
            return cancellation(f"the worker was {how}")
        if uptime() > until:
            return cancellation("the worker was to end, and waited as long as it may")
        return None

    def _watch(self) -> None:
        """After everything that is due was decided, if it can be."""
        if self._is_time("watch", min(_CARE, self.config.worker.grace / 4)):
            self.desk.watchman.send()

    def _care(self, engine: Engine, lookers: ThreadPoolExecutor) -> None:
        """What is left undone by whoever died, and what is old."""
        if self._is_time("care", min(_CARE, self.lease.silence / 6)):
            self.caretaker.take_over(engine, set(self.hands.busy))
            if self.caretaker.buried:
                self.caretaker.buried = False
                self.desk.requeue_orphans(list(self.desk.watched))
            self.desk.report_ends(self.id)
        if (
            self.hands.unswept
            and self._is_time("sweep", _SWEEP)
            and (self._swept is None or self._swept.done())
        ):
            self._swept = lookers.submit(self._sweep)
        if self._is_time("unused", _UNUSED):
            lookers.submit(self._clear_unused)
        if self._is_time("prune", self.config.worker.poll):
            self.caretaker.prune(engine)

    def _clear_unused(self) -> None:
        with self.error_log.report_once("unused"):
            self.caretaker.clear_unused()

    def _sweep(self) -> None:
        """Remove what a broken engine kept: it may still hang, so this has a thread of its own."""
        self.hands.unswept = False
        with self.error_log.report_once("sweep"):
            self.hands.unswept = not self.caretaker.clear_sandboxes()


@contextmanager
def _pool(size: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that nobody waits for at the end."""
    pool = ThreadPoolExecutor(size, name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
