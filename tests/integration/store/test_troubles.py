"""What keeps runs from starting, as the store has it, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from runner.config.worker import WorkerConfig
from runner.scheduler.obstacles import ObstacleKind, Pause
from runner.scheduler.overdue import AlertKind
from runner.store import Store
from runner.store.alerts import AlertStore, ReadResult
from runner.store.obstacles import held_runs, idle_skills
from runner.store.pauses import pause
from runner.store.queue import RunQueue
from runner.store.troubles import KnownSkill, TroubleScope, TroubleStore
from runner.store.workers import WorkerStore
from tests.parts.racer import NOW, enqueue, event, worker

MINUTE = timedelta(minutes=1)
DISK = TroubleScope(kind=AlertKind.DISK, place="here", host="box")
LISTS = TroubleScope(kind=AlertKind.UNHEARD_LIST, repository="o/r")


@pytest.fixture(params=["sqlite", "postgres"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(tmp_path / "state", "" if request.param == "sqlite" else request.getfixturevalue("postgres"))
    WorkerStore(made).register(worker("w"))
    AlertStore(made).note_read("w", {"o/r": ReadResult()}, NOW)
    yield made
    made.close()


def kinds(store: Store, after: int = 0) -> list[tuple[str, str]]:
    return [
        (one.kind.value, one.skill) for one in AlertStore(store).alerts(NOW + after * MINUTE, 10 * MINUTE)
    ]


def test_a_machines_trouble_is_one_from_its_beginning_to_its_end(store: Store) -> None:
    troubles = TroubleStore(store)
    troubles.replace(DISK, {"": "it is full"}, NOW)
    troubles.replace(DISK, {"": "it is fuller"}, NOW + MINUTE)
    (found,) = AlertStore(store).alerts(NOW, MINUTE)
    assert (found.kind, found.host, found.message, found.since) == (
        AlertKind.DISK,
        "box",
        "it is fuller",
        NOW,
    )
    assert troubles.surroundings().disk == "it is fuller"
    WorkerStore(store).register(worker("v", place="elsewhere"))
    assert troubles.surroundings().disk == "", "another machine has room"
    WorkerStore(store).mark_ended("w", NOW)
    assert kinds(store) == [], "no worker of that machine lives, and one of another does"
    WorkerStore(store).mark_ended("v", NOW)
    assert kinds(store) == [("disk", "")], "nobody lives: the last word stands"
    troubles.replace(DISK, {}, NOW)
    assert kinds(store) == []


def test_a_list_that_cannot_be_heard_is_a_trouble_after_grace(store: Store) -> None:
    TroubleStore(store).replace(LISTS, {"issues": "502", "x" * 300: "502"}, NOW)
    assert kinds(store, 10) == []
    assert kinds(store, 11) == [("unheard list", "issues"), ("unheard list", "x" * 300)]
    (found, _) = AlertStore(store).alerts(NOW + 11 * MINUTE, MINUTE)
    assert AlertStore(store).claim_new(found)
    assert AlertStore(store).open_alerts() == [found]
    AlertStore(store).set_served("w", [])
    assert kinds(store, 11) == [], "nobody serves the repository any more"


def test_an_invalid_a_known_and_an_unknown_skill_are_three_things(store: Store) -> None:
    troubles = TroubleStore(store)
    invalid = TroubleScope(kind=AlertKind.INVALID_SKILL, repository="o/r")
    troubles.replace(invalid, {"broken": "o/r broken is not valid: skill.yaml:1:1: x"}, NOW)
    troubles.set_known("o/r", [KnownSkill(name="docs", triggers=("schedule", "release"), enabled=True)])
    AlertStore(store).set_expected("o/r", {"docs": NOW + 60 * MINUTE}, decided=True)
    assert troubles.names() == ["broken", "docs"]
    assert kinds(store) == [("invalid skill", "broken")]
    ((_, found),) = idle_skills(store, "broken", None, NOW)
    assert (found.kind, found.message) == (
        ObstacleKind.INVALID,
        "o/r broken is not valid: skill.yaml:1:1: x",
    )
    ((_, found),) = idle_skills(store, "docs", None, NOW)
    assert (found.kind, found.until) == (ObstacleKind.NOT_DUE, NOW + 60 * MINUTE)
    assert idle_skills(store, "other", None, NOW) == []
    assert idle_skills(store, "docs", "o/other", NOW) == []
    pause(store, Pause(repository="", skill="", reason="", at=NOW, who="ada@box"))
    ((_, found),) = idle_skills(store, "docs", None, NOW)
    assert (found.kind, "ada@box paused everything" in found.message) == (ObstacleKind.PAUSED, True)
    troubles.set_known("o/r", [])
    assert troubles.names() == ["broken"]


def test_a_run_that_waits_for_its_next_attempt_is_shown_with_its_time(store: Store) -> None:
    enqueue(store, "again")
    enqueue(store, "first")
    RunQueue(store).admit("w", 1, lambda _: ["again"], NOW)
    (taken,) = RunQueue(store).runs_of("w")
    RunQueue(store).requeue(taken, event("again"), 2, NOW + MINUTE)
    held = held_runs(store, WorkerConfig(), NOW)
    assert {one.run.run_id: one.obstacle.kind for one in held} == {
        "again": ObstacleKind.BACKOFF,
        "first": ObstacleKind.TURN,
    }
    (waits,) = [one.document() for one in held if one.run.run_id == "again"]
    assert (waits["kind"], waits["until"]) == ("backoff", NOW + MINUTE)
    WorkerStore(store).mark_ended("w", NOW)
    assert {one.obstacle.kind for one in held_runs(store, WorkerConfig(), NOW)} == {ObstacleKind.NO_WORKER}
