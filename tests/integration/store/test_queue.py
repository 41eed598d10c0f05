"""Decisions, the queue, workers and pauses in the store, on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from runner.core.errors import RunnerError
from runner.core.model import Artifact, Check, End, Phase, Reason, Receipt, Refusal, RunState, Usage
from runner.core.model.decision import Decision, History
from runner.scheduler.admission import AdmissionLimits, admit
from runner.scheduler.obstacles import Pause
from runner.store import Store, retention, tables
from runner.store.decisions import DecisionStore, QueueEntry, find_newest
from runner.store.pauses import pause, present_pauses, resume, resumed_at
from runner.store.queue import RunQueue
from runner.store.spending import spending_since
from runner.store.workers import WorkerStore
from tests.parts.plans import STORED, WORK
from tests.parts.racer import NOW, decision, enqueue, event, run, worker

DONE = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["sqlite", "postgres"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(tmp_path / "state", "" if request.param == "sqlite" else request.getfixturevalue("postgres"))
    WorkerStore(made).register(worker("w"))
    yield made
    made.close()


def take(store: Store, name: str = "w", room: int = 9) -> dict[str, int]:
    return RunQueue(store).admit(
        name, room, lambda scene: admit(scene, room, AdmissionLimits(skill=None)), NOW + MINUTE
    )


def reason(action: Callable[[], object]) -> Reason:
    with pytest.raises(RunnerError) as caught:
        action()
    return caught.value.reason


def no_work(one: Decision) -> QueueEntry:
    raise AssertionError(f"{one} starts nothing")


# --- decisions --------------------------------------------------------------------------------------


def test_a_decision_that_fails_leaves_nothing(store: Store) -> None:
    def breaks(_: object) -> QueueEntry:
        raise KeyError("the skill is gone")

    book = DecisionStore(store, "o/r")
    with pytest.raises(KeyError):
        book.decide(lambda _: [decision("a"), decision("b", "run-b")], breaks)
    assert book.find("docs", "a") is None
    assert book.decide(lambda known: [decision("a")] if not known.decisions else [], breaks)
    assert book.find("docs", "a") == decision("a")


def test_the_first_decision_stands(store: Store) -> None:
    enqueue(store, "run-1")
    again = decision("run-1", "run-2")
    DecisionStore(store, "o/r").decide(lambda _: [again], lambda _: QueueEntry(run=run("run-2"), work=WORK))
    assert DecisionStore(store, "o/r").find("docs", "run-1") == decision("run-1", "run-1")
    assert reason(lambda: store.run("run-2")) is Reason.INVALID_INPUT


def test_history_tells_what_stands_in_the_way(store: Store) -> None:
    key = "schedule:* * * * *@UTC:x"
    slots = [decision(f"{key}2", due=NOW + MINUTE), decision(f"{key}1", due=NOW)]
    book = DecisionStore(store, "o/r")
    book.decide(lambda _: slots, no_work)
    enqueue(store, "run-1")
    pause(store, Pause(repository="", skill="other", reason="r", at=NOW))

    def decide(known: History) -> list[Decision]:
        assert known.decided_until == {"docs * * * * *@UTC": NOW + MINUTE}
        assert (set(known.pauses), set(known.active)) == ({"other"}, {"docs"})
        assert set(known.decisions) == {"docs run-1", f"docs {key}1", f"docs {key}2"}
        assert len(known.decisions) == 3
        return []

    assert book.decide(decide, no_work) == []
    assert set(DecisionStore(store, "elsewhere").history().pauses) == {"other"}


def test_a_run_that_replaces_ends_what_waits_and_stops_what_runs(store: Store) -> None:
    enqueue(store, "taken")
    take(store)
    enqueue(store, "waits")
    enqueue(store, "other", skill="other")
    enqueue(store, "new", cancels_others=True)
    (why,) = RunQueue(store).stop_requests("w").values()
    assert "run new takes its place" in why
    end = store.run("waits").end
    assert end is not None
    assert (end.state, end.message) == (RunState.CANCELLED, why)
    assert [store.run(one).end for one in ("taken", "other", "new")] == [None] * 3


def test_cancel_running_ends_the_runs_of_the_same_subject_only(store: Store) -> None:
    book = DecisionStore(store, "o/r")
    cases = (("old", "issue:1", False), ("other", "issue:2", False), ("new", "issue:1", True))
    for run_id, about, cancels in cases:
        made = QueueEntry(run=run(run_id), work=WORK, cancels_others=cancels)
        started = decision(run_id, run_id, subject_key=about)
        book.decide(lambda _, one=started: [one], lambda _, one=made: one)  # type: ignore[misc]
    assert [store.run(one).end is None for one in ("old", "other", "new")] == [False, True, True]

    def decide(known: History) -> list[Decision]:
        assert {name: one.run_id for name, one in known.active.items()} == {
            "docs issue:1": "new",
            "docs issue:2": "other",
        }
        return []

    book.decide(decide, no_work)
    waiting = {one.run_id: one.subject_key for one in RunQueue(store).state(NOW).waiting}
    assert waiting == {"other": "issue:2", "new": "issue:1"}


def test_search_finds_the_newest_a_slot_or_an_event(store: Store) -> None:
    book = DecisionStore(store, "o/r")
    made = [
        decision("schedule:a", due=NOW),
        decision("schedule:b", due=NOW + MINUTE),
        decision("release:100%:x", at=NOW - MINUTE),
    ]
    book.decide(lambda _: made, no_work)
    assert find_newest(store, "docs", None, None, None) == ("o/r", made[1])
    assert find_newest(store, "docs", "o/r", NOW + MINUTE / 2, None) == ("o/r", made[0])
    assert find_newest(store, "docs", None, None, "100%") == ("o/r", made[2])
    assert find_newest(store, "docs", "elsewhere", None, None) is None
    assert find_newest(store, "docs", None, None, "_") is None


# --- the queue --------------------------------------------------------------------------------------


def test_a_run_is_taken_put_back_and_taken_again(store: Store) -> None:
    enqueue(store, "run-1")
    assert take(store) == {"run-1": 1}
    assert take(store) == {}
    (taken,) = RunQueue(store).runs_of("w")
    assert (taken.turn, taken.has_started) == (1, False)
    store.set_state("run-1", RunState.RUNNING, NOW)
    (taken,) = RunQueue(store).runs_of("w")
    assert taken.has_started
    later = NOW + 5 * MINUTE
    spent_now = Usage(cost_usd=0.5, tokens_in=7)
    assert RunQueue(store).requeue(taken, event("run-1"), 2, later, spent_now)
    found = store.run("run-1")
    assert (found.state, found.attempt, found.worker, found.cost_usd) == (RunState.QUEUED, 2, "", 0.5)
    assert [one.message for _, one in store.events("run-1")] == ["it waits again"]
    assert take(store) == {}
    assert RunQueue(store).admit("w", 9, lambda scene: [one.run_id for one in scene.waiting], later) == {
        "run-1": 2
    }
    assert not RunQueue(store).requeue(taken, event("run-1"), 3), "that turn is over"


def test_a_run_that_has_ended_is_not_put_back(store: Store) -> None:
    enqueue(store, "run-1")
    take(store)
    (taken,) = RunQueue(store).runs_of("w")
    store.finish("run-1", DONE, NOW, Usage())
    assert not RunQueue(store).requeue(taken, event("run-1"), 2)
    assert store.run("run-1").end == DONE
    assert store.events("run-1") == []


def test_what_is_to_stop_is_not_put_back(store: Store) -> None:
    enqueue(store, "run-1")
    take(store)
    (taken,) = RunQueue(store).runs_of("w")
    assert RunQueue(store).request_stop("run-1", "not today", NOW)
    assert RunQueue(store).stop_requests("w") == {"run-1": "not today"}
    assert not RunQueue(store).requeue(taken, event("run-1"), 2)


def test_what_nobody_began_is_cancelled_at_once(store: Store) -> None:
    enqueue(store, "run-1")
    assert not RunQueue(store).request_stop("run-1", "not today", NOW)
    end = store.run("run-1").end
    assert end is not None
    assert (end.state, end.message) == (RunState.CANCELLED, "not today")
    assert take(store) == {}
    assert RunQueue(store).unreported_ends("w") == ["run-1"]
    store.create_run(run("by-hand"))
    assert reason(lambda: RunQueue(store).request_stop("by-hand", "", NOW)) is Reason.INVALID_INPUT


def test_whoever_is_dead_takes_nothing(store: Store) -> None:
    enqueue(store, "run-1")
    assert WorkerStore(store).mark_dead([worker("w")]) == ["w"]
    assert take(store) == {}
    assert take(store, "never registered") == {}


def test_what_the_dead_and_the_gone_leave_is_stranded(store: Store) -> None:
    for name in ("dead", "gone", "lives"):
        WorkerStore(store).register(worker(name))
        enqueue(store, f"of-{name}", skill=name)
        take(store, name)
    WorkerStore(store).mark_dead([worker("dead")])
    WorkerStore(store).mark_ended("gone", NOW)
    assert {one.run_id for one in RunQueue(store).orphaned_runs()} == {"of-dead", "of-gone"}
    store.finish("of-dead", DONE, NOW, Usage())
    store.finish("of-lives", DONE, NOW, Usage())
    assert {one.run_id for one in RunQueue(store).orphaned_runs()} == {"of-gone"}
    assert RunQueue(store).unreported_ends("w") == ["of-dead"], "the living tell of their own"
    assert sorted(RunQueue(store).unreported_ends("lives")) == ["of-dead", "of-lives"]
    RunQueue(store).mark_reported("of-dead")
    assert RunQueue(store).unreported_ends("w") == []


def test_runs_by_hand_count_as_busy(store: Store) -> None:
    store.create_run(run("by-hand"))
    enqueue(store, "run-1")
    bounds = AdmissionLimits(skill=1)
    line = RunQueue(store)
    assert line.admit("w", 9, lambda scene: admit(scene, 9, bounds), NOW) == {}
    store.finish("by-hand", DONE, NOW, Usage())
    assert line.admit("w", 9, lambda scene: admit(scene, 9, bounds), NOW) == {"run-1": 1}


def test_one_that_could_begin_is_found_behind_many_that_cannot(store: Store) -> None:
    for at in range(60):
        enqueue(store, f"run-{at:02}", skill="crowd")
    enqueue(store, "z-late", skill="other")
    line, bounds = RunQueue(store), AdmissionLimits(skill=1)
    taken = line.admit("w", 2, lambda scene: admit(scene, 2, bounds), NOW)
    assert taken == {"run-00": 1, "z-late": 1}


def test_the_clock_may_go_back_between_a_decision_and_its_run(store: Store) -> None:
    enqueue(store, "run-1")
    assert RunQueue(store).admit(
        "w", 9, lambda scene: [one.run_id for one in scene.waiting], NOW - 120 * MINUTE
    )


# --- whose a run is ---------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Store], None]] = {
    "plan_run": lambda store: store.plan_run("run-1", STORED),
    "set_state": lambda store: store.set_state("run-1", RunState.RUNNING, NOW),
    "wait_for_person": lambda store: store.wait_for_person("run-1", event("run-1"), Usage(), lambda _: None),
    "set_facts": lambda store: store.set_facts("run-1", attempt=2),
    "finish": lambda store: store.finish("run-1", DONE, NOW, Usage(), event("run-1")),
    "add_event": lambda store: store.add_event(event("run-1")),
    "add_artifact": lambda store: store.add_artifact(
        "run-1", Artifact(name="patch", path="p", size=1, sha256="x", media_type="text/plain")
    ),
    "add_receipt": lambda store: store.add_receipt(
        "run-1", Receipt(kind="pull_request", key="k", action="created", url="u")
    ),
    "add_checks": lambda store: store.add_checks(
        "run-1", [Check(command="c", exit_code=0, duration=1, output="", ok=True)]
    ),
    "add_refusals": lambda store: store.add_refusals("run-1", [Refusal(rule="r", subject="s", message="m")]),
}
"""Everything that changes a run which somebody carries out. One that is added is fenced as these are."""


def test_every_write_of_a_run_is_tried_here() -> None:
    # The others make a run, and find it lost, which is no part of carrying it out; or `step` is what all use.
    others = {"create_run", "mark_lost", "sweep_lost", "step"}
    changing = {name for name in vars(Store) if not name.startswith("_")} - others
    assert changing == set(WRITES)


def everything(store: Store) -> list[object]:
    with store.engine.connect() as connection:
        return [connection.execute(select(table)).all() for table in tables.metadata.sorted_tables]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fate", ["taken over", "put back", "lost"])
def test_whoever_was_taken_for_dead_changes_nothing(store: Store, write: str, fate: str) -> None:
    WorkerStore(store).register(worker("late"))
    enqueue(store, "run-1")
    take(store, "late")
    store.worker = "late"
    store.set_state("run-1", RunState.PREPARING, NOW)
    (taken,) = RunQueue(store).runs_of("late")
    if fate == "lost":
        store.mark_lost("run-1", NOW, "late")
    else:
        assert RunQueue(store).requeue(taken, event("run-1"), 2)
        if fate == "taken over":
            assert take(store) == {"run-1": 2}
    before = everything(store)
    assert reason(lambda: WRITES[write](store)) is Reason.WORKER_LOST
    assert everything(store) == before


@pytest.mark.parametrize("write", WRITES)
def test_its_own_worker_changes_it(store: Store, write: str) -> None:
    enqueue(store, "run-1")
    take(store)
    store.worker = "w"
    before = everything(store)
    WRITES[write](store)
    assert everything(store) != before


def test_an_attempt_that_publishes_again_keeps_one_receipt(store: Store) -> None:
    enqueue(store, "run-1")
    for action in ("created", "unchanged"):
        store.add_receipt("run-1", Receipt(kind="pull_request", key="k", action=action, url="u"))  # type: ignore[arg-type]
    assert [one.action for one in store.receipts("run-1")] == ["unchanged"]


def test_runs_of_workers_are_not_lost_for_want_of_a_process_here(store: Store) -> None:
    enqueue(store, "waits")
    enqueue(store, "taken", skill="other")
    RunQueue(store).admit("w", 9, lambda _: ["taken"], NOW)
    store.create_run(run("elsewhere", worker="another-machine:7"))
    lost = store.sweep_lost()
    assert lost == (["elsewhere"] if store.database.is_file else [])


def test_a_database_that_was_away_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it had taken the change before it went away: what is so already need not be done again."""
    enqueue(store, "run-1")
    take(store)
    store.worker = "w"
    waited: list[RunnerError] = []
    store.wait = waited.append
    away = RunnerError(Phase.STORE, Reason.STORE_FAILED, "away", retryable=True)
    begin, calls = store.engine.begin, []

    class GoesAway:
        def __init__(self) -> None:
            self.real = begin()

        def __enter__(self) -> object:
            return self.real.__enter__()

        def __exit__(self, *error: object) -> None:
            self.real.__exit__(*error)  # type: ignore[arg-type]
            calls.append(1)
            if len(calls) == 1 and error == (None, None, None):
                raise away

    monkeypatch.setattr(store.engine, "begin", GoesAway)
    store.finish("run-1", DONE, NOW, Usage(cost_usd=0.1), event("run-1"))
    assert waited == [away]
    assert store.run("run-1").end == DONE
    assert len(store.events("run-1")) == 1
    assert reason(lambda: store.finish("run-1", DONE, NOW, Usage(cost_usd=0.1))) is Reason.WORKER_LOST


