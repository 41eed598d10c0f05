"""Takes over the runs of dead workers, and removes old runs, sandboxes and images."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runner.apps.worker.lease import HeartbeatMonitor, uptime
from runner.config.settings import Config
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.model import Phase, Run, RunEvent, RunState
from runner.run.stages import publication, setup
from runner.sandboxes import SANDBOXES, Origin
from runner.scheduler.retry import may_publish_lost, may_retry_lost
from runner.store import Store, is_held, retention
from runner.store.engine import Engine
from runner.store.queue import ClaimedRun, RunQueue
from runner.store.workers import WorkerStore
from runner.workspace import checkout

log = logging.getLogger("skillrunner.worker")

_DECISIONS = timedelta(days=92)  # how long decisions are stored, as in the shared ledger
_WORKERS = timedelta(days=7)
_STARTS = timedelta(days=2)  # twice the longest window that a rate can name


@dataclass(slots=True)
class Recovery:
    """Each worker has one; the store makes sure that only one of several does the same work."""

    config: Config
    store: Store
    workers: WorkerStore
    worker: str
    place: str  # the id of our state directory
    now: Callable[[], datetime]
    heartbeats: HeartbeatMonitor = field(default_factory=HeartbeatMonitor)
    has_new_dead: bool = False  # a worker was found dead, and its orphans are not requeued yet

    # --- dead workers ---------------------------------------------------------------------------

    def find_dead(self) -> None:
        """Mark dead workers: those whose heartbeats stopped, and those here whose process ended."""
        living = [one for one in self.workers.list_living() if one.id != self.worker]
        silent = {one.id: one for one in self.heartbeats.find_expired(living, uptime())}
        ours = [one for one in living if one.place == self.place]
        fallen = {one.id: one for one in ours if not self._is_here(one.id)}
        for worker in self.workers.mark_dead((silent | fallen).values()):
            log.error("worker %s is dead", worker)
            self.has_new_dead = True

    def _is_here(self, worker: str) -> bool:
        """Whether a worker of our state directory runs: a running one holds a lock there."""
        return is_held(self.store.folder / "workers" / worker)

    def take_over(self, engine: Engine, mine: set[str]) -> None:
        """Requeue or end runs that nobody executes: those of dead workers, and our own except `mine`."""
        line = RunQueue(self.store)
        stranded = line.orphaned_runs()
        forgotten = [one for one in line.runs_of(self.worker) if one.run_id not in mine]
        for one in (*stranded, *forgotten):
            self._take_over(one)
        if stranded:
            self.clear_sandboxes()
            self._recover(engine, sorted({one.owner for one in stranded}))

    def _take_over(self, taken: ClaimedRun) -> None:
        run = self.store.run(taken.run_id)
        attempts = self._attempts(run.id)
        retried = self.config.worker.on_worker_lost == "retry" and may_retry_lost(run.attempt, attempts)
        if not taken.has_started:
            told, attempt = (
                f"its worker {taken.owner} is gone, and had not begun: it waits again",
                run.attempt,
            )
        elif self._may_publish(run):
            told = f"its worker {taken.owner} is gone while it published: it goes on with that"
            attempt = run.attempt + 1
        elif retried:
            told, attempt = f"its worker {taken.owner} is gone: it is tried again", run.attempt + 1
        else:
            told, attempt = "", 0
        if not told or not RunQueue(self.store).requeue(
            taken, _event(run, told, self.now(), attempt), attempt
        ):
            told = "lost"
            self.store.mark_lost(run.id, self.now(), taken.owner)
        log.error("run %s of worker %s: %s", run.id, taken.owner, told)

    def _may_publish(self, run: Run) -> bool:
        """Whether all is done but the publication, of which a part may be out: it is safe to repeat."""
        is_ready = run.state is RunState.PUBLISHING and may_publish_lost(run.attempt)
        return is_ready and publication.is_kept(self.store, run.id)

    def _attempts(self, run_id: str) -> int:
        """How many attempts a run may have; one where it was not planned, or its spec cannot be read."""
        try:
            stored = self.store.spec(run_id)
        except RunnerError as error:
            log.error("%s (%s)", error.message, error.hint)
            return 1
        return stored.spec.limits.attempts if stored else 1

    def _recover(self, engine: Engine, dead: list[str]) -> None:
        """Have the engine end the workflows of dead workers: nobody owns them, so they do nothing."""
        while engine.recover(dead):
            pass

    def clear_sandboxes(self) -> Mapping[str, str]:
        """Remove workspaces and sandboxes that ended runs of this store left on this machine.

        Returns by kind of sandbox why its engine could not do it; those sandboxes end by their own timeout.
        """
        faults: dict[str, str] = {}
        rooms = self.config.state / "workspaces"
        if rooms.is_dir():
            checkout.remove_dead_workspaces(rooms)
        for kind in SANDBOXES.all().values():
            try:
                for run_id in kind.sweep(self._is_alive):
                    log.info("run %s left a %s sandbox, which is removed", run_id, kind.name)
            except RunnerError as error:
                faults[kind.name] = error.message
        return faults

    def _is_alive(self, origin: Origin) -> bool:
        if not origin.worker:
            return True  # a run that somebody started by hand
        try:
            run = self.store.run(origin.run_id)
        except RunnerError:
            return True  # a run of another store
        if run.id != origin.run_id:
            return True
        return run.end is None and (run.worker, run.attempt) == (origin.worker, origin.attempt)

    # --- retention ------------------------------------------------------------------------------

    def prune(self, engine: Engine) -> None:
        """Remove runs, decisions and workers past their retention, a limited number per call."""
        now = self.now()
        before = now - timedelta(seconds=self.config.worker.retention)
        old = retention.outdated_runs(self.store, before, self.place)
        self._remove(engine, old, "are past their retention")
        retention.forget_decisions(self.store, min(before, now - _DECISIONS))
        RunQueue(self.store).forget_starts(now - _STARTS)
        for worker in self.workers.forget(now - _WORKERS, self.place):
            safe_fs.remove(self.store.folder / "workers" / worker)

    def _remove(self, engine: Engine, old: Mapping[str, int], why: str) -> None:
        if old:
            engine.forget(old)
            for run_id in old:
                safe_fs.remove(self.store.run_folder(run_id))
            retention.remove(self.store, list(old))
            log.info("%d runs %s, and are removed", len(old), why)

    def keep_small(self, engine: Engine) -> None:
        """Remove the oldest runs while the files of all are too large, and shrink the database."""
        most, now = self.config.worker.runs_size, self.now()
        while old := retention.runs_over_size(self.store, most, now, self.place):
            self._remove(engine, old, f"made the files of runs larger than {most:,} bytes")
        if given_back := retention.shrink(self.store):
            log.info("the database is smaller by %s bytes", f"{given_back:,}")

    def clear_unused(self) -> None:
        """Remove built images and cached set-ups that no run has used for long."""
        setup.prune(self.config.state / "prepared")
        for kind in SANDBOXES.all().values():
            with suppress(RunnerError):  # an engine may be away: another time, then
                for image in kind.prune():
                    log.info("no run has used the image %s for long: it is removed", image)


def _event(run: Run, message: str, at: datetime, attempt: int) -> RunEvent:
    """`message` is about the run's attempt, which has ended where `attempt`, the next one, is another."""
    ended = {"ended_attempt": run.attempt, "ended": message} if attempt > run.attempt else {}
    return RunEvent(
        run_id=run.id, at=at, phase=Phase.STORE, state=RunState.QUEUED, message=message, data=ended
    )
