"""Keeps a worker at its work: waits for its database, goes on after an outage, reads its settings again."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from runner.apps.worker.credentials import Credentials
from runner.apps.worker.daemon import Daemon
from runner.apps.worker.error_log import ErrorLog, is_outage
from runner.apps.worker.lease import uptime
from runner.apps.worker.repositories import RepositoryList
from runner.apps.worker.systemd import SystemdNotifier, supervisor
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.locks import lock
from runner.core.model import Phase, Reason
from runner.core.retrying import delay
from runner.run.stores import open_worker_store
from runner.store import Store

log = logging.getLogger("skillrunner.worker")

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0  # seconds between two tries to reach the database
ONCE_WAIT = 60.0  # seconds that one pass waits for its database


@dataclass(slots=True)
class Service:
    """The process of a worker. A daemon that was cut off from its database is replaced by a new one.

    `load` reads the configuration again. `parts` replace parts of each daemon.
    """

    config: Config
    load: Callable[[], Config]
    once: bool = False
    parts: dict[str, Any] = field(default_factory=dict)
    error_log: ErrorLog = field(default_factory=ErrorLog)
    notifier: SystemdNotifier = field(default_factory=supervisor)
    stops: int = 0  # how often a signal asked this process to stop
    daemon: Daemon | None = None
    _reloads: bool = False
    # A queue, because a signal handler may write to it at any moment: an Event has a lock.
    _signals: "SimpleQueue[None]" = field(default_factory=SimpleQueue)

    def run(self) -> Daemon | None:
        """Work until somebody stops it; return the last daemon, None: the database never answered.

        Raises RunnerError of the daemon, and of a database that does not answer where that will not pass.
        """
        with self._handlers():
            since, attempt = uptime(), 0
            while not self.stops:
                try:
                    return self._work()
                except RunnerError as error:
                    if not self._may_wait(error, since):
                        raise
                    since, attempt = (since, attempt + 1) if self.daemon is None else (uptime(), 1)
                    self.daemon = None
                    self._wait(error, delay(attempt, _FIRST_WAIT, _LONGEST_WAIT))
        return self.daemon

    def _work(self) -> Daemon:
        began = uptime()
        with open_worker_store(self.config) as store, _alone(store):
            self.error_log.note_answer(began)
            roster = RepositoryList(self.config, Credentials(self.config), self.error_log)
            daemon = Daemon(config=self.config, store=store, repository_list=roster, **self.parts)
            daemon.reload_config = self._load
            daemon.signals, self.daemon = self.stops, daemon
            daemon.run(once=self.once)
            return daemon

    def _may_wait(self, error: RunnerError, since: float) -> bool:
        """Whether the error is an outage that this process survives."""
        daemon = self.daemon
        if daemon is not None and daemon.executor.running:
            return False  # a run that does not end must not meet its successor
        cut_off = daemon is not None and daemon.lease.is_cut_off and error.reason is Reason.WORKER_LOST
        return (cut_off or is_outage(error)) and not (self.once and uptime() - since > ONCE_WAIT)

    def _wait(self, error: RunnerError, seconds: float) -> None:
        """Wait for the next try; a signal ends the wait."""
        if is_outage(error):
            self.error_log.note_outage(error.message, uptime())
        else:
            log.error("%s: this worker goes on under a new name when its database answers", error.message)
        self.notifier.status("waiting for the database")
        self.notifier.alive()
        with suppress(Empty):
            self._signals.get(timeout=seconds)
        if self._reloads:
            self._reloads = False
            with self.error_log.report_once("reload", "the configuration stays as it was: "):
                self.config = self._load()

    def _load(self) -> Config:
        self.config = self.load()
        return self.config

    # --- signals --------------------------------------------------------------------------------

    @contextmanager
    def _handlers(self) -> Iterator[None]:
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGHUP: self._reload}
        before = {one: signal.signal(one, handler) for one, handler in handlers.items()}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stops += 1
        self._signals.put(None)
        if self.daemon is not None:
            self.daemon.request_stop()

    def _reload(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.daemon is not None:
            self.daemon.request_reload()
        else:
            self._reloads = True
            self._signals.put(None)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Raises RunnerError when another worker uses the same file database, which serves only one."""
    if not store.database.is_file:
        yield
        return
    with ExitStack() as held:
        try:
            held.enter_context(lock(store.folder / "worker.lock", wait=False))
        except BlockingIOError as error:
            message = f"another worker uses {store.database.place}, and a file serves only one"
            hint = "give this one another state_dir, or let both share PostgreSQL: worker.database"
            raise RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint) from error
        yield
