"""A process that does one thing to a store, at the same moment as others do, and tells what it won.

Usage: racer.py STATE_DIR SERVER ACTION NAME; it says "ready", waits for a line, and then goes.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from runner.core.model import Phase, Run, RunEvent, RunState
from runner.core.model.decision import Decision, History, Verdict
from runner.scheduler.admission import AdmissionLimits, admit
from runner.store import Store
from runner.store.decisions import DecisionStore, QueueEntry
from runner.store.queue import RunQueue
from runner.store.workers import Worker, WorkerStore
from tests.parts.plans import WORK

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
COUNT = 60


def run(run_id: str, skill: str = "docs", **changes: object) -> Run:
    made = Run(
        id=run_id,
        repository="o/r",
        skill=skill,
        trigger="schedule",
        trigger_key=f"schedule:{run_id}",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def decision(key: str, run_id: str = "", skill: str = "docs", **changes: object) -> Decision:
    verdict = Verdict.STARTED if run_id else Verdict.SKIPPED
    made = Decision(
        key=key, skill=skill, trigger="schedule", verdict=verdict, message="m", at=NOW, run_id=run_id
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def worker(name: str, **changes: object) -> Worker:
    made = Worker(
        id=name,
        host="here",
        place="here",
        pid=1,
        version="1",
        capacity=2,
        silence=30.0,
        state="running",
        started_at=NOW,
        seen_at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def event(run_id: str) -> RunEvent:
    return RunEvent(run_id=run_id, at=NOW, phase=Phase.STORE, message="it waits again")


def enqueue(store: Store, run_id: str, skill: str = "docs", **changes: object) -> None:
    """A decision to start, with its run."""
    made = replace(QueueEntry(run=run(run_id, skill), work=WORK), **changes)  # type: ignore[arg-type]
    DecisionStore(store, "o/r").decide(lambda _: [decision(run_id, run_id, skill)], lambda _: made)


def settle(store: Store, name: str) -> Iterator[str]:
    """Decide on the same slots as everybody does."""
    book = DecisionStore(store, "o/r")
    for at in range(COUNT):
        key = f"slot-{at:03}"

        def decide(known: History, key: str = key) -> list[Decision]:
            return [] if f"docs {key}" in known.decisions else [decision(key, f"{name}-{key}")]

        yield from (
            one.key for one in book.decide(decide, lambda one: QueueEntry(run=run(one.run_id), work=WORK))
        )


def take(store: Store, name: str) -> Iterator[str]:
    """Take runs, two at a time, as long as there are any."""
    line, bounds = RunQueue(store), AdmissionLimits(skill=None)
    while taken := line.admit(name, 2, lambda scene: admit(scene, 2, bounds), NOW):
        yield from taken


def bury(store: Store, _: str) -> Iterator[str]:
    """Find everybody dead."""
    workers = WorkerStore(store)
    for one in sorted(workers.list_living(), key=lambda one: one.id):
        yield from workers.mark_dead([one])


def put_back(store: Store, _: str) -> Iterator[str]:
    """Put the runs of a dead worker back."""
    line = RunQueue(store)
    for one in sorted(line.runs_of("dead"), key=lambda one: one.run_id):
        if line.requeue(one, event(one.run_id), 2):
            yield one.run_id


def lose(store: Store, _: str) -> Iterator[str]:
    """End the runs of a dead worker."""
    for one in sorted(RunQueue(store).runs_of("dead"), key=lambda one: one.run_id):
        if store.mark_lost(one.run_id, NOW, "dead"):
            yield one.run_id


ACTIONS: dict[str, Callable[[Store, str], Iterator[str]]] = {
    "settle": settle,
    "take": take,
    "bury": bury,
    "put_back": put_back,
    "lose": lose,
}


def main(folder: str, server: str, action: str, name: str) -> None:
    store = Store(Path(folder), server)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for won in ACTIONS[action](store, name):
        sys.stdout.write(f"{won}\n")
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
