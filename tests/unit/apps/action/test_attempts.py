"""Workflows that are run again, and those whose token may only read, as forks' and Dependabot's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.apps.action.attempts import decide_again, host_of, without_attempts
from runner.apps.action.event import first_key, read_event
from runner.apps.action.job_input import INPUTS, JobInput
from runner.apps.action.main import _asked_only
from runner.apps.action.read_only import gets_read_only_token, without_publishing
from runner.core.errors import RunnerError
from runner.core.model.decision import Actor, Cause, Decision, Facts, History, Verdict
from runner.scheduler.decide import decide_event, decide_slots
from runner.skills import Skill, load
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
FACTS = Facts(actor=Actor(login="ada", bot=False, permission="write"))
ON = "on: {release: {}, schedule: [{cron: '0 * * * *'}]}\nharness: {kind: command, command: [x]}\n"
RELEASE = {"action": "published", "release": {"id": 12, "tag_name": "v1"}}


def skills(output: str = "none: {}", *names: str) -> Mapping[str, Skill]:
    files: dict[str, bytes] = {}
    for name in names or ("docs",):
        made = skill_files(name, f"{ON}output: {{{output}}}\n")
        files |= {path: text.encode() for path, text in made.items()}
    loaded = load(files)
    assert loaded.faults == ()
    return loaded.skills


def job(attempt: int = 1, event: str = "release", key: str = "", **changes: Any) -> JobInput:
    made = JobInput(
        event=event,
        payload=RELEASE,
        repository="acme/lib",
        server_url="",
        api_url="",
        workspace=Path(),
        temp=Path(),
        run_id="77",
        actor="ada",
        attempt=attempt,
        workflow="",
        workflow_sha="",
        action_repository="",
        outputs=None,
        summary=None,
        guarded=(),
        inputs={**dict.fromkeys(INPUTS, ""), "key": key},
    )
    return replace(made, **changes)


def started(decisions: Sequence[Decision], by: JobInput) -> History:
    made = [replace(one, run_id=one.skill, host=host_of(by)) for one in decisions]
    active = {one.subject_name: one for one in made if one.verdict is Verdict.STARTED}
    return History(decisions={one.name: one for one in made}, active=active)


def decided(by: JobInput, history: History) -> list[Decision]:
    event = read_event(by, NOW)
    assert event is not None

    def decide(known: History) -> list[Decision]:
        return decide_event(skills(), event, FACTS, without_attempts(by, known), NOW)

    return list(_asked_only(by, decide)(history))


@pytest.mark.parametrize(
    ("attempt", "asked", "found"),
    [
        (1, "release:12:published", "release:12:published"),
        (2, "release:12:published", "release:12:published#2"),  # the failed jobs alone
        (2, "release:12:published#2", "release:12:published#2"),  # all jobs
        (3, "release:12:published#2", "release:12:published#3"),  # all jobs, and then what failed of them
    ],
)
def test_a_job_that_is_run_again_runs_what_its_plan_gave_it(attempt: int, asked: str, found: str) -> None:
    first = job()
    history = started(decided(first, History()), first) if attempt > 1 else History()
    (decision,) = decided(job(attempt, key=asked), history)
    assert (decision.key, decision.verdict) == (found, Verdict.STARTED)


@pytest.mark.parametrize("asked", ["release:13:published", "release:12:published#2", "#2", "x#y"])
def test_a_key_that_finds_no_decision_is_a_failure(asked: str) -> None:
    with pytest.raises(RunnerError) as caught:
        decided(job(key=asked), History())
    assert "nothing has the key" in caught.value.message
    assert "run all jobs" in caught.value.hint


def test_a_dispatch_that_is_run_again_runs_its_skill_again() -> None:
    asked = {"inputs": {"skill": "docs"}}
    first = job(event="workflow_dispatch", payload=asked)
    history = started(decided(first, History()), first)
    (decision,) = decided(job(2, "workflow_dispatch", "manual:77", payload=asked), history)
    assert (decision.key, decision.verdict) == ("manual:77#2", Verdict.STARTED)


def test_a_schedule_that_is_run_again_runs_its_own_slots_and_no_others() -> None:
    found = skills("none: {}", "docs", "other")
    since = dict.fromkeys(found, NOW - timedelta(minutes=30))
    first, foreign = job(event="schedule"), job(event="schedule", run_id="78")
    mine = decide_slots({"docs": found["docs"]}, since, History(), NOW)
    theirs = decide_slots({"other": found["other"]}, since, History(), NOW)
    history = started(mine, first)
    others = started(theirs, foreign)
    both = replace(history, decisions={**history.decisions, **others.decisions})
    again = job(2, "schedule")
    (decision,) = decide_again(again, found, both, NOW)
    assert (decision.skill, decision.verdict) == ("docs", Verdict.STARTED)
    assert decision.key == f"{mine[0].key}#2"
    assert decide_again(first, found, both, NOW) == []
    third = started([*mine, decision], first)
    assert [one.key for one in decide_again(job(3, "schedule"), found, third, NOW)] == [f"{mine[0].key}#3"]


def test_another_workflows_run_is_an_overlap_still() -> None:
    history = started(decided(job(), History()), job(run_id="78"))
    active = {"docs release:v1": replace(next(iter(history.decisions.values())), key="release:11:published")}
    (decision,) = decided(job(2), History(active=active))
    assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.OVERLAP)


def test_a_number_that_is_no_attempt_is_part_of_the_key() -> None:
    assert first_key(job(2), "push:v#7") == "push:v#7"
    assert first_key(job(7), "push:v#1") == "push:v#1"
    assert first_key(job(2), "push:v#2") == "push:v"


# --- tokens that may only read ----------------------------------------------------------------------


def pull(full_name: str | None) -> dict[str, Any]:
    repo = {"full_name": full_name} if full_name else None
    return {"action": "opened", "pull_request": {"head": {"repo": repo}}}


@pytest.mark.parametrize(
    ("changes", "only_reads"),
    [
        ({"payload": pull("mallory/lib")}, True),
        ({"payload": pull(None)}, True),  # the fork is gone
        ({"payload": pull("Acme/Lib")}, False),
        ({"actor": "dependabot[bot]"}, True),
        ({"payload": {"sender": {"login": "dependabot[bot]"}}}, True),
        ({}, False),
    ],
)
def test_who_gets_a_token_that_may_only_read(changes: dict[str, Any], only_reads: bool) -> None:
    assert gets_read_only_token(job(**changes)) is only_reads


def test_with_such_a_token_only_what_publishes_nothing_is_started() -> None:
    found = {**skills("none: {}", "review"), **skills("pull_request: {title: t}", "docs")}
    event = read_event(job(), NOW)
    assert event is not None
    made = without_publishing(lambda known: decide_event(found, event, FACTS, known, NOW), found)(History())
    assert {one.skill: (one.verdict, one.cause) for one in made} == {
        "review": (Verdict.STARTED, None),
        "docs": (Verdict.SKIPPED, Cause.ACTOR),
    }
    assert json.dumps([one.message for one in made]).count("may only read") == 1
