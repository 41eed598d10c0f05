"""The shared ledger decides first and the store follows: what a crash leaves between them is found again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from runner.core.model import End, Phase, Remote, RunState
from runner.core.model.decision import Actor, Budget, Cause, Decision, Event, Facts, History, Verdict
from runner.scheduler.decide import decide_event
from runner.scheduler.ledger import Ledger
from runner.scheduler.obstacles import Pause
from runner.skills import load
from runner.store import Store
from runner.store.decision_log import DecisionLog
from runner.store.decisions import DecisionStore, QueueEntry
from runner.store.pauses import pause
from runner.store.queue import RunQueue
from runner.triggers import TRIGGERS
from runner.workspace.mirror import Mirror
from tests.parts.cli import Project, skill_files
from tests.parts.plans import WORK
from tests.parts.racer import NOW, decision, run

END = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    made = Store(project.state)
    yield made
    made.close()


def ledger(project: Project, name: str = "one") -> Ledger:
    remote = Remote(url=str(project.origin))
    mirror = Mirror(project.home / name, remote.url)
    mirror.fetch(remote)
    return Ledger(mirror, remote, sleep=lambda _: None)


def book(project: Project, store: Store, host: str = "store:a") -> DecisionLog:
    return DecisionLog(DecisionStore(store, "o/r"), ledger(project), host)


def work(one: Decision) -> QueueEntry:
    return QueueEntry(run=run(one.run_id), work=replace(WORK, key=one.key))


def start(known: History, key: str = "release:1") -> Sequence[Decision]:
    """As the real one decides: on what was decided before, that it was."""
    before = known.decisions.get(f"docs {key}")
    if before is not None:
        return [decision(key, cause=Cause.DUPLICATE, message=f"decided before: {before.message}")]
    return [replace(decision(key), verdict=Verdict.STARTED, message="a release")]


def crashes(_: object) -> QueueEntry:
    raise Crash


def settle_and_crash(project: Project, store: Store) -> str:
    with pytest.raises(Crash):
        book(project, store).decide(start, crashes, NOW)
    assert store.runs() == []
    (known,) = ledger(project, "look").history(NOW).decisions.values()
    assert (known.verdict, known.host) == (Verdict.STARTED, "store:a")
    return known.run_id


def test_both_know_what_was_decided(project: Project, store: Store) -> None:
    (made,) = book(project, store).decide(start, work, NOW)
    assert DecisionStore(store, "o/r").find("docs", "release:1") == made
    assert list(ledger(project, "look").history(NOW).decisions.values()) == [made]
    assert [one.id for one in store.runs()] == [made.run_id]
    book(project, store).add_end(made, END, "", NOW)
    assert ledger(project, "look").history(NOW).active == {}


def test_after_a_crash_between_them_the_restart_finds_the_run(project: Project, store: Store) -> None:
    run_id = settle_and_crash(project, store)
    again = book(project, store)
    (left,) = again.orphans(NOW)
    again.adopt(left, work(left))
    again.adopt(left, work(left))
    assert [one.id for one in store.runs()] == [run_id]
    assert again.orphans(NOW) == []
    assert book(project, store, "store:b").orphans(NOW) == []


def test_after_a_crash_between_them_the_same_event_finds_the_run(project: Project, store: Store) -> None:
    """It is delivered again, as nobody has said that it arrived; only with it can the run be carried out."""
    run_id = settle_and_crash(project, store)
    book(project, store).decide(start, work, NOW)
    assert [one.id for one in store.runs()] == [run_id]
    found = DecisionStore(store, "o/r").find("docs", "release:1")
    assert found is not None
    assert (found.verdict, found.run_id) == (Verdict.STARTED, run_id)
    book(project, store).decide(start, work, NOW)
    assert len(store.runs()) == 1


def test_what_another_host_started_is_no_run_of_ours(project: Project, store: Store) -> None:
    settle_and_crash(project, store)
    book(project, store, "store:b").decide(start, work, NOW)
    assert store.runs() == []
    found = DecisionStore(store, "o/r").find("docs", "release:1")
    assert found is not None
    assert (found.verdict, found.cause) == (Verdict.SKIPPED, Cause.DUPLICATE)


def test_pauses_runs_and_money_of_the_own_store_count(project: Project, store: Store) -> None:
    own = DecisionStore(store, "o/r")
    own.decide(lambda _: [decision("x", "run-x")], work)
    pause(store, Pause(repository="o/r", skill="other", reason="r", at=NOW))
    seen: list[History] = []

    def decide(known: History) -> list[Decision]:
        seen.append(known)
        return []

    purse = Budget(daily=1.0, spent=2.0)
    for shared in (None, ledger(project)):
        DecisionLog(own, shared, "h", lambda: purse).decide(decide, work, NOW)
        assert (seen[-1].budget, set(seen[-1].pauses), set(seen[-1].active)) == (purse, {"other"}, {"docs"})


def test_two_issues_opened_in_the_same_second_are_both_queued_by_a_worker(
    project: Project, store: Store
) -> None:
    """As the worker decides: with the shared ledger, or with its own store alone."""
    text = "on: {issues: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"
    found = load({path: one.encode() for path, one in skill_files("docs", text).items()}).skills
    facts = Facts(actor=Actor(login="ada", bot=False, permission="write"))
    made = []
    logs = (book(project, store), book(project, store), DecisionLog(DecisionStore(store, "o/r"), None, "h"))
    for number, log in enumerate(logs, 1):
        payload = {"action": "opened", "issue": {"id": number, "number": number}}
        event = TRIGGERS.get("issues").event(payload, NOW)

        def decide(known: History, event: Event = event) -> list[Decision]:
            return decide_event(found, event, facts, known, NOW)

        made += log.decide(decide, work, NOW)
    assert [one.verdict for one in made] == [Verdict.STARTED] * 3
    waiting = RunQueue(store).state(NOW).waiting
    assert {one.subject_key for one in waiting} == {"issue:1", "issue:2", "issue:3"}


def test_store_and_ledger_know_when_a_skill_was_last_started(project: Project, store: Store) -> None:
    log = book(project, store)

    def seen(*, shared: bool) -> dict[str, datetime]:
        history = ledger(project, "look").history(NOW) if shared else log.local.history()
        return dict(history.last_starts)

    assert seen(shared=True) == seen(shared=False) == {}
    hour = timedelta(hours=1)
    for number, (verdict, at) in enumerate(
        [(Verdict.STARTED, NOW - hour), (Verdict.STARTED, NOW - 2 * hour), (Verdict.SKIPPED, NOW)]
    ):
        made = replace(decision(f"release:{number}"), verdict=verdict, at=at)
        log.decide(lambda _, made=made: [made], work, NOW)  # type: ignore[misc]
    assert seen(shared=True) == seen(shared=False) == {"docs": NOW - hour}


def test_store_and_ledger_know_who_started_what(project: Project, store: Store) -> None:
    log = book(project, store)
    for number, (login, verdict) in enumerate(
        [("ada", Verdict.STARTED), ("Ada", Verdict.STARTED), ("ada", Verdict.SKIPPED), ("", Verdict.STARTED)]
    ):
        at = NOW + timedelta(minutes=number)
        made = replace(decision(f"release:{number}"), verdict=verdict, at=at, actor=login)
        log.decide(lambda _, made=made: [made], work, NOW)  # type: ignore[misc]
    wanted = {"docs ada": [NOW + timedelta(minutes=1), NOW]}
    for history in (ledger(project, "look").history(NOW), log.local.history()):
        assert {name: list(times) for name, times in history.actor_starts.items()} == wanted
        assert list(history.actor_starts.get("docs bob", ())) == []
    found = log.local.find("docs", "release:1")
    assert found is not None
    assert found.actor == "Ada"