# --- workers, pauses, money, age --------------------------------------------------------------------


def test_a_worker_lives_until_it_leaves_or_is_buried(store: Store) -> None:
    workers = WorkerStore(store)
    assert workers.renew("w", NOW + MINUTE, "draining")
    (found,) = workers.list_living()
    assert (found.beats, found.state, found.seen_at) == (1, "draining", NOW + MINUTE)
    assert workers.mark_dead([worker("w", beats=0)]) == [], "it has said a word since"
    assert workers.mark_dead([found]) == ["w"]
    assert not workers.renew("w", NOW)
    assert workers.all(NOW)[0].state == "lost"
    assert workers.forget(NOW, "here") == []
    assert workers.forget(NOW + 2 * MINUTE, "there") == []
    assert workers.forget(NOW + 2 * MINUTE, "here") == ["w"]


def test_a_worker_with_runs_on_record_is_not_forgotten(store: Store) -> None:
    enqueue(store, "run-1")
    take(store)
    WorkerStore(store).mark_ended("w", NOW)
    assert WorkerStore(store).forget(NOW + MINUTE, "here") == []


def test_what_is_paused_goes_on_when_a_human_says_so(store: Store) -> None:
    pause(store, Pause(repository="o/r", skill="docs", reason="it failed", at=NOW))
    pause(store, Pause(repository="o/r", skill="docs", reason="it failed again", at=NOW))
    pause(store, Pause(repository="", skill="", reason="all", at=NOW))
    assert [(one.skill, one.reason) for one in present_pauses(store)] == [
        ("docs", "it failed again"),
        ("", "all"),
    ]
    assert resumed_at(store, "o/r", "docs") is None
    assert resume(store, "", "docs", NOW + MINUTE), "whatever its repository"
    assert not resume(store, "", "docs", NOW + MINUTE)
    assert resumed_at(store, "o/r", "docs") == NOW + MINUTE
    assert set(DecisionStore(store, "o/r").history().pauses) == {"*"}
    assert resume(store, "", "", NOW)
    assert not resume(store, "o/r", "other", NOW)
    pause(store, Pause(repository="o/r", skill="docs", reason="it failed", at=NOW))
    assert set(DecisionStore(store, "o/r").history().pauses) == {"docs"}


