"""The queue field by field and at its edges; what both databases mean alike is asked of a file."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, RunState, Usage
from runner.scheduler.admission import QueueState, RunningRun, StartedRun, WaitingRun
from runner.store import Store, tables
from runner.store.decisions import QueueEntry
from runner.store.queue import ClaimedRun, RunQueue
from runner.store.workers import WorkerStore
from tests.parts.plans import WORK
from tests.parts.racer import NOW, enqueue, event, run, worker

MINUTE, TICK = timedelta(minutes=1), timedelta(microseconds=1)
DONE = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state")
    for name in ("w", "v"):
        WorkerStore(made).register(worker(name))
    yield made
    made.close()


def ids(scene: QueueState) -> list[str]:
    return [one.run_id for one in scene.waiting]


def take(store: Store, *run_ids: str, name: str = "w") -> dict[str, int]:
    return RunQueue(store).admit(name, 9, lambda _: run_ids, NOW)


def taken(store: Store, name: str = "w") -> ClaimedRun:
    (found,) = RunQueue(store).runs_of(name)
    return found


# --- what is waiting --------------------------------------------------------------------------------


def test_each_field_of_what_is_known(store: Store) -> None:
    made = run("run-1", "docs", repository="o/other", created_at=NOW - MINUTE)
    enqueue(store, "run-1", run=made, priority=3)
    enqueue(store, "run-2", skill="busy")
    take(store, "run-2")
    scene = RunQueue(store).state(NOW + MINUTE, 2 * MINUTE)
    assert scene == QueueState(
        waiting=[
            WaitingRun(run_id="run-1", repository="o/other", skill="docs", priority=3, since=NOW - MINUTE)
        ],
        running=[RunningRun(repository="o/r", skill="busy")],
        starts=[StartedRun(repository="o/r", skill="busy", at=NOW)],
        now=NOW + MINUTE,
    )
    assert RunQueue(store).state(NOW).waiting == scene.waiting
    assert RunQueue(store).priority("run-1") == 3


@pytest.mark.parametrize(("ago", "known"), [(MINUTE - TICK, True), (MINUTE, False), (MINUTE + TICK, False)])
def test_how_far_back_it_is_known_what_began(store: Store, ago: timedelta, known: bool) -> None:
    enqueue(store, "run-1")
    take(store, "run-1")
    assert bool(RunQueue(store).state(NOW + ago, MINUTE).starts) is known
    seen = list[QueueState]()
    enqueue(store, "run-2")
    RunQueue(store).admit("w", 9, lambda scene: seen.append(scene) or [], NOW + ago, MINUTE)
    assert [bool(one.starts) for one in seen] == [known]
    assert [one.now for one in seen] == [NOW + ago]


@pytest.mark.parametrize(("before", "there"), [(NOW, True), (NOW + TICK, False)])
def test_what_began_is_forgotten_from_a_moment_on(store: Store, before: object, there: bool) -> None:
    enqueue(store, "run-1")
    take(store, "run-1")
    RunQueue(store).forget_starts(before)  # type: ignore[arg-type]
    assert bool(RunQueue(store).state(NOW + MINUTE, 9 * MINUTE).starts) is there


@pytest.mark.parametrize(("late", "ready"), [(-TICK, False), (timedelta(0), True), (TICK, True)])
def test_a_run_that_was_put_back_waits_until_its_moment(store: Store, late: timedelta, ready: bool) -> None:
    enqueue(store, "run-1")
    take(store, "run-1")
    assert RunQueue(store).requeue(taken(store), event("run-1"), 2, NOW + MINUTE)
    assert bool(RunQueue(store).state(NOW + MINUTE + late).waiting) is ready
    assert (RunQueue(store).admit("w", 9, ids, NOW + MINUTE + late) == {"run-1": 2}) is ready


def test_what_runs_or_has_ended_does_not_wait(store: Store) -> None:
    for at in range(4):
        enqueue(store, f"run-{at}", skill=f"s{at}")
    take(store, "run-1")
    RunQueue(store).request_stop("run-2", "why", NOW)
    store.set_state("run-3", RunState.PREPARING, NOW)
    assert [one.run_id for one in RunQueue(store).state(NOW).waiting] == ["run-0"]


def test_equals_are_in_the_order_of_their_names(store: Store) -> None:
    for name in ("b", "c", "a"):
        enqueue(store, name, skill=name)
    assert [one.run_id for one in RunQueue(store).state(NOW).waiting] == ["a", "b", "c"]


# --- who takes what ---------------------------------------------------------------------------------


def test_turns_are_told_in_the_order_that_was_chosen(store: Store) -> None:
    for name in ("a", "b", "c"):
        enqueue(store, name, skill=name)
    assert list(take(store, "c", "a").items()) == [("c", 1), ("a", 1)]
    assert [one.run_id for one in RunQueue(store).state(NOW).waiting] == ["b"]
    assert {one.run_id for one in RunQueue(store).runs_of("w")} == {"a", "c"}
    assert RunQueue(store).runs_of("v") == []
    assert [store.run(name).worker for name in ("a", "b", "c")] == ["w", "", "w"]


def test_nothing_chosen_changes_nothing(store: Store) -> None:
    enqueue(store, "run-1")
    assert take(store) == {}
    assert RunQueue(store).state(NOW, MINUTE).starts == []
    assert take(store, "run-1") == {"run-1": 1}


def test_without_anything_to_do_nobody_is_asked(store: Store) -> None:
    def never(_: QueueState) -> list[str]:
        raise AssertionError("there is nothing to choose")

    assert RunQueue(store).admit("w", 9, never, NOW) == {}
    enqueue(store, "run-1")
    assert RunQueue(store).admit("nobody", 9, never, NOW) == {}


@pytest.mark.parametrize(("state", "takes"), [("running", True), ("draining", True), ("stopped", False)])
def test_who_may_take(store: Store, state: str, takes: bool) -> None:
    WorkerStore(store).register(worker("x", state=state))
    enqueue(store, "run-1")
    assert (take(store, "run-1", name="x") == {"run-1": 1}) is takes


@pytest.mark.parametrize(
    ("count", "room", "chosen", "looks"),
    [
        (49, 9, 0, [49]),  # that was all
        (50, 9, 0, [50, 50]),  # there may be more
        (51, 9, 0, [50, 51]),
        (51, 9, 8, [50, 51]),
        (51, 9, 9, [50]),  # the room is full
        (51, 0, 0, [50]),
    ],
)
def test_others_than_the_first_fifty_are_looked_at_only_for_room_that_is_left(
    store: Store, count: int, room: int, chosen: int, looks: list[int]
) -> None:
    for at in range(count):
        enqueue(store, f"run-{at:02}", skill=f"s{at}")
    seen = []

    def choose(scene: QueueState) -> list[str]:
        seen.append(len(scene.waiting))
        return ids(scene)[:chosen]

    assert len(RunQueue(store).admit("w", room, choose, NOW)) == chosen
    assert seen == looks


# --- what it does, and whether it may go on ----------------------------------------------------------


def test_work_is_what_was_queued(store: Store) -> None:
    work = replace(WORK, path="skills/other", event={"n": [1]}, subject="v1", continues="run-0")
    enqueue(store, "run-1", work=work)
    assert RunQueue(store).work("run-1") == work
    store.create_run(run("by-hand"), {})
    with pytest.raises(RunnerError) as caught:
        RunQueue(store).work("by-hand")
    assert (caught.value.phase, caught.value.reason) == (Phase.STORE, Reason.INVALID_INPUT)
    assert caught.value.message == "run by-hand was started by hand: no worker knows what it did"
    assert caught.value.hint == "skillrunner run --from-run by-hand"
    with pytest.raises(RunnerError) as caught:
        RunQueue(store).request_stop("by-hand", "why", NOW)
    assert caught.value.phase is Phase.STORE
    assert caught.value.message == "run by-hand was started by hand: no worker carries it out"
    assert caught.value.hint == "press Ctrl-C where it runs"


@pytest.mark.parametrize(
    "state", [state for state in RunState if not state.is_end and state is not RunState.QUEUED]
)
def test_a_run_has_begun_when_it_waits_no_more(store: Store, state: RunState) -> None:
    enqueue(store, "run-1")
    take(store, "run-1")
    assert taken(store) == ClaimedRun(run_id="run-1", owner="w", turn=1, has_started=False)
    store.set_state("run-1", state, NOW)
    assert taken(store) == ClaimedRun(run_id="run-1", owner="w", turn=1, has_started=True)
    assert RunQueue(store).orphaned_runs() == []
    store.finish("run-1", DONE, NOW, Usage())
    assert RunQueue(store).runs_of("w") == []


def test_what_waits_is_nobodys_and_not_stranded(store: Store) -> None:
    enqueue(store, "run-1")
    assert RunQueue(store).orphaned_runs() == []
    take(store, "run-1")
    WorkerStore(store).mark_ended("w", NOW)
    assert [one.run_id for one in RunQueue(store).orphaned_runs()] == ["run-1"]
    assert RunQueue(store).requeue(taken(store), event("run-1"), 2)
    assert RunQueue(store).orphaned_runs() == []


def test_a_cancelled_run_says_when_and_why(store: Store) -> None:
    enqueue(store, "run-1")
    enqueue(store, "run-2", skill="other")
    assert RunQueue(store).request_stop("run-1", "not today", NOW + MINUTE) is False
    found = store.run("run-1")
    assert found.end is not None
    assert (found.state, found.ended_at) == (RunState.CANCELLED, NOW + MINUTE)
    assert (found.end.phase, found.end.reason, found.end.message) == (
        Phase.PLAN,
        Reason.CANCELLED,
        "not today",
    )
    assert store.run("run-2").end is None
    assert RunQueue(store).request_stop("run-1", "again", NOW + 2 * MINUTE) is False
    assert store.run("run-1").end == found.end, "what has ended stays as it ended"


def test_a_run_that_somebody_carries_out_is_asked_and_not_ended(store: Store) -> None:
    for name, owner in (("a", "w"), ("b", "w"), ("c", "v")):
        enqueue(store, name, skill=name)
        take(store, name, name=owner)
    assert RunQueue(store).request_stop("a", "not today", NOW) is True
    assert RunQueue(store).request_stop("c", "not ever", NOW) is True
    assert store.run("a").end is None
    assert (RunQueue(store).stop_requests("w"), RunQueue(store).stop_requests("v")) == (
        {"a": "not today"},
        {"c": "not ever"},
    )
    store.finish("a", DONE, NOW, Usage())
    assert RunQueue(store).stop_requests("w") == {}


# --- put back ---------------------------------------------------------------------------------------


def test_a_run_that_is_put_back_waits_like_a_new_one(store: Store) -> None:
    enqueue(store, "run-1")
    enqueue(store, "run-2", skill="other")
    take(store, "run-1", "run-2")
    mine, other = sorted(RunQueue(store).runs_of("w"), key=lambda one: one.run_id)
    store.set_state("run-1", RunState.RUNNING, NOW)
    spent = Usage(tokens_in=7, tokens_out=8, cost_usd=0.5)
    assert RunQueue(store).requeue(mine, event("run-1"), 3, usage=spent) is True
    found = store.run("run-1")
    assert (found.state, found.attempt, found.worker, found.usage) == (RunState.QUEUED, 3, "", spent)
    assert [(one.phase, one.message) for _, one in store.events("run-1")] == [(Phase.STORE, "it waits again")]
    assert [one.run_id for one in RunQueue(store).state(NOW).waiting] == ["run-1"]
    assert RunQueue(store).runs_of("w") == [other]
    assert (store.run("run-2").worker, store.events("run-2")) == ("w", [])
    assert RunQueue(store).admit("v", 9, ids, NOW) == {"run-1": 2}


def test_what_was_spent_stays_where_nobody_knows_better(store: Store) -> None:
    enqueue(store, "run-1")
    for turn in (1, 2):
        assert take(store, "run-1") == {"run-1": turn}
        spent = Usage(cost_usd=0.5) if turn == 1 else None
        assert RunQueue(store).requeue(taken(store), event("run-1"), turn + 1, usage=spent)
        assert store.run("run-1").cost_usd == 0.5


@pytest.mark.parametrize("field", ["run_id", "owner", "turn"])
def test_only_its_owner_in_its_turn_puts_a_run_back(store: Store, field: str) -> None:
    for name in ("run-1", "run-2"):
        enqueue(store, name, skill=name)
    take(store, "run-1")
    wrong = replace(taken(store), **{field: {"run_id": "run-2", "owner": "v", "turn": 2}[field]})
    assert RunQueue(store).requeue(wrong, event("run-1"), 2) is False
    assert (store.run("run-1").worker, store.run("run-1").attempt) == ("w", 1)
    assert store.events("run-1") == []
    assert taken(store).turn == 1


# --- the end ----------------------------------------------------------------------------------------


def test_ends_are_told_in_their_order_and_once(store: Store) -> None:
    for at, name in enumerate(("b", "c", "a")):
        enqueue(store, name, skill=name)
        take(store, name)
        store.finish(name, DONE, NOW + at * MINUTE, Usage())
    enqueue(store, "runs", skill="d")
    take(store, "runs")
    assert RunQueue(store).unreported_ends("w") == ["b", "c", "a"]
    assert RunQueue(store).unreported_ends("v") == [], "w lives, and tells of its own"
    RunQueue(store).mark_reported("c")
    assert RunQueue(store).unreported_ends("w") == ["b", "a"]
    WorkerStore(store).mark_ended("w", NOW)
    assert RunQueue(store).unreported_ends("v") == ["b", "a"]


def test_who_is_busy(store: Store) -> None:
    store.create_run(run("hand", "by-hand"), {})
    for name in ("waits", "taken", "begun", "ended"):
        enqueue(store, name, skill=name)
    take(store, "taken", "begun", "ended")
    store.set_state("begun", RunState.RUNNING, NOW)
    store.finish("ended", DONE, NOW, Usage())
    busy = RunQueue(store).state(NOW).running
    assert sorted(one.skill for one in busy) == ["begun", "by-hand", "taken"]


def test_the_row_of_a_run_that_was_taken(store: Store) -> None:
    enqueue(store, "run-1", priority=4)
    take(store, "run-1")
    with store.engine.connect() as connection:
        (row,) = connection.execute(select(tables.queue)).mappings().all()
    assert (row["owner"], row["turn"], row["stop"], row["told"]) == ("w", 1, "", 0)
    assert row["admitted_at"] == "2026-11-21T12:00:00.000000+00:00"
    assert (row["repository"], row["skill"], row["priority"]) == ("o/r", "docs", 4)
    assert QueueEntry(run=run("x"), work=WORK).priority == 5
