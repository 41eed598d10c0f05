"""Runs of one step of a workflow, one after the other, and those that follow from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from runner.apps.action.job_input import JobInput
from runner.apps.action.job_output import JobOutput
from runner.apps.action.trusted import TrustedRepository
from runner.apps.console import activity_text
from runner.core.errors import RunnerError
from runner.core.model import End, Receipt, RunEvent, TranscriptEvent, Trigger, result_url
from runner.core.model.decision import Decision, Event, Facts, History, Verdict
from runner.run.bootstrap import base
from runner.run.launch import NewRun, launch, terminable
from runner.scheduler.decide import decide_event, failed_to_start
from runner.scheduler.ledger import Ledger
from runner.store import new_run_id
from runner.triggers import actor

DEEPEST = 3
"""How long a chain of `run_completed` may get: a run that follows a run that follows a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A run that has ended."""

    decision: Decision
    end: End
    receipts: tuple[Receipt, ...] = ()
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class _Due:
    decision: Decision
    event: Event
    depth: int = 0


@dataclass(frozen=True, slots=True)
class ActionStep:
    """One step of a workflow, and what it works with."""

    job: JobInput
    presence: JobOutput
    trusted: TrustedRepository
    ledger: Ledger


def run_all(step: ActionStep, started: Sequence[Decision], event: Event | None) -> list[RunResult]:
    """Run what was started, and what follows from it. What there was no time for is told as not started."""
    waiting = [_Due(decision, event or event_of_slot(decision)) for decision in started]
    ran: list[RunResult] = []
    try:
        while waiting:
            due = waiting[0]
            done = _run(step, due)
            waiting.pop(0)
            ran.append(done)
            waiting += _following(step, done, due.depth + 1)
    finally:
        for due in waiting:
            given_up = replace(due.decision, verdict=Verdict.FAILED_TO_START, message=_ENDED, expires=None)
            step.ledger.amend(given_up, _now())
    return ran


_ENDED = "the job ended before its turn came"


def event_of_slot(decision: Decision) -> Event:
    """What a skill is told of the slot that it runs for."""
    due = decision.due.isoformat() if decision.due else ""
    return Event(kind=decision.trigger, key=decision.key, at=decision.at, payload={"schedule": {"due": due}})


def start(step: ActionStep, due: Decision, event: Event, force: Mapping[str, Any]) -> NewRun:
    """Everything that launching needs. Raises RunnerError of the forge."""
    trusted = step.trusted
    skill = trusted.loaded.skills[due.skill]
    begin, mirror = base(trusted.place, trusted.forge, skill.base_branch)
    return NewRun(
        run_id=due.run_id or "dry-run",
        skill=skill,
        commit=trusted.sha,
        trigger=Trigger(
            kind=event.kind,
            key=event.key,
            subject=event.subject,
            actor=actor(event.payload),
            at=event.at,
            event=event.payload,
            inputs=event.inputs,
        ),
        base=begin,
        mirror=mirror,
        force=force,
    )


def force(job: JobInput) -> Mapping[str, Any]:
    """What the workflow asks of every run."""
    more = tuple(line.strip() for line in job.inputs["verify"].splitlines() if line.strip())
    sandbox = job.inputs["sandbox"]
    return {"verify": more} | ({"force_sandbox": sandbox} if sandbox else {})


def _run(step: ActionStep, due: _Due) -> RunResult:
    decision, presence = due.decision, step.presence
    with presence.group(f"{decision.skill}: {decision.message}"):
        try:
            begin = start(step, decision, due.event, force(step.job))
            with terminable():
                end = launch(
                    step.trusted.place, step.trusted.runs, step.trusted.forge, begin, *_watching(presence)
                )
        except RunnerError as error:
            failed = failed_to_start(decision, error)
            step.ledger.amend(failed, _now())
            return RunResult(decision=failed, end=error.end)
    run = step.trusted.runs.run(decision.run_id)
    receipts = tuple(step.trusted.runs.receipts(decision.run_id))
    step.ledger.add_end(decision, end, result_url(receipts), _now())
    return RunResult(decision=decision, end=end, receipts=receipts, cost_usd=run.cost_usd)


def _watching(presence: JobOutput) -> tuple[Callable[[RunEvent], None], Callable[[TranscriptEvent], None]]:
    """What is shown of a run while it goes on."""

    def observe(event: RunEvent) -> None:
        presence.print_line(f"{event.at:%H:%M:%S} {event.phase:<9} {event.message}")

    def transcript(event: TranscriptEvent) -> None:
        if words := activity_text(event):
            presence.print_line(f"         agent     {words}")

    return observe, transcript


def _following(step: ActionStep, done: RunResult, depth: int) -> list[_Due]:
    """The runs that skills start because this one has ended."""
    decision = done.decision
    if decision.verdict is not Verdict.STARTED or depth > DEEPEST:
        return []
    url = result_url(done.receipts)
    run = {"id": decision.run_id, "skill": decision.skill, "state": done.end.state.value, "url": url}
    now = _now()
    event = Event(
        kind="run_completed",
        key=f"run_completed:{decision.run_id}",
        at=now,
        payload={"run": run},
        subject=decision.run_id,
    )

    def decide(history: History) -> list[Decision]:
        found = decide_event(step.trusted.loaded.skills, event, Facts(), history, now)
        return assign_run_ids(found, now)

    settled = step.ledger.decide(decide, now)
    return [_Due(one, event, depth) for one in settled if one.verdict is Verdict.STARTED]


def assign_run_ids(decisions: Sequence[Decision], now: datetime, host: str = "action") -> list[Decision]:
    """Every decision to start names the run that it starts."""
    return [
        replace(one, run_id=new_run_id(now), host=host) if one.verdict is Verdict.STARTED else one
        for one in decisions
    ]


def _now() -> datetime:
    return datetime.now(UTC)