def test_what_was_spent_counts_from_a_moment_on(store: Store) -> None:
    for at, (skill, cost) in enumerate([("a", 1.0), ("a", 0.25), ("b", None), ("b", 2.0)]):
        store.create_run(run(f"run-{at}", skill))
        ended = NOW - MINUTE if at == 0 else NOW
        store.finish(f"run-{at}", DONE, ended, Usage(cost_usd=cost))
    enqueue(store, "again", skill="c")
    take(store)
    (taken,) = RunQueue(store).runs_of("w")
    RunQueue(store).requeue(taken, event("again"), 2, None, Usage(cost_usd=4.0))
    assert spending_since(store, NOW) == {("o/r", "a"): 0.25, ("o/r", "b"): 2.0, ("o/r", "c"): 4.0}


def ended(store: Store, run_id: str, days: int, skill: str = "docs") -> None:
    enqueue(store, run_id, skill=skill)
    take(store)
    store.finish(run_id, DONE, NOW - timedelta(days=days), Usage())
    with store.engine.begin() as connection:
        at = (NOW - timedelta(days=days)).isoformat(timespec="microseconds")
        connection.execute(update(tables.runs).where(tables.runs.c.id == run_id).values(created_at=at))
    RunQueue(store).mark_reported(run_id)


def test_old_runs_go_and_the_newest_of_a_skill_stays(store: Store) -> None:
    ended(store, "older", 9)
    ended(store, "old", 8)
    ended(store, "new", 1)
    ended(store, "rare", 9, "rare")
    week = NOW - timedelta(days=7)
    assert list(retention.outdated_runs(store, week, "here")) == ["older", "old"]
    assert retention.outdated_runs(store, NOW - timedelta(days=30), "here") == {}
    retention.remove(store, ["older", "old"])
    assert [one.id for one in store.runs()] == ["new", "rare"]
    assert DecisionStore(store, "o/r").find("docs", "old") is not None
    retention.forget_decisions(store, NOW + MINUTE)
    assert DecisionStore(store, "o/r").find("docs", "old") is None


