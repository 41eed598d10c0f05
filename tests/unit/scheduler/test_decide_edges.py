"""Decisions at the edges: the last minute of a window, the last slot of many, the least that is said."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.model.decision import Actor, Budget, Cause, Decision, Event, Facts, History, Verdict
from runner.scheduler.decide import (
    decide_event,
    decide_slots,
    failed_to_start,
    listening_skills,
    required_facts,
    schedule_line,
    window_of,
)
from runner.skills import Skill, load
from runner.triggers.schedule import Schedule
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
REST = "harness: {kind: command, command: [x]}\noutput: {pull_request: {title: t}}\n"
ADA = Actor(login="ada", bot=False, permission="write")


def skills(**yaml: str) -> Mapping[str, Skill]:
    files: dict[str, bytes] = {}
    for name, text in yaml.items():
        made = skill_files(name, text if "output:" in text else text + REST)
        files.update({path: content.encode() for path, content in made.items()})
    loaded = load(files)
    assert loaded.faults == ()
    return loaded.skills


def released(**changes: Any) -> Event:
    made = Event(
        kind="release",
        key="release:1",
        at=NOW,
        payload={"action": "published", "release": {"id": 1, "tag_name": "v1"}},
        subject="v1",
    )
    return replace(made, **changes)


def decided(text: str, facts: Facts, history: History | None = None, event: Event | None = None) -> Decision:
    found = decide_event(skills(it=text), event or released(), facts, history or History(), NOW)
    (decision,) = found
    return decision


# --- what is started, and until when an end may be expected ------------------------------------------


@pytest.mark.parametrize(
    ("limits", "minutes"),
    [
        ("", 45),
        ("limits: {timeout: 10m}\n", 10),
        ("limits: {attempts: 3}\n", 135),
        ("limits: {timeout: 10m, attempts: 3}\n", 30),
    ],
)
def test_an_end_is_expected_a_quarter_of_an_hour_after_the_last_attempt(limits: str, minutes: int) -> None:
    decision = decided(f"on: {{release: {{}}}}\n{limits}", Facts())
    assert decision == Decision(
        key="release:1",
        skill="it",
        trigger="release",
        verdict=Verdict.STARTED,
        message="release v1",
        at=NOW,
        expires=NOW + minutes * MINUTE + 15 * MINUTE,
    )


def test_what_has_no_subject_is_told_by_its_kind() -> None:
    assert (
        decided("on: {release: {}}\n", Facts(actor=ADA), event=released(subject="")).message
        == "release by ada"
    )


@pytest.mark.parametrize(("hint", "message"), [("do this", "no; do this"), ("", "no")])
def test_a_failure_to_start_keeps_all_but_the_verdict(hint: str, message: str) -> None:
    decision = decided("on: {release: {}}\n", Facts())
    failed = failed_to_start(decision, RunnerError(Phase.PLAN, Reason.SECRET_MISSING, "no", hint=hint))
    assert failed == replace(
        decision, verdict=Verdict.FAILED_TO_START, cause=Cause.INVALID, message=message, expires=None
    )


def test_the_second_line_of_one_call_finds_the_first_one_running() -> None:
    text = "on: {schedule: [{cron: '0 12 * * *'}, {cron: '0 * * * *'}]}\n"
    _, second = decide_slots(skills(it=text), {"it": NOW - MINUTE}, History(), NOW)
    assert second.message == "run that was just started of it has not ended, and `overlap` is skip"
    twice = decide_slots(skills(it=text + "overlap: queue\n"), {"it": NOW - MINUTE}, History(), NOW)
    assert [one.verdict for one in twice] == [Verdict.STARTED] * 2


def test_what_another_skill_does_is_no_overlap() -> None:
    found = skills(a="on: {release: {}}\n", b="on: {release: {}}\n")
    running = Decision(
        key="k", skill="a", trigger="t", verdict=Verdict.STARTED, message="m", at=NOW, run_id="r1"
    )
    decisions = decide_event(found, released(), Facts(), History(active={"a": running}), NOW)
    assert [(one.skill, one.cause) for one in decisions] == [("a", Cause.OVERLAP), ("b", None)]
    assert decisions[0].message == "run r1 of a has not ended, and `overlap` is skip"


def test_the_reasons_against_it_have_an_order() -> None:
    """A duplicate before a pause, a pause before the money, the money before an overlap."""
    text = "on: {release: {}}\n"
    first = decided(text, Facts())
    running = replace(first, run_id="r1")
    history = History(
        decisions={first.name: first},
        pauses={"it": "held"},
        budget=Budget(daily=1, spent=1),
        active={"it": running},
    )
    said = []
    for change in (
        {},
        {"decisions": {}},
        {"decisions": {}, "pauses": {}},
        {"decisions": {}, "pauses": {}, "budget": Budget()},
    ):
        decision = decided(text, Facts(), replace(history, **change))  # type: ignore[arg-type]
        said.append((decision.verdict, decision.cause, decision.expires))
    assert said == [
        (Verdict.SKIPPED, Cause.DUPLICATE, None),
        (Verdict.HELD, Cause.PAUSED, None),
        (Verdict.HELD, Cause.BUDGET, None),
        (Verdict.SKIPPED, Cause.OVERLAP, None),
    ]


@pytest.mark.parametrize(
    ("paused", "held"),
    [({"it"}, True), ({"*"}, True), ({"it", "*"}, True), ({"other"}, False), (set(), False)],
)
def test_what_is_paused(paused: set[str], held: bool) -> None:
    decision = decided("on: {release: {}}\n", Facts(), History(pauses=dict.fromkeys(paused, "ada paused it")))
    assert (decision.verdict is Verdict.HELD) is held
    assert (decision.message == "ada paused it") is held


@pytest.mark.parametrize(
    ("purse", "held"),
    [
        (Budget(daily=10, spent=9.99), False),
        (Budget(daily=10, spent=10), True),
        (Budget(skill_daily=2, spent_by_skill={"it": 1.99}), False),
        (Budget(skill_daily=2, spent_by_skill={"it": 2.0}), True),
        (Budget(daily=10, spent=3, skill_daily=2, spent_by_skill={"other": 9.0}), False),
    ],
)
def test_the_days_money_is_gone_when_all_of_it_is_spent(purse: Budget, held: bool) -> None:
    assert (decided("on: {release: {}}\n", Facts(), History(budget=purse)).cause is Cause.BUDGET) is held


# --- who is concerned, and what has to be looked up ---------------------------------------------------


def test_who_is_concerned_by_name() -> None:
    found = skills(c="on: {release: {}}\n", a="on: {release: {}}\n", b="on: {issues: {}}\n")
    assert [one.name for one in listening_skills(found, released())] == ["a", "c"]
    assert [one.name for one in listening_skills(found, released(only="c"))] == ["c"]
    assert listening_skills(found, released(only="b")) == []
    assert [one.name for one in listening_skills(found, released(kind="manual"))] == ["a", "b", "c"]
    assert [one.name for one in listening_skills(found, released(kind="manual", only="b"))] == ["b"]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ("{}", (True, False)),
        ("{paths: ['a']}", (True, True)),
        ("{paths_ignore: ['a']}", (True, True)),
        ("{branches: [dev], paths: ['a']}", (False, False)),
    ],
)
def test_what_has_to_be_looked_up(options: str, asked: tuple[bool, bool]) -> None:
    event = Event(kind="push", key="k", at=NOW, payload={"ref": "refs/heads/main"})
    assert required_facts(skills(it=f"on: {{push: {options}}}\n"), event) == asked


def test_one_skill_that_asks_is_enough() -> None:
    found = skills(a="on: {push: {branches: [dev]}}\n", b="on: {push: {}}\n", c="on: {push: {paths: [x]}}\n")
    event = Event(kind="push", key="k", at=NOW, payload={"ref": "refs/heads/main"})
    assert required_facts(found, event) == (True, True)
    follows = skills(it="on: {run_completed: {skill: first}}\n")
    ended = Event(
        kind="run_completed", key="k", at=NOW, payload={"run": {"skill": "first", "state": "succeeded"}}
    )
    assert required_facts(follows, ended) == (False, False)


# --- who may ------------------------------------------------------------------------------------------

LADDER = ["none", "read", "triage", "write", "maintain", "admin"]


@pytest.mark.parametrize("has", [*LADDER, "unheard of"])
@pytest.mark.parametrize("wanted", LADDER)
def test_each_permission_holds_those_below_it(has: str, wanted: str) -> None:
    text = f"on: {{release: {{actor: {{permission: {wanted}}}}}}}\n"
    decision = decided(text, Facts(actor=replace(ADA, permission=has)))
    height = LADDER.index(has) if has in LADDER else 0
    if height >= LADDER.index(wanted):
        assert decision.verdict is Verdict.STARTED
    else:
        assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.ACTOR)
        assert decision.message == f"ada has the permission `{has}`, and `{wanted}` is needed"


def test_each_refusal_says_why() -> None:
    bot = Actor(login="ci[bot]", bot=True, permission="admin")
    text = "on: {release: {}}\n"
    assert decided(text, Facts(actor=bot)).message == (
        "ci[bot] is a bot: allow it with `actor: {bots: ['ci[bot]']}`"
    )
    assert decided(text, Facts(actor=ADA, is_fork=True)).message == (
        "the commit comes from a fork: its runs may only read, and the output is pull_request"
    )
    assert decided(text, Facts(actor=ADA, own_cause="we did it")).message == (
        "we did it: what skillrunner does starts no skill (`run_completed` chains them)"
    )
    assert decided(text, Facts(is_fork=True)).verdict is Verdict.STARTED, "nobody is asked for"


def test_a_duplicate_is_told_before_anybody_is_judged() -> None:
    text = "on: {release: {tags: [x]}}\n"
    first = replace(decided("on: {release: {}}\n", Facts()), message="as before")
    again = decided(text, Facts(own_cause="us"), History(decisions={first.name: first}))
    assert (again.cause, again.message) == (Cause.DUPLICATE, "decided before: as before")


def test_the_decision_of_another_skill_is_no_duplicate() -> None:
    other = replace(decided("on: {release: {}}\n", Facts()), skill="other")
    assert (
        decided("on: {release: {}}\n", Facts(), History(decisions={other.name: other})).verdict
        is Verdict.STARTED
    )


@pytest.mark.parametrize(
    ("options", "paths", "said"),
    [
        ("{paths: ['a']}", None, "`paths` is asked for, and which paths changed is not known"),
        ("{paths: ['a']}", ("b",), "no changed path is among `paths`: a"),
        ("{paths: ['a']}", (), "no changed path is among `paths`: a"),
        ("{branches: [dev], paths: ['a']}", None, "`branches` holds dev, and this is `main`"),
        ("{}", None, ""),
    ],
)
def test_paths_that_changed(options: str, paths: tuple[str, ...] | None, said: str) -> None:
    event = Event(kind="push", key="k", at=NOW, payload={"ref": "refs/heads/main"})
    decision = decided(f"on: {{push: {options}}}\n", Facts(actor=ADA, paths=paths), event=event)
    assert decision.cause is (Cause.FILTER if said else None)
    assert decision.message == (said or "push by ada")


# --- slots -----------------------------------------------------------------------------------------


def slot(text: str, late: timedelta, cron: str = "0 12 * * *") -> Decision:
    """The decision on the slot of noon, made so late."""
    yaml = f"on: {{schedule: [{{cron: '{cron}'{text}}}]}}\n"
    (decision,) = decide_slots(skills(it=yaml), {"it": NOW - MINUTE}, History(), NOW + late)
    return decision


@pytest.mark.parametrize(
    ("text", "late", "starts"),
    [
        ("", 6 * HOUR, True),
        ("", 6 * HOUR + timedelta(microseconds=1), False),
        (", catch_up: 30m", 30 * MINUTE, True),
        (", catch_up: 30m", 30 * MINUTE + timedelta(microseconds=1), False),
        (", catch_up: 12h", 12 * HOUR, True),
    ],
)
def test_the_window_holds_its_last_instant(text: str, late: timedelta, starts: bool) -> None:
    decision = slot(text, late)
    assert (decision.verdict, decision.cause) == (
        (Verdict.STARTED, None) if starts else (Verdict.MISSED, Cause.WINDOW)
    )
    assert (decision.due, decision.at, decision.trigger) == (NOW, NOW + late, "schedule")
    assert (decision.expires is not None) is starts


@pytest.mark.parametrize(
    ("late", "told"),
    [
        (timedelta(0), ""),
        (MINUTE, ""),
        (MINUTE + timedelta(seconds=1), ", 61 s late"),
        (2 * MINUTE - timedelta(seconds=1), ", 119 s late"),
        (2 * MINUTE, ", 2 min late"),
        (2 * HOUR - timedelta(seconds=1), ", 119 min late"),
        (2 * HOUR, ", 2 h late"),
        (3 * HOUR - MINUTE, ", 2 h late"),
        (48 * HOUR - timedelta(seconds=1), ", 47 h late"),
        (48 * HOUR, ", 2 days late"),
        (72 * HOUR - timedelta(seconds=1), ", 2 days late"),
        (72 * HOUR, ", 3 days late"),
    ],
)
def test_how_late_it_is_in_words(late: timedelta, told: str) -> None:
    decision = slot(", catch_up: 30d", late, "0 12 21 11 *")
    assert decision.message == f"the slot of 2026-11-21 12:00 UTC{told}"


def test_a_window_of_days_in_words() -> None:
    decision = slot(", catch_up: 3d", 4 * DAY, "0 12 21 11 *")
    assert (
        decision.message == "the slot of 2026-11-21 12:00 UTC came up 4 days late, and its window is 3 days"
    )


def test_of_several_slots_in_the_window_the_last_one_stands_for_all() -> None:
    yaml = "on: {schedule: [{cron: '0 * * * *'}]}\n"
    found = decide_slots(skills(it=yaml), {"it": NOW - 2 * HOUR - MINUTE}, History(), NOW)
    assert [(one.verdict, one.cause) for one in found] == [
        (Verdict.SKIPPED, Cause.DUPLICATE),
        (Verdict.SKIPPED, Cause.DUPLICATE),
        (Verdict.STARTED, None),
    ]
    assert (
        found[0].message
        == "the slot of 2026-11-21 10:00 UTC was missed, and the one after it runs in its place"
    )
    assert [one.due for one in found] == [NOW - 2 * HOUR, NOW - HOUR, NOW]


@pytest.mark.parametrize(("minutes", "untold"), [(9_999, 0), (10_000, 0), (10_001, 1), (10_500, 500)])
def test_ten_thousand_slots_are_decided_one_by_one(minutes: int, untold: int) -> None:
    yaml = "on: {schedule: [{cron: '* * * * *', catch_up: 1m}]}\n"
    begin = NOW - minutes * MINUTE
    found = decide_slots(skills(it=yaml), {"it": begin}, History(), NOW)
    assert len(found) == min(minutes, 10_000) + bool(untold)
    assert found[-1].due == NOW
    if untold:
        first = found[0]
        assert (first.verdict, first.cause) == (Verdict.MISSED, Cause.WINDOW)
        assert first.due == begin + untold * MINUTE, "the last one of those that are told at once"
        assert first.key == f"schedule:* * * * *@UTC:{begin + MINUTE:%Y-%m-%dT%H:%M}Z+{untold}"
        said = f"{untold} slots from {begin + MINUTE:%Y-%m-%d %H:%M} UTC on came too late"
        assert first.message == said
    assert found[bool(untold)].due == begin + (untold + 1) * MINUTE


def test_how_far_a_line_was_decided_and_when_it_came_both_count() -> None:
    yaml = "on: {schedule: [{cron: '0 * * * *'}]}\n"
    (skill,) = skills(it=yaml).values()
    name = schedule_line(skill, skill.triggers["schedule"].root[0])
    assert name == "it 0 * * * *@UTC"
    for since, introduced in ((NOW - HOUR, NOW - 9 * HOUR), (NOW - 9 * HOUR, NOW - HOUR)):
        found = decide_slots({"it": skill}, {"it": introduced}, History(decided_until={name: since}), NOW)
        assert [one.due for one in found] == [NOW]
    assert len(decide_slots({"it": skill}, {"it": NOW - HOUR}, History(decided_until={"x": NOW}), NOW)) == 1


def test_skills_are_decided_by_name_and_those_without_a_timetable_not_at_all() -> None:
    daily = "on: {schedule: [{cron: '0 12 * * *'}]}\n"
    found = skills(b=daily, a=daily, c="on: {release: {}}\n")
    introduced = dict.fromkeys(found, NOW - MINUTE)
    assert [one.skill for one in decide_slots(found, introduced, History(), NOW)] == ["a", "b"]


def test_windows() -> None:
    assert window_of(Schedule(cron="@daily")) == 6 * HOUR
    assert window_of(Schedule.model_validate({"cron": "@daily", "catch_up": "90s"})) == timedelta(seconds=90)


# --- what goes on -----------------------------------------------------------------------------------


def test_what_goes_on_says_from_where() -> None:
    text = "on: {release: {}}\ncontinue: true\n"
    decision = decided(text, Facts(), History(latest_runs={"it v1": "r1", "it v2": "r2", "other v1": "r3"}))
    assert (decision.continues, decision.message) == ("r1", "release v1, goes on from run r1")
    assert decided(text, Facts(), History(latest_runs={"it v2": "r2"})).message == "release v1"
