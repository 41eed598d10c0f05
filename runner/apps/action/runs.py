"""Executes the runs of one workflow step one after the other, and the runs that they trigger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from runner.apps.action.attempts import host_of
from runner.apps.action.job_input import JobInput
from runner.apps.action.job_output import JobOutput
from runner.apps.action.trusted import TrustedRepository
from runner.apps.console import activity_text, answer_text
from runner.core.errors import RunnerError
from runner.core.model import End, Receipt, RunEvent, TranscriptEvent
from runner.core.model.decision import Decision, Event, Verdict
from runner.run.follow_up import report_end
from runner.run.launch import NewRun, interrupt_on_sigterm, launch
from runner.run.start import run_of_work, work_of
from runner.scheduler.decide import failed_to_start
from runner.scheduler.ledger import DecideFunction, Ledger
from runner.store import new_run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A run that has ended."""

    decision: Decision
    end: End
    receipts: tuple[Receipt, ...] = ()
    cost_usd: float | None = None
    cost_at_least: float | None = None
    answer: str = ""  # what its agent said last
    warnings: tuple[str, ...] = ()  # what did not go, and failed nothing

    @property
    def is_stored(self) -> bool:
        """Whether there was a run, and not a failure to start one."""
        return self.decision.verdict is Verdict.STARTED


@dataclass(frozen=True, slots=True)
class _Due:
    decision: Decision
    event: Event | None  # None: a slot


@dataclass(frozen=True, slots=True)
class ActionStep:
    """One step of a workflow, with what it needs."""

    job: JobInput
    job_output: JobOutput
    repository: TrustedRepository
    ledger: Ledger


def run_all(step: ActionStep, decisions: Sequence[Decision], event: Event | None) -> list[RunResult]:
    """Execute the started runs and those that they trigger; report those without time left as not started."""
    waiting = [_Due(decision, event) for decision in decisions]
    ran: list[RunResult] = []
    try:
        while waiting:
            done = _run(step, waiting[0])
            waiting.pop(0)
            ran.append(done)
            waiting += _follow_ups(step, done)
    finally:
        for due in waiting:
            given_up = replace(due.decision, verdict=Verdict.FAILED_TO_START, message=_ENDED, expires=None)
            step.ledger.amend(given_up, _now())
    return ran


_ENDED = "the job ended before its turn came"


def start(step: ActionStep, due: Decision, event: Event | None, force: Mapping[str, Any]) -> NewRun:
    """Everything that launching needs; `event` is None for a slot. Raises RunnerError of the forge."""
    trusted = step.repository
    work = work_of(due, event, trusted.skill_set.skills[due.skill], trusted.sha)
    return run_of_work(trusted.host, due.run_id or "dry-run", due.skill, work, trusted.skill_source, force)


def force(job: JobInput) -> Mapping[str, Any]:
    """What the workflow asks of every run."""
    more = tuple(line.strip() for line in job.inputs["verify"].splitlines() if line.strip())
    sandbox = job.inputs["sandbox"]
    return {"verify": more} | ({"force_sandbox": sandbox} if sandbox else {})


def _run(step: ActionStep, due: _Due) -> RunResult:
    decision, presence = due.decision, step.job_output
    with presence.group(f"{decision.skill}: {decision.message}"):
        try:
            begin = start(step, decision, due.event, force(step.job))
            with interrupt_on_sigterm():
                end = launch(step.repository.host, begin, *_watching(presence))
        except RunnerError as error:
            failed = failed_to_start(decision, error)
            step.ledger.amend(failed, _now())
            return RunResult(decision=failed, end=error.end)
    run = step.repository.runs.run(decision.run_id)
    receipts = tuple(step.repository.runs.receipts(decision.run_id))
    events = [event for _, event in step.repository.runs.events(decision.run_id)]
    return RunResult(
        decision=decision,
        end=end,
        receipts=receipts,
        cost_usd=run.cost_usd,
        cost_at_least=run.cost_at_least,
        answer=answer_text(step.repository.runs, decision.run_id),
        warnings=tuple(dict.fromkeys(event.message for event in events if event.is_warning)),
    )


def _watching(presence: JobOutput) -> tuple[Callable[[RunEvent], None], Callable[[TranscriptEvent], None]]:
    """Shows a run's events while it goes on."""

    def observe(event: RunEvent) -> None:
        presence.print_line(f"{event.at:%H:%M:%S} {event.phase:<9} {event.message}")

    def transcript(event: TranscriptEvent) -> None:
        if words := activity_text(event):
            presence.print_line(f"         agent     {words}")

    return observe, transcript


def _follow_ups(step: ActionStep, done: RunResult) -> list[_Due]:
    """Tell the ledger of the end of a run; the runs that skills start because of it."""
    decision = done.decision
    if decision.verdict is not Verdict.STARTED:
        return []
    runs, skills, now = step.repository.runs, step.repository.skill_set.skills, _now()

    def decide(_: Event, decide: DecideFunction) -> list[Decision]:
        host = host_of(step.job)
        return step.ledger.decide(lambda history: assign_run_ids(decide(history), now, host), now)

    run = runs.run(decision.run_id)
    told = report_end(
        runs, run, done.end, decision, step.ledger, skills, decide, now, step.repository.limits.of_event
    )
    return [_Due(one, told.event) for one in told.decisions if one.verdict is Verdict.STARTED]


def assign_run_ids(decisions: Sequence[Decision], now: datetime, host: str) -> list[Decision]:
    """Give every decision to start a run id."""
    return [
        replace(one, run_id=new_run_id(now), host=host) if one.verdict is Verdict.STARTED else one
        for one in decisions
    ]


def _now() -> datetime:
    return datetime.now(UTC)
