"""A decision becomes work, and a run in the queue."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.model import RunState, Trigger
from runner.core.model.decision import Decision, Event, Facts, History
from runner.run.start import queue_entry, trigger_of, work_of
from runner.scheduler.decide import decide_event, decide_slots
from runner.skills import Skill, load
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)
ISSUE = {"action": "opened", "issue": {"number": 7}, "sender": {"login": "ada"}}
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


COMMIT = "c" * 40


def skill(on: str, more: str = "") -> Skill:
    files = {path: text.encode() for path, text in skill_files("s", f"on: {on}\n{REST}{more}").items()}
    return load(files).skills["s"]


def slot(found: Skill) -> Decision:
    (decision,) = decide_slots({"s": found}, {"s": NOW - timedelta(minutes=30)}, History(), NOW)
    return decision


def begins(on: str, name: str = "acme/web") -> datetime | None:
    found = skill(on)
    return queue_entry(name, found, COMMIT, slot(found)).not_before


def test_slots_that_are_spread_begin_later_and_everywhere_at_the_same_time() -> None:
    on = "{schedule: [{cron: '0 12 * * *', jitter: 10m}]}"
    first = begins(on)
    assert first is not None
    assert NOW - timedelta(seconds=5) <= first < NOW + timedelta(minutes=10)
    assert begins(on) == first
    assert begins(on, "acme/other") != first


def test_others_begin_at_once() -> None:
    assert begins("{schedule: [{cron: '0 12 * * *'}]}") is None


@pytest.mark.parametrize(("stated", "number"), [("high", 3), ("normal", 5), ("low", 7)])
def test_a_skill_states_its_priority_and_people_go_before_machines(stated: str, number: int) -> None:
    found = skill("{schedule: [{cron: '0 12 * * *'}]}", f"priority: {stated}\n")
    decision = slot(found)
    assert queue_entry("acme/web", found, COMMIT, decision).priority == number
    by_hand = replace(decision, trigger="manual")
    assert queue_entry("acme/web", found, COMMIT, by_hand).priority == number - 1


@pytest.mark.parametrize(
    ("overlap", "replaces"), [("skip", False), ("queue", False), ("cancel_running", True)]
)
def test_a_skill_may_replace_its_own_runs(overlap: str, replaces: bool) -> None:
    found = skill("{schedule: [{cron: '0 12 * * *'}]}", f"overlap: {overlap}\n")
    assert queue_entry("acme/web", found, COMMIT, slot(found)).cancels_others is replaces


def test_the_run_in_the_queue_is_that_of_its_decision() -> None:
    found = skill("{issues: {}}")
    event = Event(
        kind="issues", key="issues:7:opened", at=NOW, payload=ISSUE, subject="issue 7", inputs={"a": 1}
    )
    (decision,) = decide_event({"s": found}, event, Facts(), History(), NOW)
    entry = queue_entry("acme/web", found, COMMIT, replace(decision, run_id="r-1", continues="r-0"), event)
    assert (entry.run.id, entry.run.skill, entry.run.state) == ("r-1", "s", RunState.QUEUED)
    assert (entry.run.trigger, entry.run.trigger_key) == ("issues", "issues:7:opened")
    assert (entry.run.subject, entry.run.base_sha, entry.run.harness) == ("issue 7", COMMIT, "command")
    assert (entry.work.commit, entry.work.path, entry.work.continues) == (COMMIT, "skills/s", "r-0")
    assert trigger_of(entry.work) == Trigger(
        kind="issues",
        key="issues:7:opened",
        subject="issue 7",
        actor="ada",
        at=NOW,
        event=ISSUE,
        inputs={"a": 1},
    )


def test_a_skill_is_told_of_its_slot_as_of_an_event() -> None:
    found = skill("{schedule: [{cron: '0 12 * * *'}]}")
    trigger = trigger_of(work_of(slot(found), None, found, COMMIT))
    assert (trigger.kind, trigger.actor, trigger.subject) == ("schedule", None, "")
    assert trigger.event == {"schedule": {"due": "2026-11-21T12:00:00+00:00"}}
