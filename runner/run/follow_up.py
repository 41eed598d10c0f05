"""The end of a run: the log of decisions records it, and skills may follow. The same for every host."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from runner.core.errors import RunnerError
from runner.core.model import End, Run, result_url
from runner.core.model.decision import Cause, Decision, Event, Facts, History, Verdict
from runner.scheduler.decide import decide_event, listening_skills
from runner.scheduler.ledger import DecideFunction
from runner.skills import Skill
from runner.store import Store

MAX_CHAIN = 3
"""How long a chain of `run_completed` may get: a run that follows a run that follows a run."""

KIND = "run_completed"


class EndLog(Protocol):
    """The log of decisions, which records how the run of each one ended."""

    def add_end(self, decision: Decision, end: End, url: str, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class FollowUps:
    """The decisions that follow from the end of a run."""

    event: Event
    decisions: Sequence[Decision] = ()


def report_end(
    store: Store,
    run: Run,
    end: End,
    decision: Decision | None,
    log: EndLog,
    skills: Mapping[str, Skill],
    decide: Callable[[Event, DecideFunction], Sequence[Decision]],
    now: datetime,
    look_up: Callable[[Event, Facts], Facts],
) -> FollowUps:
    """Record a run's end in the log, and decide for each skill that listens whether it starts.

    `decision` is the one that started the run; None: a person did. `decide` passes the known history to a
    function, and stores the decisions that it returns; `look_up` adds the limits and conditions to the facts.
    Safe to repeat. Raises RunnerError of the forge.
    """
    url = result_url(store.receipts(run.id))
    if decision is not None:
        log.add_end(decision, end, url, now)
    event = Event(
        kind=KIND,
        key=f"{KIND}:{run.id}",
        at=now,
        payload={"run": {"id": run.id, "skill": run.skill, "state": end.state.value, "url": url}},
        subject=run.id,
        subject_key=decision.subject_key if decision is not None else "",
    )
    if not listening_skills(skills, event):
        return FollowUps(event)
    is_last = chain_length(store, run) >= MAX_CHAIN
    facts = look_up(event, Facts())

    def follow(history: History) -> list[Decision]:
        found = decide_event(skills, event, facts, history, now)
        return [_refuse(one, run) for one in found] if is_last else found

    return FollowUps(event, decide(event, follow))


def chain_length(store: Store, run: Run) -> int:
    """The number of runs before this one, each of which the next one followed; counted up to MAX_CHAIN."""
    for length in range(MAX_CHAIN):
        if run.trigger != KIND:
            return length
        try:
            run = store.run(run.subject)
        except RunnerError:  # it is older than runs are kept
            return length + 1
    return MAX_CHAIN


def _refuse(decision: Decision, run: Run) -> Decision:
    """Skip a start after the last run of a chain, which could continue for ever."""
    if decision.verdict is not Verdict.STARTED:
        return decision
    message = f"run {run.id} is the last of a chain: at most {MAX_CHAIN} runs follow one another"
    return replace(decision, verdict=Verdict.SKIPPED, cause=Cause.LIMIT, message=message, expires=None)
