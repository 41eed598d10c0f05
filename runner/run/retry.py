"""Another run of what an ended one did, for a worker."""

from dataclasses import replace
from datetime import UTC, datetime

from runner.core.model import Run
from runner.core.model.decision import Decision, Verdict
from runner.run.start import retry_entry
from runner.store import Store, new_run_id
from runner.store.decisions import DecisionStore
from runner.store.queue import RunQueue


def queue_again(store: Store, found: Run, asked: str, who: str, *, current: bool = False) -> str:
    """Queue what a run did once more, and return the id of the new run.

    `asked` is of this one request: with the same, nothing is queued a second time. `current` has it use the
    skill as it is now. Raises RunnerError where no worker knows what the run did.
    """
    work, now = RunQueue(store).work(found.id), datetime.now(UTC)
    if current:
        work = replace(work, commit="")
    decided = DecisionStore(store, found.repository)
    key = f"retry:{found.id}:{asked}"
    if (before := decided.find(found.skill, key)) is not None:
        return before.run_id
    earlier = decided.find(found.skill, found.trigger_key)
    decision = Decision(
        key=key,
        skill=found.skill,
        trigger=found.trigger,
        verdict=Verdict.STARTED,
        message=f"{who} asked for run {found.id} again",
        at=now,
        run_id=new_run_id(now),
        subject_key=earlier.subject_key if earlier else "",
    )
    entry = retry_entry(found, work, decision, _urgency(store, found))
    decided.decide(lambda _: [decision], lambda _: entry)
    return decision.run_id


def _urgency(store: Store, found: Run) -> int:
    """As it was, and before what no human waits for; a retry's retry goes no further."""
    by_hand = found.trigger == "manual" or found.trigger_key.startswith("retry:")
    return RunQueue(store).priority(found.id) - (not by_hand)
