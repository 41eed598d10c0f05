"""Which slots of the past had no run."""

from datetime import UTC, datetime, timedelta

from runner.core.model.decision import Cause, Decision, Verdict
from runner.scheduler.backfill import PREFIX, slots_between, slots_with_runs
from runner.scheduler.decide import schedule_line
from runner.skills import Skill, load
from tests.parts.cli import skill_files
from tests.parts.racer import decision

START = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


def skill(schedule: str) -> Skill:
    files = skill_files("docs", f"on: {{schedule: [{schedule}]}}\n{REST}")
    return load({path: text.encode() for path, text in files.items()}).skills["docs"]


def test_the_span_holds_its_beginning_and_not_its_end() -> None:
    hourly = skill("{cron: '0 * * * *'}")
    assert [one.due for one in slots_between(hourly, START, START + 2 * HOUR, 9)] == [START, START + HOUR]
    assert slots_between(hourly, START + HOUR / 2, START + HOUR, 9) == []
    assert len(slots_between(hourly, START, START + 1000 * HOUR, 9)) == 9


def test_the_slots_of_all_lines_come_in_order() -> None:
    both = skill("{cron: '30 * * * *'}, {cron: '0 */2 * * *'}")
    hours = [(one.due - START) / HOUR for one in slots_between(both, START, START + 3 * HOUR, 9)]
    assert hours == [0, 0.5, 1.5, 2, 2.5]


def test_what_had_a_run_is_left_alone_and_what_is_not_decided_is_left_to_a_worker() -> None:
    hourly = skill("{cron: '0 * * * *'}")
    some = slots_between(hourly, START, START + 6 * HOUR, 9)
    made = [
        decision(some[0].key, "run-0"),
        decision(some[1].key, verdict=Verdict.MISSED, cause=Cause.WINDOW),
        decision(some[2].key, cause=Cause.OVERLAP),
        decision(f"{PREFIX}{some[2].key}", "run-2"),
        decision(some[3].key, verdict=Verdict.HELD, cause=Cause.PAUSED),
    ]
    decided: dict[str, Decision] = {one.name: one for one in made}
    since = {schedule_line(hourly, some[0].schedule): some[4].due}
    found = list(slots_with_runs(hourly, some, START - HOUR, since, decided.get))
    assert [one.earlier_run for one in found] == ["run-0", "", "run-2", "", "", ""]
    assert [one.is_missing for one in found] == [False, True, False, True, True, False]
    assert [one.is_open for one in found] == [False] * 5 + [True]
    assert found[1].key == f"backfill:{some[1].key}"


def test_before_a_skill_came_nobody_ever_decides() -> None:
    hourly = skill("{cron: '0 * * * *'}")
    some = slots_between(hourly, START, START + 3 * HOUR, 9)
    found = list(slots_with_runs(hourly, some, START + HOUR, {}, lambda _: None))
    assert [one.is_missing for one in found] == [True, True, False]