def test_an_old_run_stays_while_somebody_has_to_be_told(store: Store) -> None:
    ended(store, "old", 9)
    ended(store, "new", 1)
    with store.engine.begin() as connection:
        connection.execute(update(tables.queue).values(told=0))
    assert retention.outdated_runs(store, NOW, "here") == {}


def test_whoever_has_the_files_of_a_run_removes_it(store: Store) -> None:
    ended(store, "old", 9)
    ended(store, "new", 1)
    WorkerStore(store).register(worker("neighbour", place="there"))
    assert retention.outdated_runs(store, NOW, "there") == {}, "w lives, and has the files"
    WorkerStore(store).mark_ended("w", NOW)
    assert list(retention.outdated_runs(store, NOW, "there")) == ["old"]


def test_one_pass_removes_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MAX_RUNS", 2)
    for at in range(5):
        ended(store, f"run-{at}", 9 - at)
    assert list(retention.outdated_runs(store, NOW, "here")) == ["run-0", "run-1"]


# --- what began, and who goes first -----------------------------------------------------------------


def test_what_began_is_known_as_far_back_as_somebody_asks(store: Store) -> None:
    enqueue(store, "run-1")
    take(store)
    enqueue(store, "run-2", skill="other")
    now = NOW + 30 * MINUTE
    RunQueue(store).admit("w", 1, lambda scene: [scene.waiting[0].run_id], now)
    begun = RunQueue(store).state(now, 60 * MINUTE).starts
    assert [(one.skill, one.at) for one in begun] == [("docs", NOW + MINUTE), ("other", now)]
    assert [one.skill for one in RunQueue(store).state(now, 10 * MINUTE).starts] == ["other"]
    assert RunQueue(store).state(now).starts == []
    RunQueue(store).forget_starts(now)
    assert [one.skill for one in RunQueue(store).state(now, 60 * MINUTE).starts] == ["other"]


