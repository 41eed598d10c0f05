"""`overlap` is per subject: a run of another issue or pull request is no overlap."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.core.model.decision import Actor, Cause, Decision, Event, Facts, History, Verdict
from runner.scheduler.admission import (
    AdmissionLimits,
    QueueState,
    RunningRun,
    WaitingRun,
    admit,
    waiting_reasons,
)
from runner.scheduler.decide import decide_event, decide_slots
from runner.skills import Skill, load
from runner.triggers import TRIGGERS
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FACTS = Facts(actor=Actor(login="ada", bot=False, permission="write"))
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"
ALL = """on:
  issues: {}
  issue_comment: {}
  pull_request: {}
  push: {}
  release: {}
  workflow_run: {}
  webhook: {}
  schedule: [{cron: "0 * * * *"}]
"""


def skills(more: str = "") -> Mapping[str, Skill]:
    files = skill_files("triage", ALL + more + REST)
    loaded = load({path: content.encode() for path, content in files.items()})
    assert loaded.faults == ()
    return loaded.skills


def happened(kind: str, payload: Mapping[str, Any]) -> Event:
    return TRIGGERS.get(kind).event(payload, NOW)


def issue(number: int) -> Event:
    return happened("issues", {"action": "opened", "issue": {"id": number * 10, "number": number}})


def comment(number: int, on: int) -> Event:
    payload = {"action": "created", "issue": {"number": on}, "comment": {"id": number, "body": "x"}}
    return happened("issue_comment", payload)


def pull(number: int, sha: str = "a" * 40) -> Event:
    head = {"sha": sha, "repo": {"full_name": "acme/lib"}}
    pull = {"id": number * 10, "number": number, "head": head, "base": {"ref": "main"}}
    return happened("pull_request", {"action": "opened", "number": number, "pull_request": pull})


def push(ref: str) -> Event:
    return happened("push", {"ref": ref, "before": "b" * 40, "after": "c" * 40})


def decided(event: Event, history: History, more: str = "") -> Decision:
    (decision,) = decide_event(skills(more), event, FACTS, history, NOW)
    return decision


def going_on(*events: Event) -> History:
    """Every event so far started a run, and none has ended."""
    history = History()
    for number, event in enumerate(events):
        made = replace(decided(event, history), run_id=f"r{number}")
        assert made.verdict is Verdict.STARTED, made.message
        history = replace(history, active={**history.active, made.subject_name: made})
    return history


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (issue(1), issue(2)),
        (issue(1), pull(2)),
        (comment(5, on=1), comment(6, on=2)),
        (push("refs/heads/main"), push("refs/heads/next")),
        (push("refs/heads/v1"), push("refs/tags/v1")),
        (push("refs/heads/7"), issue(7)),
        (issue(7), happened("release", {"action": "published", "release": {"id": 1, "tag_name": "7"}})),
    ],
)
def test_another_subject_is_no_overlap(first: Event, second: Event) -> None:
    assert decided(second, going_on(first)).verdict is Verdict.STARTED


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (issue(1), comment(5, on=1)),
        (pull(3), comment(6, on=3)),
        (comment(5, on=1), comment(6, on=1)),
        (push("refs/heads/main"), replace(push("refs/heads/main"), key="push:other")),
    ],
)
def test_the_same_subject_is_an_overlap(first: Event, second: Event) -> None:
    decision = decided(second, going_on(first))
    assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.OVERLAP)
    assert decision.message == f"run r0 of triage on {second.subject} has not ended, and `overlap` is skip"
    assert decided(second, going_on(first), "overlap: queue\n").verdict is Verdict.STARTED


def test_what_is_about_no_subject_is_about_the_skill() -> None:
    asked = Event(kind="manual", key="manual:1", at=NOW)
    sent = happened("webhook", {"x": 1})
    for one in (asked, sent):
        (slot,) = decide_slots(skills(), {"triage": NOW - timedelta(minutes=30)}, going_on(one), NOW)
        assert (slot.verdict, slot.cause) == (Verdict.SKIPPED, Cause.OVERLAP)
        assert decided(issue(1), going_on(one)).verdict is Verdict.STARTED


def test_a_run_that_follows_is_about_what_the_first_was_about() -> None:
    """It has no subject of its own: its run's id would be no overlap ever, its skill one always."""
    payload = {"run": {"id": "r0", "skill": "triage", "state": "succeeded"}}
    assert TRIGGERS.get("run_completed").event(payload, NOW).subject_key == ""


def waiting(run_id: str, about: str) -> WaitingRun:
    return WaitingRun(run_id=run_id, repository="o/r", skill="s", priority=5, since=NOW, subject_key=about)


def test_a_subject_has_one_run_at_a_time_however_many_its_skill_may_have() -> None:
    state = QueueState(
        waiting=[waiting("0", "issue:1"), waiting("1", "issue:2"), waiting("2", "issue:2"), waiting("3", "")],
        running=[RunningRun(repository="o/r", skill="s", subject_key="issue:1")],
        starts=(),
        now=NOW,
    )
    limits = AdmissionLimits(skill=10)
    assert admit(state, 9, limits) == ["1", "3"]
    reasons = waiting_reasons(state, limits)
    assert set(reasons) == {"0", "2"}
    assert reasons["0"] == "another run of o/r s on issue:1 goes on"
    assert admit(replace(state, running=()), 9, limits) == ["0", "1", "3"]


def test_runs_about_no_subject_are_limited_by_their_skill_alone() -> None:
    state = QueueState(waiting=[waiting("0", ""), waiting("1", "")], running=(), starts=(), now=NOW)
    assert admit(state, 9, AdmissionLimits(skill=2)) == ["0", "1"]
