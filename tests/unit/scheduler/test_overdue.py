"""What is wrong: slots that nobody decided, and repositories that nobody can read."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.scheduler.overdue import (
    AlertKind,
    UndecidedSlot,
    UnreadableRepository,
    first_due,
    overdue_alerts,
    unreadable_alerts,
)
from runner.skills import Skill, load
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
GRACE = timedelta(minutes=15)
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


def skill(on: str) -> Skill:
    files = {path: text.encode() for path, text in skill_files("s", f"on: {on}\n{REST}").items()}
    return load(files).skills["s"]


def test_the_first_slot_to_come_is_that_of_any_line() -> None:
    lines = "{schedule: [{cron: '0 9 * * *'}, {cron: '30 13 * * *', timezone: Europe/Berlin}]}"
    assert first_due(skill(lines), NOW) == datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
    assert first_due(skill(lines), NOW + timedelta(hours=1)) == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert first_due(skill("{manual: {}}"), NOW) is None


@pytest.mark.parametrize(("late", "told"), [(14, ""), (15, ""), (16, "16 min"), (600, "10 h")])
def test_a_slot_is_overdue_when_its_grace_is_over(late: int, told: str) -> None:
    one = UndecidedSlot(repository="o/r", skill="s", due=NOW - timedelta(minutes=late))
    found = list(overdue_alerts([one], NOW, GRACE))
    assert bool(found) == bool(told)
    for trouble in found:
        assert trouble.name == ("overdue", "o/r", "s", "")
        assert trouble.since == one.due
        assert trouble.message.startswith("o/r s: the slot of 2026-11-21 ")
        assert trouble.message.endswith(f" UTC has no decision after {told}")


def test_a_repository_that_cannot_be_read_is_told_when_its_grace_is_over() -> None:
    some = [
        UnreadableRepository(repository=f"o/{age}", read_at=NOW - age * GRACE, fault="gone") for age in (1, 2)
    ]
    (found,) = unreadable_alerts(some, NOW, GRACE)
    assert (found.kind, found.repository, found.skill) == (AlertKind.UNREADABLE, "o/2", "")
    assert found.message == "o/2 could not be read for 30 min: gone"
