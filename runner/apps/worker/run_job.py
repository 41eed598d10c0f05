"""Executes one run that a worker has taken from the queue."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from runner.apps.worker.lease import Lease
from runner.apps.worker.repository import RepositorySnapshot
from runner.clients.git import files_at
from runner.core import plugins
from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, Run, RunEvent, RunState, Trigger, Usage
from runner.core.model.decision import Decision, Event
from runner.run import bootstrap
from runner.run.agent.resume import CONTINUES, EarlierRun, read_earlier_run
from runner.run.launch import NewRun, PutOffRun, launch
from runner.scheduler.admission import PRIORITIES
from runner.scheduler.retry import may_retry_lost, retry_delay
from runner.skills import Skill, load
from runner.store import Store
from runner.store.decisions import WorkItem
from runner.store.queue import ClaimedRun, RunQueue
from runner.triggers import actor
from runner.triggers.slots import Slot, jittered_start, line_of
from runner.workspace.mirror import Mirror

log = logging.getLogger("skillrunner.worker")

_PAUSE = 0.5  # seconds between two tries to reach a database that is away


@dataclass(slots=True)
class StopSignals:
    """Why the runs of this process have to stop: one of them, or all."""

    lease: Lease
    by_run: dict[str, RunnerError] = field(default_factory=dict)
    all_runs: RunnerError | None = None
    is_final: bool = False  # the process ends: stop waiting for the database

    def check_for(self, run_id: str) -> Callable[[], None]:
        """A function to call while the run goes on; it raises RunnerError when the run has to stop."""

        def ask() -> None:
            self.lease.check()
            if (cause := self.all_runs or self.by_run.get(run_id)) is not None:
                raise cause

        return ask

    def wait(self, error: RunnerError) -> None:
        """Wait for an unreachable database. Raises RunnerError when the lease or the process ends."""
        self.lease.check()
        if self.is_final:
            raise error
        time.sleep(_PAUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """A run to execute, with everything that it needs."""

    store: Store
    run: Run
    claim: ClaimedRun
    repository: RepositorySnapshot
    stop_signals: StopSignals
    now: Callable[[], datetime]
    retries_lost: bool = False  # a run that its worker lost is tried again


RunFunction = Callable[[RunJob], End]


def cancellation(message: str) -> RunnerError:
    return RunnerError(Phase.HARNESS, Reason.CANCELLED, message, hint="skillrunner retry RUN")


def work_item(repository: RepositorySnapshot, event: Event | None, decision: Decision) -> WorkItem:
    """The work item to queue for a decision to start."""
    skill = repository.skills[decision.skill]
    due = {"schedule": {"due": decision.due.isoformat() if decision.due else ""}}
    data = {
        "commit": repository.base.sha,
        "path": skill.path,
        "key": decision.key,
        "kind": decision.trigger,
        "at": decision.at.isoformat(),
        "due": decision.due.isoformat() if decision.due else None,
        "subject": event.subject if event else "",
        "event": event.payload if event else due,
        "inputs": event.inputs if event else {},
        CONTINUES: decision.continues,
    }
    run = Run(
        id=decision.run_id,
        repository=repository.name,
        skill=decision.skill,
        trigger=decision.trigger,
        trigger_key=decision.key,
        subject=event.subject if event else "",
        base_sha=repository.base.sha,
        state=RunState.QUEUED,
        created_at=decision.at,
        harness=skill.options.harness.kind,
    )
    return WorkItem(
        run=run,
        data=data,
        priority=PRIORITIES[skill.options.priority] - (decision.trigger == "manual"),
        not_before=_start_time(repository, decision),
        cancels_others=skill.options.overlap == "cancel_running",
    )


def _start_time(repository: RepositorySnapshot, decision: Decision) -> datetime | None:
    """When a slot's run may start if its schedule has `jitter`; None: at once."""
    timetable = repository.skills[decision.skill].triggers.get("schedule")
    if timetable is None or decision.due is None:
        return None
    for schedule in timetable.root:
        if schedule.jitter and decision.key.startswith(f"schedule:{line_of(schedule)}:"):
            slot = Slot(due=decision.due, key=decision.key, schedule=schedule)
            return jittered_start(slot, f"{repository.name} {decision.skill}")
    return None


