"""The worker's loop: poll repositories, decide what is due, admit runs, and execute them."""

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

from runner import __version__
from runner.apps.worker.alerts import check_alert
from runner.apps.worker.controller import Controller
from runner.apps.worker.error_log import ErrorLog, is_outage
from runner.apps.worker.events import serve_webhooks
from runner.apps.worker.executor import Executor
from runner.apps.worker.lease import Lease, lease_lost_error, uptime
from runner.apps.worker.recovery import Recovery
from runner.apps.worker.repositories import RepositoryList
from runner.apps.worker.run_job import RunFunction, StopSignals, cancellation, run_job
from runner.apps.worker.systemd import SystemdNotifier, supervisor
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.store import Store, hold_lock, state_dir_id
from runner.store.alerts import AlertStore
from runner.store.approvals import ApprovalStore
from runner.store.engine import Engine, open_engine
from runner.store.workers import Worker, WorkerStore

log = logging.getLogger("skillrunner.worker")

POLL_THREADS = 16
_TICK = 1.0  # seconds between two rounds of the loop when nothing wakes it
_MAINTENANCE_INTERVAL = 5.0  # seconds between two searches for dead workers
_UNUSED_INTERVAL = 3600.0  # seconds between two searches for unused images and set-ups
_SWEEP_INTERVAL = 10.0  # seconds between two tries to remove sandboxes that an engine kept
_LATE_COMPLAINT = 30.0  # seconds after which the engine still complains of a call that an outage cut off
_STOP_TIMEOUT = 60.0  # seconds that stopped runs have to end


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Daemon:
    """One worker process. `now` is its clock, `run_function` executes a run."""

    config: Config
    store: Store
    repository_list: RepositoryList
    now: Callable[[], datetime] = utc_now
    run_function: RunFunction = run_job
    id: str = field(default_factory=lambda: f"{os.uname().nodename}-{uuid.uuid4().hex[:12]}")
    signals: int = 0  # how often a signal asked this process to stop
    stored_stop_level: int = 0  # the stop level that the store holds
    reload_config: Callable[[], Config] | None = None  # reads the configuration again
    has_to_reload: bool = False  # a signal asked for that
    faults: list[str] = field(default_factory=list)  # what was wrong when `run(once=True)` had ended
    notifier: SystemdNotifier = field(default_factory=supervisor)
    controller: Controller = field(init=False)
    lease: Lease = field(init=False)
    stop_signals: StopSignals = field(init=False)
    executor: Executor = field(init=False)
    recovery: Recovery = field(init=False)
    # A queue, because a signal handler may write to it at any moment: an Event has a lock.
    _wake_queue: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    _sweep_future: "Future[None] | None" = None
    _last_complaint: str = ""
    _webhook_secrets: dict[str, list[str]] = field(default_factory=dict)  # by event source
    _next_times: dict[str, float] = field(default_factory=dict)  # by task: when it is due again

    @property
    def stop_level(self) -> int:
        """0: go on; 1: stop when the runs have ended; 2: stop now. A second signal means 2."""
        return max(self.signals, self.stored_stop_level)

    def present_faults(self) -> list[str]:
        """What is wrong now, without any grace: of our repositories, of this machine, and of our work."""
        host, now = os.uname().nodename, self.now()
        found = AlertStore(self.store).alerts(now, timedelta())
        ours = [one.message for one in found if one.host in ("", host)]
        return list(dict.fromkeys([*ours, *self.error_log.present().values()]))

    @property
    def error_log(self) -> ErrorLog:
        return self.repository_list.error_log

    def __post_init__(self) -> None:
        workers, place = WorkerStore(self.store), state_dir_id(self.store.folder)
        self.store.worker = self.id
        shared = not self.store.database.is_file
        self.lease = Lease(workers, self.id, self.config.worker.silence, self.now, shared)
        self.stop_signals = StopSignals(self.lease)
        self.store.wait = self.stop_signals.wait
        self.recovery = Recovery(self.config, self.store, workers, self.id, place, self.now)
        self.controller = Controller(
            self.config, self.store, self.repository_list, self.now, self.wake, self.error_log
        )
        self.executor = Executor(
            config=self.config,
            store=self.store,
            worker=self.id,
            now=self.now,
            controller=self.controller,
            stop_signals=self.stop_signals,
            error_log=self.error_log,
            run_function=self.run_function,
            wake=self.wake,
        )

    # --- life -----------------------------------------------------------------------------------

    def run(self, *, once: bool = False) -> None:
        """Work until somebody stops the worker; with `once`, until everything that is due now has ended.

        `faults` then holds what was wrong at the end.
        Raises RunnerError WORKER_LOST when other workers marked this one dead and took over its runs.
        """
        with ExitStack() as stack:
            stack.enter_context(hold_lock(self.store.folder / "workers" / self.id))
            stack.enter_context(self._registered())
            self.recovery.find_dead()
            stack.enter_context(self.lease.renewal_thread(self._after_heartbeat, self._heartbeat_failed))
            engine = stack.enter_context(
                open_engine(self.store.database.url, self.id, self.executor.handle, self._engine_complains)
            )
            self._clear_sandboxes()
            lookers = stack.enter_context(_pool(POLL_THREADS, "look"))
            beginners = stack.enter_context(_pool(2, "begin"))
            if self.config.worker.listen is not None:
                stack.enter_context(self._webhooks(self.config.worker.listen))
            with self._runs_stopped():
                self._loop(engine, lookers, beginners, once)
            with self.error_log.report_once("watch"):
                self.controller.alerts.send()
            self.faults = self.present_faults() if once else []
            self._drain()
            self.controller.alerts.close()
        self.lease.check()

    def _webhooks(self, listen: str) -> AbstractContextManager[None]:
        self._webhook_secrets.update(_webhook_secrets(self.config))
        secrets, own_name = self._webhook_secrets, self.controller.own_name
        return serve_webhooks(listen, self.controller.event_sources, secrets, own_name, self.wake)

    @contextmanager
    def _registered(self) -> Iterator[None]:
        now, workers = self.now(), self.lease.workers
        workers.register(
            Worker(
                id=self.id,
                host=os.uname().nodename,
                place=self.recovery.place,
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
        try:
            yield
        finally:  # also after an error: nobody is to wait until we count as dead
            with self.error_log.report_once("leave"):
                workers.mark_ended(self.id, self.now())

    def _after_heartbeat(self, began: float) -> None:
        self.error_log.note_answer(began)
        self.recovery.find_dead()

    def _heartbeat_failed(self, error: RunnerError, began: float) -> None:
        if is_outage(error):
            self.error_log.note_outage(error.message, began)
        else:
            log.warning("this worker's heartbeat could not be stored: %s", error.message)

    def _engine_complains(self, line: str) -> None:
        """Log what the engine of the queue complains of, unless the database is away, which says it all."""
        if "OperationalError" in line or "onnection" in line:
            self.error_log.note_outage(line, uptime() - _LATE_COMPLAINT)
        elif line != self._last_complaint:
            self._last_complaint = line
            log.warning("the queue's engine: %s", line)

    @contextmanager
    def _runs_stopped(self) -> Iterator[None]:
        """Stop the runs when an error ends the loop: nobody else may take them over while they go on here."""
        try:
            yield
        except BaseException:
            message = "its worker ended by an error"
            self.stop_signals.all_runs = RunnerError(Phase.HARNESS, Reason.WORKER_LOST, message)
            self._wait_for_ends(_STOP_TIMEOUT)
            raise

    def _loop(
        self, engine: Engine, lookers: ThreadPoolExecutor, beginners: ThreadPoolExecutor, once: bool
    ) -> None:
        while not self.stop_level and self.lease.is_held():
            if self.has_to_reload:
                self._reload()
            if self._is_due("look", self.config.worker.poll):
                self.controller.start_polls(lookers)
            if self.controller.collect_polls(lookers):
                self.notifier.ready()
            with self.error_log.report_once("attend"):
                self.controller.decide_events(lookers)
            with self.error_log.report_once("care"):
                self._maintain(engine, lookers)
            self.controller.decide_slots()
            with self.error_log.report_once("watch"):
                self._send_alerts()
            with self.error_log.report_once("admit"):
                self.executor.take(engine, beginners)
            with self.error_log.report_once("heed"):
                self._read_stop_requests()
            self._notify_supervisor()
            if once and not self.controller.is_polling and self.executor.is_idle():
                return
            self._sleep(self._pause())

    def _notify_supervisor(self) -> None:
        """Send the supervisor this worker's status and a WATCHDOG signal."""
        doing = "draining" if self.stop_level else "working"
        self.notifier.status(
            f"{doing}; repositories: {len(self.controller.snapshots)}, runs: {len(self.executor.running)}"
        )
        self.notifier.alive()

    def _is_due(self, what: str, every: float) -> bool:
        """Whether a task that runs every `every` seconds is due, by a clock that nobody can set."""
        now = uptime()
        if now < self._next_times.get(what, now):
            return False
        self._next_times[what] = now + every
        return True

    def _pause(self) -> float:
        following = self.controller.timetable.next_at()
        if following is None:
            return _TICK
        return max(0.0, min(_TICK, (following - self.now()).total_seconds()))

    def wake(self) -> None:
        """Wake the loop. Any thread and any signal handler may call this."""
        self._wake_queue.put(None)

    def _sleep(self, seconds: float) -> None:
        try:
            self._wake_queue.get(timeout=seconds)
            while True:
                self._wake_queue.get_nowait()
        except Empty:
            return

    def request_stop(self) -> None:
        """Take no more runs; a second call stops the running ones. A signal handler may call this."""
        self.signals += 1
        self.wake()

    # --- configuration --------------------------------------------------------------------------

    def request_reload(self) -> None:
        """Read the configuration again. A signal handler may call this."""
        self.has_to_reload = True
        self.wake()

    def _reload(self) -> None:
        """Work with the configuration as it is now; one that is not valid changes nothing. Runs go on."""
        self.has_to_reload = False
        with self.error_log.report_once("reload", "the configuration stays as it was: "):
            if self.reload_config is not None:
                self._configure(_without_fixed_keys(self.reload_config(), self.config))
                log.info("the configuration was read again")

    def _configure(self, config: Config) -> None:
        check_alert(config)
        secrets = _webhook_secrets(config) if config.worker.listen is not None else {}
        self.config = self.executor.config = self.recovery.config = config
        self.controller.configure(config)
        self._webhook_secrets.clear()
        self._webhook_secrets.update(secrets)
        self._next_times.clear()

    def _read_stop_requests(self) -> None:
        """Read from the store which runs have to stop, and whether this worker has to."""
        self.executor.stop_cancelled()
        self.stored_stop_level = self.lease.workers.stop_level(self.id)

    def _drain(self) -> None:
        """Wait for the runs to end; stop them when that takes longer than `worker.drain`."""
        self.lease.state = "draining"
        self.notifier.stopping()
        until = uptime() + self.config.worker.drain
        while self.executor.running and self.stop_signals.all_runs is None:
            with self.error_log.report_once("heed"):
                self._read_stop_requests()
            self.stop_signals.all_runs = self._stop_cause(until)
            self._notify_supervisor()
            self._sleep(0.1)
        self._wait_for_ends(_STOP_TIMEOUT)
        self.stop_signals.is_final = True
        self._wait_for_ends(_TICK)

    def _wait_for_ends(self, seconds: float) -> None:
        until = uptime() + seconds
        while self.executor.running and uptime() < until:
            self._sleep(0.1)

    def _stop_cause(self, until: float) -> RunnerError | None:
        if not self.lease.is_held():
            return lease_lost_error()
        if self.stop_level > 1:
            how = "asked twice to end" if self.signals > 1 else "told to end now"
            return cancellation(f"the worker was {how}")
        if uptime() > until:
            return cancellation("the worker was to end, and waited as long as it may")
        return None

    def _send_alerts(self) -> None:
        """Send alerts. This comes after the decisions, so that a slot decided late is no alert."""
        if self._is_due("watch", min(_MAINTENANCE_INTERVAL, self.config.worker.grace / 4)):
            self.controller.alerts.send()

    def _maintain(self, engine: Engine, lookers: ThreadPoolExecutor) -> None:
        """Take over from dead workers, report ends, and remove what is old."""
        if self._is_due("care", min(_MAINTENANCE_INTERVAL, self.lease.silence / 6)):
            self.recovery.take_over(engine, set(self.executor.running))
            if self.recovery.has_new_dead:
                self.recovery.has_new_dead = False
                self.controller.requeue_orphans(list(self.controller.snapshots))
            for run_id in ApprovalStore(self.recovery.store).expire(self.now()):
                log.info("run %s: nobody approved what it waited with", run_id)
            self.controller.report_ends(self.id)
        if (
            self.executor.needs_sweep
            and self._is_due("sweep", _SWEEP_INTERVAL)
            and (self._sweep_future is None or self._sweep_future.done())
        ):
            self._sweep_future = lookers.submit(self._sweep)
        if self._is_due("unused", _UNUSED_INTERVAL):
            lookers.submit(self._clear_unused, engine)
        if self._is_due("prune", self.config.worker.poll):
            self.recovery.prune(engine)

    def _clear_unused(self, engine: Engine) -> None:
        with self.error_log.report_once("unused"):
            self.recovery.clear_unused()
            self.recovery.keep_small(engine)

    def _sweep(self) -> None:
        """Remove sandboxes that a failed engine kept, in a thread of its own: the engine may hang."""
        self.executor.needs_sweep = False
        with self.error_log.report_once("sweep"):
            self._clear_sandboxes()
            self.wake()

    def _clear_sandboxes(self) -> None:
        """Remove old sandboxes; while our own engine refuses, nothing is started, and that is tried again."""
        faults = self.recovery.clear_sandboxes()
        self.executor.engine_fault = faults.get(self.config.sandbox, "")
        self.executor.needs_sweep = bool(self.executor.engine_fault)


_FIXED = ("database", "listen", "silence")
"""Keys under `worker` that a running worker keeps: others know it by them."""


def _without_fixed_keys(new: Config, old: Config) -> Config:
    """The new configuration, with the old values of what only a restart changes."""
    kept = {key: getattr(old.worker, key) for key in _FIXED}
    changed = [f"worker.{key}" for key in _FIXED if getattr(new.worker, key) != kept[key]]
    changed += ["state_dir"] if new.state != old.state else []
    for key in changed:
        log.warning("%s changed: that needs a restart", key)
    same = {"worker": new.worker.model_copy(update=kept), "state_dir": str(old.state)}
    return new.model_copy(update=same)


def _webhook_secrets(config: Config) -> dict[str, list[str]]:
    """The secrets of webhooks, by event source. Raises RunnerError SECRET_MISSING."""
    names = config.worker.secret_names()
    secrets = {source: [os.environ.get(name, "") for name in some] for source, some in names.items()}
    values = [value for some in secrets.values() for value in some]
    if not all(values) or not values:
        message = "worker.listen needs worker.webhook_secrets, and their variables set"
        hint = "export WEBHOOK_SECRET=..., and write `webhook_secrets: [WEBHOOK_SECRET]`"
        raise RunnerError(Phase.LOAD, Reason.SECRET_MISSING, message, hint=hint)
    return secrets


@contextmanager
def _pool(size: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """A thread pool whose threads are not waited for at the end."""
    pool = ThreadPoolExecutor(size, name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
