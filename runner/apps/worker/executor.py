"""Takes runs from the queue, starts them in the engine, and executes them."""

import os
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
from runner.scheduler.obstacles import disk_message, engine_message
from runner.scheduler.overdue import AlertKind
from runner.store import Store
from runner.store.engine import Engine
from runner.store.queue import ClaimedRun, RunQueue

_ENGINE_REASONS = frozenset({Reason.ENGINE_FAILED, Reason.ENGINE_UNAVAILABLE})


@dataclass(slots=True)
class Executor:
    """Executes the runs of one worker. One thread takes runs; each run has a thread of its own."""

    config: Config
    store: Store
    worker: str
    now: Callable[[], datetime]
    controller: Controller
    stop_signals: StopSignals
    error_log: ErrorLog
    run_function: RunFunction
    wake: Callable[[], None]
    running: dict[str, int] = field(default_factory=dict)  # run id -> turn
    needs_sweep: bool = False  # a sandbox engine failed, and may hold containers of our runs
    disk_fault: str = ""  # why the disk has no room for another run; empty: it has
    engine_fault: str = ""  # why our sandbox engine cannot be used; empty: nothing says so
    _threads: dict[str, object] = field(
        default_factory=dict
    )  # run id -> the call of `handle` that executes it

    def take(self, engine: Engine, starters: ThreadPoolExecutor) -> None:
        """Take as many waiting runs as the limits allow, and start them."""
        room = self.config.worker.concurrency.worker - len(self.running)
        self._look_at_machine()
        if room <= 0 or not self.controller.snapshots or self.disk_fault or self.engine_fault:
            return
        bounds = limits_of(self.config.worker)

        def choose(scene: QueueState) -> list[str]:
            return admit(replace(scene, waiting=self._within_budget(scene.waiting)), room, bounds)

        taken = RunQueue(self.store).admit(self.worker, room, choose, self.now(), bounds.rate_window)
        self.running.update(taken)
        for run_id, turn in taken.items():
            starters.submit(self._enqueue, engine, run_id, turn)

    def is_idle(self) -> bool:
        """Whether no run is executed and none may start now. A requeued run, or one over budget, may not."""
        if self.running:
            return False
        bounds = replace(limits_of(self.config.worker), total=None, repository=None, skill=None)
        scene = RunQueue(self.store).state(self.now(), bounds.rate_window)
        scene = replace(scene, waiting=self._within_budget(scene.waiting))
        return bool(self.disk_fault or self.engine_fault) or not admit(scene, 1, bounds)

    def _within_budget(self, waiting: Sequence[WaitingRun]) -> list[WaitingRun]:
        """The waiting runs of our repositories whose skills have budget left today."""
        watched = [one for one in waiting if one.repository in self.controller.snapshots]
        purses = {name: self.controller.budget(name) for name in {one.repository for one in watched}}
        return [one for one in watched if not purses[one.repository].refusal(one.skill)]

    def _enqueue(self, engine: Engine, run_id: str, turn: int) -> None:
        """Start a run in the engine. This has a thread of its own: the engine waits for a lost database."""
        begun = False
        with self.error_log.report_once(f"begin {run_id}", f"run {run_id} could not be started: "):
            engine.enqueue(run_id, turn)
            begun = True
        if not begun:
            self.running.pop(run_id, None)  # recovery puts it back into the queue

    def stop_cancelled(self) -> None:
        """Stop the runs whose stop somebody requested."""
        for run_id, why in RunQueue(self.store).stop_requests(self.worker).items():
            self.stop_signals.by_run.setdefault(run_id, cancellation(why))

    def _look_at_machine(self) -> None:
        """Find out whether disk and engine let anything start, and note it where people ask for it."""
        free, least = shutil.disk_usage(self.store.folder).free, self.config.worker.free_disk
        folder, host = str(self.store.folder), os.uname().nodename
        self.disk_fault = disk_message(folder, host, least) if free < least else ""
        engine = self.engine_fault and engine_message(self.config.sandbox, host, self.engine_fault)
        for kind, fault in ((AlertKind.DISK, self.disk_fault), (AlertKind.ENGINE, engine)):
            self.controller.alerts.note_machine(kind, fault)
            if fault:
                self.error_log.report(kind.value, fault)
            else:
                self.error_log.resolve(kind.value)

    def handle(self, run_id: str, turn: int) -> None:
        """Execute one turn of a run, in a thread of the engine. A turn that is not ours is ignored."""
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

    def _run(self, taken: ClaimedRun) -> None:
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
        if end.reason in _ENGINE_REASONS:
            self.needs_sweep, self.engine_fault = True, end.message.partition("\n")[0]
        if self.store.run(run.id).end is not None:
            self._report_end(run.id, end)

    def _report_end(self, run_id: str, end: End) -> None:
        log.info("run %s: %s: %s", run_id, end.state, end.message)
        with self.error_log.report_once(f"tell {run_id}", f"run {run_id}: its end could not be reported: "):
            self.controller.report_end(run_id)
