"""What is queued for a decision."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from runner.apps.worker.run_job import work_item
from runner.core.model.decision import History
from runner.scheduler.decide import decide_slots
from runner.skills import load
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


def repository(on: str, name: str = "acme/web", more: str = "") -> Any:
    files = {path: text.encode() for path, text in skill_files("s", f"on: {on}\n{REST}{more}").items()}
    return SimpleNamespace(name=name, skills=load(files).skills, base=SimpleNamespace(sha="c" * 40))


def begins(on: str, name: str = "acme/web") -> datetime | None:
    place = repository(on, name)
    (decision,) = decide_slots(place.skills, {"s": NOW - timedelta(minutes=30)}, History(), NOW)
    return work_item(place, None, decision).not_before


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
    place = repository("{schedule: [{cron: '0 12 * * *'}]}", more=f"priority: {stated}\n")
    (decision,) = decide_slots(place.skills, {"s": NOW - timedelta(minutes=30)}, History(), NOW)
    assert work_item(place, None, decision).priority == number
    assert work_item(place, None, replace(decision, trigger="manual")).priority == number - 1