def test_the_queue_is_in_the_order_of_urgency(store: Store) -> None:
    for priority in (7, 5, 3, 4):
        enqueue(store, f"run-{priority}", priority=priority)
    assert [one.run_id for one in RunQueue(store).state(NOW).waiting] == ["run-3", "run-4", "run-5", "run-7"]
    assert RunQueue(store).priority("run-7") == 7
    later = run("run-late", created_at=NOW + 121 * MINUTE)
    enqueue(store, "run-late", run=later, priority=5)
    assert [one.run_id for one in RunQueue(store).state(NOW).waiting][-2:] == ["run-7", "run-late"]


def test_workers_are_asked_to_leave_once_and_only_while_they_live(store: Store) -> None:
    workers = WorkerStore(store)
    workers.register(worker("x", state="stopped"))
    for how, known in ((1, 1), (2, 2), (1, 2)):
        workers.request_stop(["w", "x"], how)
        assert (workers.stop_level("w"), workers.stop_level("x"), workers.stop_level("nobody")) == (
            known,
            0,
            0,
        )


def test_what_is_filled_in_stands_in_nobodys_way(store: Store) -> None:
    """It is no overlap, nothing replaces it, and it says nothing of how far its schedule was decided."""
    key = "backfill:schedule:* * * * *@UTC:x"
    filled = run("run-1", trigger_key=key)
    book = DecisionStore(store, "o/r")
    entry = QueueEntry(run=filled, work=WORK)
    book.decide(lambda _: [decision(key, "run-1", due=NOW)], lambda _: entry)
    enqueue(store, "run-2", skill="other")
    enqueue(store, "run-3", cancels_others=True)
    assert store.run("run-1").end is None

    def decide(known: History) -> list[Decision]:
        assert (set(known.active), known.decided_until) == ({"other", "docs"}, {})
        assert known.active["docs"].run_id == "run-3"
        return []

    book.decide(decide, no_work)


def test_of_a_slot_that_was_filled_in_the_last_word_is_found(store: Store) -> None:
    slot = "schedule:* * * * *@UTC:x"
    book = DecisionStore(store, "o/r")
    first, later = decision(slot, due=NOW), decision(f"backfill:{slot}", due=NOW, at=NOW + MINUTE)
    book.decide(lambda _: [first, later], no_work)
    assert find_newest(store, "docs", None, NOW, None) == ("o/r", later)
