"""What a worker has in hand: runs that it takes from the queue, has the engine begin, and carries out."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from runner.apps.worker.controller import Controller
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.run_job import RunFunction, RunJob, StopSignals, cancellation, log
from runner.config.settings import Config
from runner.core.model import End, Reason
from runner.scheduler.admission import QueueState, WaitingRun, admit, limits_of
from runner.store import Store
from runner.store.engine import Engine
from runner.store.queue import RunQueue, TakenRun

_ENGINE_REASONS = frozenset({Reason.ENGINE_FAILED, Reason.ENGINE_UNAVAILABLE})


@dataclass(slots=True)
class Executor:
    """Of one worker. Whoever takes runs is one thread; each run has one more."""

    config: Config
    store: Store
    worker: str
    now: Callable[[], datetime]
    controller: Controller
    stop_signals: StopSignals
    error_log: ErrorLog
    run_function: RunFunction
    wake: Callable[[], None]
    running: dict[str, int] = field(default_factory=dict)  # what was taken: the turns of runs
    needs_sweep: bool = False  # an engine broke, and may have kept what our runs had in it
    _threads: dict[str, object] = field(default_factory=dict)  # which of it some thread carries out

    def take(self, engine: Engine, starters: ThreadPoolExecutor) -> None:
        """Take as many of the runs that wait as there may be."""
        room = self.config.worker.concurrency.worker - len(self.running)
        if room <= 0 or not self.controller.snapshots or not self._has_room_on_disk():
            return
        bounds = limits_of(self.config.worker)

        def choose(scene: QueueState) -> list[str]:
            return admit(replace(scene, waiting=self._affordable(scene.waiting)), room, bounds)

        taken = RunQueue(self.store).admit(self.worker, room, choose, self.now(), bounds.memory)
        self.running.update(taken)
        for run_id, turn in taken.items():
            starters.submit(self._enqueue, engine, run_id, turn)

    def is_idle(self) -> bool:
        """What was put off, or may not begin yet for a budget or a rate, is for another time."""
        if self.running:
            return False
        bounds = replace(limits_of(self.config.worker), total=None, repository=None, skill=None)
        scene = RunQueue(self.store).state(self.now(), bounds.memory)
        scene = replace(scene, waiting=self._affordable(scene.waiting))
        return not (self._has_room_on_disk() and admit(scene, 1, bounds))

    def _affordable(self, waiting: Sequence[WaitingRun]) -> list[WaitingRun]:
        """Those of repositories that we watch, and of skills that may spend something today."""
        watched = [one for one in waiting if one.repository in self.controller.snapshots]
        purses = {name: self.controller.budget(name) for name in {one.repository for one in watched}}
        return [one for one in watched if not purses[one.repository].refusal(one.skill)]

    def _enqueue(self, engine: Engine, run_id: str, turn: int) -> None:
        """In a thread of its own: while the database is away, the engine waits for it."""
        begun = False
        with self.error_log.report_once(f"begin {run_id}", f"run {run_id} could not begin: "):
            engine.enqueue(run_id, turn)
            begun = True
        if not begun:
            self.running.pop(run_id, None)  # and the caretaker puts it back

    def stop_cancelled(self) -> None:
        """Stop the runs that somebody asked us to stop."""
        for run_id, why in RunQueue(self.store).stop_requests(self.worker).items():
            self.stop_signals.by_run.setdefault(run_id, cancellation(why))

    def _has_room_on_disk(self) -> bool:
        free, least = shutil.disk_usage(self.store.folder).free, self.config.worker.free_disk
        if free < least:
            message = f"{self.store.folder}: less than {least:,} bytes are free: nothing is started"
            self.error_log.report("disk", message)
            return False
        self.error_log.resolve("disk")
        return True

    def handle(self, run_id: str, turn: int) -> None:
        """A turn of a run, in a thread of the engine. Not ours, or over: nothing is to be done."""
        me = object()
        if self.running.get(run_id) != turn or self._threads.setdefault(run_id, me) is not me:
            return
        try:
            with self.error_log.report_once(f"carry {run_id}", f"run {run_id}: "):
                for taken in RunQueue(self.store).runs_of(self.worker):
                    if (taken.run_id, taken.turn) == (run_id, turn):
                        self._run(taken)
        finally:
            del self._threads[run_id]
            self.stop_signals.by_run.pop(run_id, None)
            self.running.pop(run_id, None)
            self.wake()

    def _run(self, taken: TakenRun) -> None:
        run = self.store.run(taken.run_id)
        end = self.run_function(
            RunJob(
                store=self.store,
                run=run,
                claim=taken,
                repository=self.controller.snapshots[run.repository],
                stop_signals=self.stop_signals,
                now=self.now,
                retries_lost=self.config.worker.on_worker_lost == "retry",
            )
        )
        self.needs_sweep = self.needs_sweep or end.reason in _ENGINE_REASONS
        if self.store.run(run.id).end is not None:
            self._report_end(run.id, end)

    def _report_end(self, run_id: str, end: End) -> None:
        log.info("run %s: %s: %s", run_id, end.state, end.message)
        with self.error_log.report_once(f"tell {run_id}", f"run {run_id}: its end could not be told: "):
            self.controller.report_end(run_id)
