"""Several processes do the same to one store at the same moment: of each thing there is one winner."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from runner.scheduler.admission import AdmissionLimits, admit
from runner.store import Store
from runner.store.queue import RunQueue
from runner.store.tables import decisions, events, queue, runs
from runner.store.workers import WorkerStore
from tests.parts.racer import COUNT, NOW, enqueue, worker

ROOT = Path(__file__).parents[3]
RACERS = ("one", "two", "three")


@pytest.fixture(params=["sqlite", "postgres"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(tmp_path / "state", "" if request.param == "sqlite" else request.getfixturevalue("postgres"))
    yield made
    made.close()


def race(store: Store, action: str, *names: str) -> Counter[str]:
    """What each of the racers says that it won, counted."""
    server = "" if store.database.is_file else store.database.url
    several = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.parts.racer", str(store.folder), server, action, name],
            cwd=ROOT,
            env={**os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    assert [process.stdout.readline() for process in several if process.stdout] == ["ready\n"] * len(names)
    for process in several:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120)[0] for process in several]
    assert [process.returncode for process in several] == [0] * len(names)
    return Counter(line for text in told for line in text.splitlines())


def count(store: Store, table: object) -> int:
    with store.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_a_slot_is_decided_once_and_has_one_run(store: Store) -> None:
    won = race(store, "settle", *RACERS)
    assert won == Counter([f"slot-{at:03}" for at in range(COUNT)])
    assert [count(store, table) for table in (decisions, runs, queue)] == [COUNT] * 3


def test_a_run_is_taken_once(store: Store) -> None:
    for name in RACERS:
        WorkerStore(store).register(worker(name))
    for at in range(COUNT):
        enqueue(store, f"run-{at:03}")
    won = race(store, "take", *RACERS)
    assert won == Counter([f"run-{at:03}" for at in range(COUNT)])
    owned = [one for name in RACERS for one in RunQueue(store).runs_of(name)]
    assert sorted(one.run_id for one in owned) == sorted(won)
    assert {one.turn for one in owned} == {1}
    assert all(store.run(one.run_id).worker == one.owner for one in owned)


def test_the_dead_are_buried_once(store: Store) -> None:
    for at in range(COUNT):
        WorkerStore(store).register(worker(f"w-{at:03}"))
    assert race(store, "bury", *RACERS) == Counter([f"w-{at:03}" for at in range(COUNT)])
    assert WorkerStore(store).list_living() == []


def taken_by_the_dead(store: Store) -> None:
    WorkerStore(store).register(worker("dead"))
    for at in range(COUNT):
        enqueue(store, f"run-{at:03}")
    RunQueue(store).admit("dead", COUNT, lambda scene: admit(scene, COUNT, AdmissionLimits(skill=None)), NOW)


def test_what_the_dead_had_is_put_back_once(store: Store) -> None:
    taken_by_the_dead(store)
    assert race(store, "put_back", *RACERS) == Counter([f"run-{at:03}" for at in range(COUNT)])
    assert {store.run(f"run-{at:03}").attempt for at in range(COUNT)} == {2}
    assert count(store, events) == COUNT


def test_what_the_dead_had_is_lost_once_or_put_back_and_never_both(store: Store) -> None:
    taken_by_the_dead(store)
    won = race(store, "lose", *RACERS)
    assert won == Counter([f"run-{at:03}" for at in range(COUNT)])
    assert RunQueue(store).runs_of("dead") == []
    assert race(store, "put_back", "four") == Counter()
