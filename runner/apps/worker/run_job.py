"""Executes one run that a worker has taken from the queue."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from runner.apps.worker.lease import Lease
from runner.apps.worker.repository import RepositorySnapshot
from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, Run, RunEvent, RunState, Usage
from runner.run.launch import ContinuedRun, NewRun, RequeueRun, launch
from runner.run.stages import publication
from runner.run.start import approved_run, run_of_work
from runner.sandboxes import SANDBOXES
from runner.scheduler.retry import may_publish_lost, may_retry_lost, retry_delay
from runner.store import Store
from runner.store.approvals import ApprovalStore
from runner.store.queue import ClaimedRun, RunQueue

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


def run_job(job: RunJob) -> End:
    """Execute a queued run with its skill at the commit of the decision.

    The run's end is always stored, unless the run is requeued for another attempt.
    """
    requeue = _requeue_function(job)
    try:
        _remove_earlier_sandbox(job)
        begin = _approved_run(job, requeue) or _new_run(job, requeue)
        return launch(job.repository.host(job.store), begin, _log_event, lambda _: None)
    except RunnerError as error:
        end = error.end
    except Exception as error:
        log.exception("run %s", job.run.id)
        message = f"{type(error).__name__}: {error}; this is a bug in skillrunner"
        end = End(state=RunState.ERROR, phase=Phase.PLAN, message=message)
    spent = job.run.usage
    if job.store.run(job.run.id).end is None and not requeue(end, job.run.attempt, 1, spent):
        job.store.finish(job.run.id, end, job.now(), spent)
    return end


def _remove_earlier_sandbox(job: RunJob) -> None:
    """Remove the sandbox that an earlier attempt left on this machine."""
    if job.claim.turn > 1:
        sandbox = SANDBOXES.get(job.repository.place.config.sandbox)
        sandbox.sweep(lambda origin: origin.run_id != job.run.id)


def _requeue_function(job: RunJob) -> RequeueRun:
    """A function that requeues the run if another attempt is allowed, and returns whether it did."""

    def requeue(end: End, attempt: int, attempts: int, spent: Usage) -> bool:
        now = job.now()
        if end.reason is Reason.WORKER_LOST and _may_go_on(job, attempt, attempts):
            until = now
        elif (wait := retry_delay(end, attempt, attempts, _needs_harness(job))) is not None:
            until = now + wait
        else:
            return False
        told = f"attempt {attempt} ended: {end.message}; the next may begin at {until:%Y-%m-%d %H:%M:%S} UTC"
        event = RunEvent(
            run_id=job.run.id,
            at=now,
            phase=end.phase,
            state=RunState.QUEUED,
            message=told,
            data={"ended_attempt": attempt, "ended": end.message},
        )
        log.info("run %s: %s", job.run.id, told)
        return RunQueue(job.store).requeue(job.claim, event, attempt + 1, until, spent)

    return requeue


def _may_go_on(job: RunJob, attempt: int, attempts: int) -> bool:
    """Whether a run that its worker gave up is taken up again."""
    retried = job.retries_lost and may_retry_lost(attempt, attempts)
    return retried or (_is_ready(job) and may_publish_lost(attempt))


def _needs_harness(job: RunJob) -> bool:
    """Whether another attempt costs something: the harness had started, and what it made is not kept."""
    has_begun = job.store.run(job.run.id).state not in (RunState.QUEUED, RunState.PREPARING)
    return has_begun and not _is_ready(job)


def _is_ready(job: RunJob) -> bool:
    """Whether all is done but the publication."""
    is_publishing = job.store.run(job.run.id).state is RunState.PUBLISHING
    return is_publishing and publication.is_kept(job.store, job.run.id)


def _log_event(event: Any) -> None:
    log.info("%s %s: %s", event.run_id, event.phase, event.message)


def _approved_run(job: RunJob, requeue: RequeueRun) -> ContinuedRun | None:
    """The run as it was shown to whoever approved it; None: nobody has."""
    if not ApprovalStore(job.store).approved_proposal(job.run.id):
        return None
    found = approved_run(job.repository.host(job.store), job.run)
    stop, owner = job.stop_signals.check_for(job.run.id), job.claim.owner
    return replace(found, stop=stop, worker=owner, requeue=requeue)


def _check_that_skill_is_there(run: Run, repository: RepositorySnapshot) -> None:
    """Raises RunnerError SKILL_NOT_FOUND when a skill was deleted while its run waited.

    An edited one runs as it was decided; who asks for an old run again may have a skill that is gone.
    """
    if run.skill in repository.skills or run.trigger_key.startswith("retry:"):
        return
    base = repository.base
    faults = [one for one in repository.skill_set.faults if f"/{run.skill}/" in f"/{one.file}"]
    if not faults:
        message = (
            f"the skill {run.skill} was deleted from {base.ref} (at {base.sha[:12]}) while this run waited"
        )
        hint = "commit it again, or leave it so: nothing was started"
        raise RunnerError(Phase.LOAD, Reason.SKILL_NOT_FOUND, message, hint=hint)


def _new_run(job: RunJob, requeue: RequeueRun) -> NewRun:
    run, repository = job.run, job.repository
    _check_that_skill_is_there(run, repository)
    made = run_of_work(
        repository.host(job.store),
        run.id,
        run.skill,
        RunQueue(job.store).work(run.id),
        repository.skill_source,
        # What isolates is the worker's choice: a skill cannot ask to run on the bare machine.
        {"force_sandbox": repository.place.config.sandbox},
    )
    return replace(
        made,
        queued=True,
        stop=job.stop_signals.check_for(run.id),
        worker=job.claim.owner,
        attempt=run.attempt,
        requeue=requeue,
    )
