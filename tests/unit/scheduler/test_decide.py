"""Every slot and every event gets one decision, and the decision says why."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.model.decision import Actor, Budget, Cause, Decision, Event, Facts, History, Verdict
from runner.scheduler.decide import (
    MAX_SLOTS,
    decide_event,
    decide_slots,
    failed_to_start,
    required_facts,
    schedule_line,
)
from runner.skills import Skill, load
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)
ADA = Facts(actor=Actor(login="ada", bot=False, permission="write"))
REST = "harness: {kind: command, command: [x]}\noutput: {pull_request: {title: t}}\n"


def skills(**yaml: str) -> Mapping[str, Skill]:
    files: dict[str, bytes] = {}
    for name, text in yaml.items():
        made = skill_files(name, text if "output:" in text else text + REST)
        files.update({path: content.encode() for path, content in made.items()})
    loaded = load(files)
    assert loaded.faults == ()
    return loaded.skills


def released(**more: Any) -> Event:
    payload = {"action": "published", "release": {"id": 1, "tag_name": "v1"}, **more}
    return Event(kind="release", key="release:1:published", at=NOW, payload=payload, subject="v1")


def one(decisions: list[Decision]) -> Decision:
    (decision,) = decisions
    return decision


def cause(decisions: list[Decision]) -> tuple[Verdict, Cause | None]:
    decision = one(decisions)
    return decision.verdict, decision.cause


def test_a_skill_that_asks_for_the_event_is_started() -> None:
    found = skills(
        docs="on: {release: {}}\nlimits: {timeout: 10m, attempts: 2}\n", other="on: {issues: {}}\n"
    )
    decision = one(decide_event(found, released(), ADA, History(), NOW))
    assert (decision.skill, decision.verdict, decision.cause) == ("docs", Verdict.STARTED, None)
    assert decision.message == "release v1 by ada"
    assert decision.name == "docs release:1:published"
    assert decision.expires == NOW + timedelta(minutes=35)


@pytest.mark.parametrize(
    ("on", "payload", "words"),
    [
        ("release: {types: [deleted]}", {}, "`types` holds deleted, and this is `published`"),
        ("release: {tags: ['v2*']}", {}, "`tags` holds v2*, and this is `v1`"),
        ("release: {prereleases: false}", {"release": {"prerelease": True, "id": 1}}, "pre-release"),
        ("release: {tags: ['v*']}", {"release": None}, "`tags` holds v*, and this is `None`"),
    ],
)
def test_a_filter_says_what_it_holds(on: str, payload: dict[str, Any], words: str) -> None:
    found = skills(docs=f"on: {{{on}}}\n")
    decision = one(decide_event(found, released(**payload), ADA, History(), NOW))
    assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.FILTER)
    assert words in decision.message


PULL = {
    "action": "opened",
    "pull_request": {"number": 1, "draft": False, "base": {"ref": "main"}, "labels": [{"name": "docs"}]},
}
COMMENT = {"action": "created", "comment": {"id": 1, "body": "/docs please"}, "issue": {"labels": []}}
RUN = {"action": "completed", "workflow_run": {"name": "CI", "head_branch": "main", "conclusion": "failure"}}
CHECK = {"action": "completed", "check_run": {"name": "lint", "conclusion": "success"}}
PUSH = {"ref": "refs/heads/main"}
TAG = {"ref": "refs/tags/v1"}
LABELED = {"action": "labeled", "label": {"name": "bug"}, "issue": {"labels": [{"name": "docs"}]}}


@pytest.mark.parametrize(
    ("kind", "options", "payload", "starts"),
    [
        ("pull_request", "{}", PULL, True),
        ("pull_request", "{branches: [main]}", PULL, True),
        ("pull_request", "{branches: ['release/*']}", PULL, False),
        ("pull_request", "{branches_ignore: [main]}", PULL, False),
        ("pull_request", "{labels: [docs, x]}", PULL, True),
        ("pull_request", "{labels: [x]}", PULL, False),
        ("pull_request", "{draft: false}", PULL, True),
        ("pull_request", "{draft: true}", PULL, False),
        ("issue_comment", "{command: /docs}", COMMENT, True),
        ("issue_comment", "{command: /doc}", COMMENT, False),
        ("issue_comment", "{labels: [docs]}", COMMENT, False),
        ("issue_comment", "{command: /docs}", {**COMMENT, "comment": {"body": None}}, False),
        ("issues", "{types: [labeled], labels: [bug]}", LABELED, True),
        ("issues", "{types: [labeled], labels: [docs]}", LABELED, False),
        ("workflow_run", "{workflows: [CI], conclusion: [failure]}", RUN, True),
        ("workflow_run", "{workflows: [CD]}", RUN, False),
        ("workflow_run", "{branches: [dev]}", RUN, False),
        ("workflow_run", "{conclusion: [success]}", RUN, False),
        ("check_run", "{names: [lint]}", CHECK, True),
        ("check_run", "{names: [test]}", CHECK, False),
        ("check_run", "{conclusion: [failure]}", CHECK, False),
        ("push", "{}", PUSH, True),
        ("push", "{}", TAG, True),
        ("push", "{branches: [main]}", PUSH, True),
        ("push", "{branches: [main]}", TAG, False),
        ("push", "{tags: ['v*']}", TAG, True),
        ("push", "{tags: ['w*']}", TAG, False),
        ("push", "{tags: ['v*']}", PUSH, False),
        ("push", "{branches: ['feature/**']}", PUSH, False),
        ("push", "{}", {**PUSH, "deleted": True}, False),
    ],
)
def test_filters(kind: str, options: str, payload: dict[str, Any], starts: bool) -> None:
    found = skills(it=f"on: {{{kind}: {options}}}\n")
    event = Event(kind=kind, key="k", at=NOW, payload=payload)
    wanted = (Verdict.STARTED, None) if starts else (Verdict.SKIPPED, Cause.FILTER)
    assert cause(decide_event(found, event, ADA, History(), NOW)) == wanted


@pytest.mark.parametrize(
    ("options", "paths", "starts"),
    [
        ("{paths: ['src/**']}", ("src/a.py", "b"), True),
        ("{paths: ['src/**']}", ("b",), False),
        ("{paths: ['src/**']}", None, False),
        ("{paths_ignore: ['docs/**']}", ("docs/a", "src/b"), True),
        ("{paths_ignore: ['docs/**']}", ("docs/a",), False),
    ],
)
def test_changed_paths(options: str, paths: tuple[str, ...] | None, starts: bool) -> None:
    found = skills(it=f"on: {{push: {options}}}\n")
    event = Event(kind="push", key="k", at=NOW, payload=PUSH)
    assert required_facts(found, event) == (True, True)
    facts = Facts(actor=ADA.actor, paths=paths)
    verdict, _ = cause(decide_event(found, event, facts, History(), NOW))
    assert (verdict is Verdict.STARTED) is starts


def test_nothing_is_looked_up_for_what_no_skill_asks_for() -> None:
    found = skills(it="on: {push: {branches: [dev], paths: [x]}, release: {}}\n")
    assert required_facts(found, Event(kind="push", key="k", at=NOW, payload=PUSH)) == (False, False)
    assert required_facts(found, Event(kind="issues", key="k", at=NOW, payload={})) == (False, False)
    assert required_facts(found, released()) == (True, False)


@pytest.mark.parametrize(
    ("actor", "options", "starts"),
    [
        (Actor(login="ada", bot=False, permission="admin"), "{}", True),
        (Actor(login="eve", bot=False, permission="read"), "{}", False),
        (Actor(login="eve", bot=False, permission="triage"), "{}", False),
        (Actor(login="eve", bot=False, permission="triage"), "{actor: {permission: triage}}", True),
        (Actor(login="eve", bot=False, permission="none"), "{actor: {permission: none}}", True),
        (Actor(login="eve", bot=False, permission="something new"), "{}", False),
        (Actor(login="ci[bot]", bot=True, permission="none"), "{}", False),
        (Actor(login="ci[bot]", bot=True, permission="none"), "{actor: {bots: ['ci[bot]']}}", True),
        (Actor(login="ci[bot]", bot=True, permission="admin"), "{actor: {bots: ['other[bot]']}}", False),
        (Actor(login="ci[bot]", bot=False, permission="none"), "{actor: {bots: ['ci[bot]']}}", False),
    ],
)
def test_who_may_start_a_skill(actor: Actor, options: str, starts: bool) -> None:
    found = skills(it=f"on: {{release: {options}}}\n")
    wanted = (Verdict.STARTED, None) if starts else (Verdict.SKIPPED, Cause.ACTOR)
    assert cause(decide_event(found, released(), Facts(actor=actor), History(), NOW)) == wanted


def test_a_fork_may_only_read() -> None:
    found = skills(
        writes="on: {pull_request: {}}\n",
        reads="on: {pull_request: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n",
    )
    event = Event(kind="pull_request", key="k", at=NOW, payload=PULL)
    facts = Facts(actor=ADA.actor, is_fork=True)
    verdicts = {each.skill: each.verdict for each in decide_event(found, event, facts, History(), NOW)}
    assert verdicts == {"reads": Verdict.STARTED, "writes": Verdict.SKIPPED}


def test_our_own_doing_starts_nothing() -> None:
    facts = Facts(actor=ADA.actor, own_cause="skillrunner pushed it")
    decision = one(decide_event(skills(it="on: {release: {}}\n"), released(), facts, History(), NOW))
    assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.ACTOR)
    assert "run_completed" in decision.message


def test_what_was_decided_stays_decided() -> None:
    found = skills(it="on: {release: {}}\n")
    first = one(decide_event(found, released(), ADA, History(), NOW))
    history = History(decisions={first.name: first})
    again = one(decide_event(found, released(), Facts(own_cause="us"), history, NOW))
    assert (again.verdict, again.cause) == (Verdict.SKIPPED, Cause.DUPLICATE)
    assert "release v1 by ada" in again.message


@pytest.mark.parametrize(("overlap", "starts"), [("skip", False), ("queue", True), ("cancel_running", True)])
def test_overlap(overlap: str, starts: bool) -> None:
    found = skills(it=f"on: {{release: {{}}}}\noverlap: {overlap}\n")
    running = Decision(
        key="k", skill="it", trigger="release", verdict=Verdict.STARTED, message="m", at=NOW, run_id="r1"
    )
    decision = one(decide_event(found, released(), ADA, History(active={"it": running}), NOW))
    assert (decision.verdict is Verdict.STARTED) is starts
    assert starts or (decision.cause is Cause.OVERLAP and "r1" in decision.message)


def test_a_pause_holds() -> None:
    found = skills(off="on: {release: {}}\nenabled: false\n", paused="on: {release: {}}\n")
    decisions = decide_event(found, released(), ADA, History(pauses={"paused": "held"}), NOW)
    assert {(each.verdict, each.cause) for each in decisions} == {(Verdict.HELD, Cause.PAUSED)}
    assert "skills/off/skill.yaml says `enabled: false`" in decisions[0].message


def test_by_hand_any_skill_starts_and_no_other() -> None:
    found = skills(a="on: {release: {}}\n", b="on: {release: {}}\n")
    asked = Event(kind="manual", key="manual:1", at=NOW, only="a")
    assert [each.skill for each in decide_event(found, asked, Facts(), History(), NOW)] == ["a"]
    sent = Event(kind="webhook", key="webhook:1", at=NOW, only="a")
    assert decide_event(found, sent, Facts(), History(), NOW) == []


@pytest.mark.parametrize(
    ("run", "starts"),
    [
        ({"skill": "first", "state": "succeeded"}, True),
        ({"skill": "first", "state": "failed"}, False),
        ({"skill": "other", "state": "succeeded"}, False),
    ],
)
def test_a_run_that_follows_another(run: dict[str, str], starts: bool) -> None:
    found = skills(it="on: {run_completed: {skill: first}}\n")
    event = Event(kind="run_completed", key="k", at=NOW, payload={"run": run})
    verdict, _ = cause(decide_event(found, event, Facts(), History(), NOW))
    assert (verdict is Verdict.STARTED) is starts


# --- slots ------------------------------------------------------------------------------------------

HOURLY = "on: {schedule: [{cron: '0 * * * *', catch_up: 30m}]}\n"


def due(text: str, history: History, now: datetime = NOW, since: datetime = LONG_AGO) -> list[Decision]:
    found = skills(it=text)
    return decide_slots(found, {"it": since}, history, now)


def marked(text: str, at: datetime) -> History:
    (skill,) = skills(it=text).values()
    return History(decided_until={schedule_line(skill, skill.triggers["schedule"].root[0]): at})


def test_a_slot_runs_on_time() -> None:
    decision = one(due(HOURLY, marked(HOURLY, NOW - timedelta(hours=1))))
    assert (decision.verdict, decision.due, decision.trigger) == (Verdict.STARTED, NOW, "schedule")
    assert due(HOURLY, marked(HOURLY, NOW)) == []


def test_missed_slots_run_once_inside_the_window() -> None:
    text = HOURLY.replace("30m", "3h")
    decisions = due(text, marked(text, NOW - timedelta(hours=6)), NOW + timedelta(minutes=10))
    assert [(each.verdict, each.cause) for each in decisions] == [
        (Verdict.MISSED, Cause.WINDOW),
        (Verdict.MISSED, Cause.WINDOW),
        (Verdict.MISSED, Cause.WINDOW),
        (Verdict.SKIPPED, Cause.DUPLICATE),
        (Verdict.SKIPPED, Cause.DUPLICATE),
        (Verdict.STARTED, None),
    ]
    assert decisions[-1].message == "the slot of 2026-11-21 12:00 UTC, 10 min late"
    assert len({each.key for each in decisions}) == 6


def test_too_late_is_missed_and_says_by_how_much() -> None:
    decision = one(due(HOURLY, marked(HOURLY, NOW - timedelta(hours=1)), NOW + timedelta(minutes=45)))
    assert (decision.verdict, decision.cause) == (Verdict.MISSED, Cause.WINDOW)
    assert (
        decision.message == "the slot of 2026-11-21 12:00 UTC came up 45 min late, and its window is 30 min"
    )


def test_no_slot_is_due_from_before_the_skill_was_there() -> None:
    assert due(HOURLY, History(), since=NOW) == []
    assert len(due(HOURLY, History(), since=NOW - timedelta(minutes=5))) == 1
    assert due(HOURLY, marked(HOURLY, LONG_AGO), since=NOW) == []


def test_a_line_has_one_name_however_it_is_spelled() -> None:
    text = "on: {schedule: [{cron: '@daily'}]}\n"
    decision = one(due(text, History(), NOW, NOW - timedelta(hours=13)))
    assert decision.key.startswith("schedule:0 0 * * *@UTC:")
    assert marked(text, NOW).decided_until == {"it 0 0 * * *@UTC": NOW}


def test_without_a_window_six_hours_count() -> None:
    text = "on: {schedule: [{cron: '0 6 * * *'}]}\n"
    since = marked(text, NOW - timedelta(days=1))
    assert cause(due(text, since, NOW)) == (Verdict.STARTED, None)
    assert cause(due(text, since, NOW + timedelta(minutes=1))) == (Verdict.MISSED, Cause.WINDOW)


def test_two_lines_at_one_instant_overlap() -> None:
    text = "on: {schedule: [{cron: '0 12 * * *'}, {cron: '0 * * * *'}]}\n"
    decisions = due(text, History(), since=NOW - timedelta(minutes=5))
    assert [each.cause for each in decisions] == [None, Cause.OVERLAP]


def test_a_year_without_a_look_is_told_in_bounded_many_words() -> None:
    decisions = due("on: {schedule: [{cron: '*/5 * * * *'}]}\n", History(), since=NOW - timedelta(days=365))
    assert len(decisions) == MAX_SLOTS + 1
    assert f"{365 * 288 - MAX_SLOTS:,} slots from " in decisions[0].message
    assert decisions[-1].verdict is Verdict.STARTED


def test_a_run_that_could_not_start_says_why() -> None:
    decision = one(decide_event(skills(it="on: {release: {}}\n"), released(), ADA, History(), NOW))
    error = RunnerError(Phase.PLAN, Reason.SECRET_MISSING, "X is not set", hint="export X=...")
    failed = failed_to_start(decision, error)
    assert (failed.verdict, failed.cause, failed.expires) == (Verdict.FAILED_TO_START, Cause.INVALID, None)
    assert failed.message == "X is not set; export X=..."


@pytest.mark.parametrize(
    ("purse", "words"),
    [
        (Budget(daily=10, spent=9.99), ""),
        (Budget(daily=10, spent=12.345), "$12.35 are spent, and all skills may spend $10.00"),
        (
            Budget(skill_daily=2, spent=9, spent_by_skill={"docs": 2.0}),
            "docs has spent $2.00, and a skill may spend $2.00",
        ),
        (Budget(skill_daily=2, spent=9, spent_by_skill={"other": 9.0}), ""),
        (Budget(spent=1_000.0), ""),
    ],
)
def test_what_is_due_is_held_when_the_days_money_is_spent(purse: Budget, words: str) -> None:
    found = skills(docs="on: {release: {}}\n")
    decision = one(decide_event(found, released(), ADA, History(budget=purse), NOW))
    assert (decision.verdict is Verdict.STARTED) == (not words)
    assert decision.cause is (Cause.BUDGET if words else None)
    assert words in decision.message
    assert (decision.verdict is Verdict.HELD) == bool(words)


def test_a_budget_holds_slots_too_and_says_so_once() -> None:
    found = skills(docs="on: {schedule: [{cron: '0 12 * * *'}]}\n")
    history = History(budget=Budget(daily=1, spent=2))
    decision = one(decide_slots(found, {"docs": NOW - timedelta(hours=1)}, history, NOW))
    assert (decision.verdict, decision.cause, decision.due) == (Verdict.HELD, Cause.BUDGET, NOW)


CREATED = {"action": "created", "issue": {"number": 7}, "comment": {"body": "More, please."}}
COMMENTED = Event(kind="issue_comment", key="issue_comment:2", at=NOW, payload=CREATED, subject="7")


@pytest.mark.parametrize(
    ("said", "latest", "continues"),
    [
        ("continue: true\n", {"docs 7": "261121-aaaaaaaa", "docs 8": "261121-bbbbbbbb"}, "261121-aaaaaaaa"),
        ("continue: true\n", {"docs 8": "261121-bbbbbbbb", "other 7": "261121-cccccccc"}, ""),
        ("continue: false\n", {"docs 7": "261121-aaaaaaaa"}, ""),
        ("", {"docs 7": "261121-aaaaaaaa"}, ""),
    ],
)
def test_a_new_event_on_the_same_subject_goes_on_from_the_last_run(
    said: str, latest: Mapping[str, str], continues: str
) -> None:
    found = skills(docs="on: {issue_comment: {}}\n" + said)
    decision = one(decide_event(found, COMMENTED, ADA, History(latest_runs=latest), NOW))
    assert (decision.verdict, decision.continues) == (Verdict.STARTED, continues)
    assert (f"goes on from run {continues}" in decision.message) is bool(continues)


def test_what_has_no_subject_goes_on_from_nothing() -> None:
    found = skills(docs="on: {push: {}}\ncontinue: true\n")
    event = Event(kind="push", key="push:1", at=NOW)
    assert one(decide_event(found, event, ADA, History(latest_runs={"docs ": "x"}), NOW)).continues == ""