def run_job(job: RunJob) -> End:
    """Execute a queued run with its skill at the commit of the decision.

    The run's end is always stored, unless the run is requeued for another attempt.
    """
    put_off = _requeue_function(job)
    try:
        _remove_earlier_sandbox(job)
        begin = _new_run(job, put_off)
        place, forge = job.repository.place, job.repository.forge
        return launch(place, job.store, forge, begin, _log_event, lambda _: None)
    except RunnerError as error:
        end = error.end
    except Exception as error:
        log.exception("run %s", job.run.id)
        message = f"{type(error).__name__}: {error}; this is a bug in skillrunner"
        end = End(state=RunState.ERROR, phase=Phase.PLAN, message=message)
    spent = job.run.usage
    if job.store.run(job.run.id).end is None and not put_off(end, job.run.attempt, 1, spent):
        job.store.finish(job.run.id, end, job.now(), spent)
    return end


def _remove_earlier_sandbox(job: RunJob) -> None:
    """Remove the sandbox that an earlier attempt left on this machine."""
    if job.claim.turn > 1:
        sandbox: Any = plugins.module("sandboxes", job.repository.place.config.sandbox)
        sweep = getattr(sandbox, "sweep", None)
        if sweep is not None:
            sweep(lambda origin: origin.run_id != job.run.id)


def _requeue_function(job: RunJob) -> PutOffRun:
    """A function that requeues the run if another attempt is allowed, and returns whether it did."""

    def put_off(end: End, attempt: int, attempts: int, spent: Usage) -> bool:
        now = job.now()
        if end.reason is Reason.WORKER_LOST and job.retries_lost and may_retry_lost(attempt, attempts):
            until = now
        elif (wait := retry_delay(end, attempt, attempts, _has_begun(job))) is not None:
            until = now + wait
        else:
            return False
        told = f"attempt {attempt} ended: {end.message}; the next may begin at {until:%Y-%m-%d %H:%M:%S} UTC"
        event = RunEvent(run_id=job.run.id, at=now, phase=end.phase, state=RunState.QUEUED, message=told)
        log.info("run %s: %s", job.run.id, told)
        return RunQueue(job.store).requeue(job.claim, event, attempt + 1, until, spent)

    return put_off


def _has_begun(job: RunJob) -> bool:
    """Whether the harness has started: until then an attempt costs nothing."""
    return job.store.run(job.run.id).state not in (RunState.QUEUED, RunState.PREPARING)


def _log_event(event: Any) -> None:
    log.info("%s %s: %s", event.run_id, event.phase, event.message)


def _new_run(job: RunJob, put_off: PutOffRun) -> NewRun:
    run, repository = job.run, job.repository
    work = RunQueue(job.store).work(run.id)
    commit = work["commit"] or repository.base.sha  # none: as it is now
    # The newest commit's skills have been read already.
    known = repository.skills.get(run.skill) if commit == repository.base.sha else None
    skill = known or skill_at(repository.mirror, commit, work["path"], run.skill)
    base, mirror = bootstrap.base(repository.place, repository.forge, skill.base_branch)
    before = _earlier_run(job.store, work)
    if before is not None:
        base = replace(base, sha=mirror.resolve(before.base_sha))
    return NewRun(
        run_id=run.id,
        earlier=before,
        skill=skill,
        commit=commit,
        trigger=trigger_of(work),
        base=base,
        mirror=mirror,
        # What isolates is the worker's choice: a skill cannot ask to run on the bare machine.
        force={"force_sandbox": repository.place.config.sandbox},
        queued=True,
        stop=job.stop_signals.check_for(run.id),
        worker=job.claim.owner,
        attempt=run.attempt,
        put_off=put_off,
    )


def _earlier_run(store: Store, work: Mapping[str, Any]) -> EarlierRun | None:
    """The run that this one continues, if its patch or session still exists."""
    if not work.get(CONTINUES):
        return None
    run = store.run(work[CONTINUES])
    before = read_earlier_run(store, run) if run.end is not None else None
    return before if before is not None and (before.patch or before.session) else None


def trigger_of(work: Mapping[str, Any]) -> Trigger:
    """The trigger of a run, read from its work item."""
    return Trigger(
        kind=work["kind"],
        key=work["key"],
        subject=work["subject"],
        actor=actor(work["event"]),
        at=datetime.fromisoformat(work["at"]),
        event=work["event"],
        inputs=work["inputs"],
    )


def skill_at(mirror: Mirror, commit: str, path: str, name: str) -> Skill:
    """A skill as it was at a commit. Raises RunnerError SKILL_NOT_FOUND."""
    found = load(files_at(mirror.directory, commit, [path])).skills
    if name not in found:
        message = f"{mirror.url} has no valid skill {name} at {commit[:12]} any more"
        raise RunnerError(Phase.LOAD, Reason.SKILL_NOT_FOUND, message, hint="skillrunner validate")
    return found[name]
