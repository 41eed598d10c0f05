"""The vocabulary of `on:`: what it takes and refuses, and what an event is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from croniter import CroniterError, croniter
from cronsim import CronSim, CronSimError
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.config.zones import check_zone
from runner.triggers import TRIGGERS, kind_of
from runner.triggers.cron import MACROS, check_cron, surprises
from runner.triggers.schedule import Schedule
from runner.triggers.slots import next_due

NAMES = {"issue_comment", "issues", "manual", "pull_request", "push", "release", "run_completed", "schedule"}


def accepted(text: str) -> bool:
    try:
        check_cron(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "0 9 * * 1",
        "*/15 0-6,18-23 1,15 jan-mar MON-FRI",
        "0 0 29 2 *",
        "0 0 31 2 1",
        "5/10 * * * 7",
        *MACROS,
    ],
)
def test_cron_takes(text: str) -> None:
    assert check_cron(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "here are 0"),
        ("0 0 9 * * 1", "here are 6"),
        ("@reboot", "here are 1"),
        ("59-1 * * * *", "runs backwards"),
        ("? * * * *", "not made of"),
        ("60 * * * *", "is not in 0-59"),
        ("* * 0 * *", "is not in 1-31"),
        ("* * * foo *", "is not in 1-12"),
        ("*/0 * * * *", "a step of zero"),
        ("*/90 * * * *", "has a step beyond 0-59, and would mean `0`"),
        ("0 */36 * * *", "has a step beyond 0-23, and would mean `0`"),
        ("0 0 */40 * *", "has a step beyond 1-31, and would mean `1`"),
        ("* * L * *", "not made of"),
        ("* * * * 1#2", "not made of"),
        ("1,,2 * * * *", "not made of"),
        ("* * * * ٣", "not made of"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0 0 30,31 2 0-6", "never comes"),
    ],
)
def test_cron_refuses(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_cron(text)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    part = st.one_of(
        st.just("*"),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
    )
    return st.lists(part, min_size=1, max_size=3).map(",".join)


expressions = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)).map(" ".join)


@given(expressions)
def test_whatever_is_taken_both_libraries_understand(text: str) -> None:
    assume(accepted(text))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert croniter(text, start).get_next(datetime) > start
    assert next(CronSim(text, start)) > start


@given(expressions)
def test_what_never_comes_is_refused_as_the_libraries_do(text: str) -> None:
    """Where a weekday field holds a star but is no plain star, crons differ in what they mean."""
    assume(text.split()[4] == "*" or "*" not in text.split()[4])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        croniter(text, start).get_next(datetime)
        next(CronSim(text, start))
        comes = True
    except (CroniterError, CronSimError, StopIteration):
        comes = False
    assert accepted(text) == comes


@given(
    expressions,
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_the_next_slot_is_later(text: str, zone: str) -> None:
    assume(accepted(text))
    after = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    due = next_due(Schedule(cron=text, timezone=zone), after)
    assert due > after


def test_the_next_slot_of_a_morning_in_berlin() -> None:
    after = datetime(2026, 6, 1, 12, tzinfo=UTC)
    due = next_due(Schedule(cron="0 9 * * 1", timezone="Europe/Berlin"), after)
    assert due == datetime(2026, 6, 8, 7, tzinfo=UTC)
    assert next_due(Schedule(cron="@daily"), after) - after == timedelta(hours=12)


def test_a_range_of_one_number_is_that_number() -> None:
    after = datetime(2026, 6, 1, tzinfo=UTC)
    due = next_due(Schedule(cron="7-7 5-5 * * mon-1"), after)
    assert due == datetime(2026, 6, 1, 5, 7, tzinfo=UTC)
    assert next_due(Schedule(cron="7-7 5-5 * * mon-1"), due) - due == timedelta(days=7)


@pytest.mark.parametrize(
    "name", ["", "Europe", "Europe/Berln", "../etc/passwd", "/etc/localtime", "a" * 300, "Europe/\x00"]
)
def test_no_time_zone(name: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        check_zone(name)


def test_every_trigger_is_there_with_github_names() -> None:
    assert set(TRIGGERS.names()) >= NAMES | {"check_run", "webhook", "workflow_run"}
    assert TRIGGERS.get("release").options().types == ("published",)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("schedule", [{"cron": "@daily", "catch_up": "6h", "jitter": "5m"}]),
        ("release", {"types": ["published", "edited"], "tags": ["v*"], "prereleases": False}),
        (
            "issues",
            {
                "types": ["labeled"],
                "labels": ["docs"],
                "actor": {"permission": "triage", "bots": ["renovate[bot]"]},
            },
        ),
        ("issue_comment", {"command": "/docs"}),
        (
            "pull_request",
            {"types": ["synchronize"], "paths": ["src/**"], "paths_ignore": ["*.md"], "draft": False},
        ),
        ("pull_request_review", {"states": ["changes_requested"], "paths": ["src/**"], "tree": "merge"}),
        ("pull_request_review_comment", {"types": ["created", "edited"], "labels": ["bot"]}),
        ("push", {"branches": ["main"], "branches_ignore": ["wip/**"], "tags": ["v*"]}),
        ("workflow_run", {"workflows": ["CI"], "conclusion": ["failure"], "branches": ["main"]}),
        ("check_run", {"names": ["lint"], "conclusion": ["failure", "timed_out"]}),
        ("webhook", {}),
        ("run_completed", {"skill": "docs", "states": ["failed"]}),
        ("manual", {}),
    ],
)
def test_triggers_take(kind: str, options: Any) -> None:
    assert TRIGGERS.get(kind).options.model_validate(options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("schedule", []),
        ("release", {"types": []}),
        ("release", {"types": "published"}),
        ("issues", {"types": ["labelled"]}),
        ("issues", {"actor": {"permission": "owner"}}),
        ("issue_comment", {"command": "docs"}),
        ("pull_request_review", {"states": ["CHANGES_REQUESTED"]}),
        ("pull_request_review_comment", {"states": ["approved"]}),
        ("push", {"types": ["created"]}),
        ("workflow_run", {"conclusion": "failure"}),
        ("webhook", {"secret": "HOOK_SECRET"}),
        ("run_completed", {"skill": "Docs"}),
        ("run_completed", {"skill": "docs", "states": ["running"]}),
        ("manual", {"inputs": {}}),
    ],
)
def test_triggers_refuse(kind: str, options: Any) -> None:
    with pytest.raises(ValidationError):
        TRIGGERS.get(kind).options.model_validate(options)


EVENTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "release": (
        {"action": "published", "release": {"id": 12, "tag_name": "v1"}},
        "v1",
        "release:12:published",
    ),
    "issues": (
        {"action": "opened", "issue": {"id": 5, "number": 3, "updated_at": "T1"}},
        "3",
        "issues:5:opened",
    ),
    "issue_comment": (
        {"action": "created", "issue": {"number": 3}, "comment": {"id": 8, "updated_at": "T2"}},
        "3",
        "issue_comment:8:created",
    ),
    "pull_request": (
        {
            "action": "synchronize",
            "pull_request": {"id": 6, "number": 4, "head": {"sha": "abc"}, "updated_at": "T3"},
        },
        "4",
        "pull_request:6:synchronize:abc",
    ),
    "pull_request_review": (
        {"action": "submitted", "review": {"id": 11}, "pull_request": {"number": 4}},
        "4",
        "pull_request_review:11:submitted",
    ),
    "pull_request_review_comment": (
        {"action": "created", "comment": {"id": 8, "updated_at": "T2"}, "pull_request": {"number": 4}},
        "4",
        "pull_request_review_comment:8:created",
    ),
    "push": ({"ref": "refs/heads/main", "after": "def"}, "main", "push:refs/heads/main:def"),
    "workflow_run": (
        {"action": "completed", "workflow_run": {"id": 9, "run_attempt": 2}, "workflow": {}},
        "9",
        "workflow_run:9:2:completed",
    ),
    "check_run": ({"action": "completed", "check_run": {"id": 7}}, "7", "check_run:7:completed"),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_tells_its_kind_subject_and_key(kind: str) -> None:
    event, about, key = EVENTS[kind]
    assert kind_of(event) == kind
    assert TRIGGERS.get(kind).subject(event) == about
    assert TRIGGERS.get(kind).key(event) == key


def test_an_event_of_no_known_kind() -> None:
    assert kind_of({"zen": "Keep it logically awesome."}) is None


_PULL = {"id": 6, "number": 4, "head": {"sha": "abc"}, "base": {"ref": "main"}}


@pytest.mark.parametrize(
    "payload",
    [
        {"action": "dismissed", "review": None, "pull_request": _PULL},
        {"action": "created", "comment": None, "pull_request": _PULL},
        {"action": "resolved", "thread": {"comments": []}, "pull_request": _PULL},
        {"action": "created", "deployment": {"id": 1}, "workflow_run": {"id": 2}},
        {"action": "created", "deployment_status": {"id": 1}, "deployment": {}, "check_run": {"id": 2}},
        {"action": "created", "comment": {"commit_id": "abc"}},
    ],
)
def test_an_event_that_shows_the_object_of_another_is_not_that_other(payload: dict[str, Any]) -> None:
    """A review and a thread show their pull request; a deployment its workflow run."""
    assert kind_of({**payload, "sender": {"login": "ada"}}) is None
    assert TRIGGERS.get("webhook").subject({"a": 1}) == ""


def test_without_what_tells_it_apart_the_whole_event_is_the_key() -> None:
    first, second = (
        TRIGGERS.get("release").key({"action": "published"}),
        TRIGGERS.get("release").key({"action": "created"}),
    )
    assert first != second
    assert first == TRIGGERS.get("release").key({"action": "published"})
    edit = {"action": "edited", "release": {"id": 1, "body": "a"}}
    assert TRIGGERS.get("release").key(edit) != TRIGGERS.get("release").key(
        {**edit, "release": {"id": 1, "body": "b"}}
    )


@given(
    st.dictionaries(
        st.sampled_from(["release", "issue", "comment", "action", "ref", "after"]), st.none() | st.text()
    )
)
def test_no_payload_breaks_the_reading(event: dict[str, Any]) -> None:
    kind = kind_of(event) or "webhook"
    assert TRIGGERS.get(kind).key(event).startswith(f"{kind}:")
    assert isinstance(TRIGGERS.get(kind).subject(event), str)


def test_two_labels_in_one_second_are_two_events() -> None:
    issue = {"id": 1, "updated_at": "2026-11-21T12:00:00Z"}
    keys = {
        TRIGGERS.get("issues").key({"action": "labeled", "issue": issue, "label": {"name": node}})
        for node in ("A", "B")
    }
    assert len(keys) == 2


MONDAYS = "day of month `*/5` and day of week `mon`"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("*/15 * * * *", []),
        ("0 9 * * 1", []),
        ("0 0 */1 * 1", []),
        ("*/45 * * * *", ["cron's `*/45` is not every 45 minutes: it begins anew each hour"]),
        ("0 */9 * * *", ["cron's `*/9` is not every 9 hours: it begins anew each day"]),
        ("0 0 1 */5 *", ["cron's `*/5` is not every 5 months: it begins anew each year"]),
        (
            "0 0 1 * 1",
            ["cron restricts day of month `1` and day of week `1`: a day in either one is due"],
        ),
        (
            "0 0 */5 * mon",
            [f"cron restricts {MONDAYS}: a day has to be in both, as one begins with `*`"],
        ),
    ],
)
def test_what_an_expression_means_unlike_it_looks_is_said(text: str, messages: list[str]) -> None:
    assert [message for message, _ in surprises(text)] == messages


@pytest.mark.parametrize("name", ["localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC"])
def test_a_zone_that_depends_on_the_machine_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"zone"):
        check_zone(name)


def test_a_date_that_both_fields_never_meet_is_refused() -> None:
    with pytest.raises(ValueError, match="never comes"):
        check_cron("0 0 30 2 */2")
