"""The timetable reports every slot, once, whatever is put and removed and whatever the clock does."""

from collections import Counter
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runner.scheduler import timetable
from runner.scheduler.timetable import MAX_SLOTS_PER_LINE, Timetable
from runner.triggers.schedule import Schedule
from runner.triggers.slots import Slot, slots
from tests.parts.patience import examples

START = datetime(2026, 3, 28, 22, 0, 30, tzinfo=UTC)  # a night before clocks go forward in Berlin
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
EVERY_MINUTE = Schedule(cron="* * * * *")
HOURLY = Schedule(cron="@hourly")
NIGHTLY = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")


def drained(table: Timetable, now: datetime) -> list[tuple[Hashable, Slot]]:
    """What all the calls give that the promise speaks of."""
    found = []
    while (first := table.next_at()) is not None and first <= now:
        found += table.due(now)
    return found


def test_an_empty_timetable_is_never_due() -> None:
    table = Timetable()
    assert table.next_at() is None
    assert table.due(START) == []
    table.remove("nobody")
    table.put("no lines", [], START)
    assert table.next_at() is None


def test_a_slot_is_reported_once_and_when_it_is_due() -> None:
    table = Timetable()
    table.put("docs", [NIGHTLY, HOURLY], START)
    assert table.next_at() == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert table.due(START + 59 * MINUTE) == []
    found = table.due(START + 3 * HOUR)
    assert [slot.due.hour for _, slot in found] == [23, 0, 1, 1]
    assert {slot.schedule for _, slot in found} == {NIGHTLY, HOURLY}
    assert {owner for owner, _ in found} == {"docs"}
    assert table.due(START + 3 * HOUR) == []


def test_putting_anew_what_is_due_already_loses_nothing() -> None:
    table = Timetable()
    table.put("docs", [HOURLY], START)
    late = START + HOUR + MINUTE
    table.put("docs", [NIGHTLY, Schedule(cron="0 * * * *")], late)
    assert [slot.due for _, slot in table.due(late)] == [datetime(2026, 3, 28, 23, tzinfo=UTC)]


def test_a_new_line_begins_when_it_is_put_and_a_removed_one_ends() -> None:
    table = Timetable()
    table.put("docs", [HOURLY], START)
    table.put("docs", [NIGHTLY], START + HOUR)
    table.put("flags", [HOURLY], START + HOUR)
    table.remove("flags")
    assert [slot.schedule for _, slot in table.due(START + 5 * HOUR)] == [NIGHTLY]


def test_after_a_suspension_every_slot_comes_in_bounded_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timetable, "MAX_SLOTS", 2 * MAX_SLOTS_PER_LINE)
    table, later = Timetable(), START + 20 * HOUR
    owners = range(5)
    for owner in owners:
        table.put(owner, [EVERY_MINUTE], START)
    first = table.due(later)
    assert Counter(owner for owner, _ in first) == {0: MAX_SLOTS_PER_LINE, 1: MAX_SLOTS_PER_LINE}
    assert [slot.due for _, slot in first] == sorted(slot.due for _, slot in first)
    rest = drained(table, later)
    assert {owner for owner, _ in table.due(later + MINUTE)} == set(owners)
    for owner in owners:
        mine = [slot for whose, slot in first + rest if whose == owner]
        assert mine == list(slots(EVERY_MINUTE, START, later))


def test_a_step_back_repeats_nothing_and_skips_nothing() -> None:
    table = Timetable()
    table.put("docs", [HOURLY], START)
    ahead = table.due(START + 3 * HOUR)
    assert table.due(START) == []
    assert table.due(START + 3 * HOUR) == []
    after = table.due(START + 5 * HOUR)
    assert [slot for _, slot in ahead + after] == list(slots(HOURLY, START, START + 5 * HOUR))


def test_a_process_that_starts_again_gives_equal_keys() -> None:
    first, again = Timetable(), Timetable()
    first.put("docs", [HOURLY, NIGHTLY], START)
    before = first.due(START + 5 * HOUR)
    again.put("docs", [HOURLY, NIGHTLY], START)
    assert again.due(START + 5 * HOUR) == before


def test_what_was_removed_takes_no_room() -> None:
    table = Timetable()
    for number in range(2_000):
        table.put(number % 10, [Schedule(cron=f"{number % 60} * * * *")], START)
    assert len(table._heap) <= 20


schedules = st.builds(
    Schedule,
    cron=st.sampled_from(
        ["* * * * *", "*/7 * * * *", "@hourly", "30 2 * * *", "0 0 1 * *", "15 */5 * * 1-5"]
    ),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
)
owners = st.sampled_from(["docs", "flags", 3, ("a", "tuple")])


class AgainstANaiveScan(RuleBasedStateMachine):
    """The model keeps a list of lines, and looks at all of them each time."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.now = Timetable(), START
        self.lines: dict[Hashable, list[tuple[Schedule, datetime]]] = {}

    @rule(owner=owners, lines=st.lists(schedules, max_size=3))
    def put(self, owner: Hashable, lines: list[Schedule]) -> None:
        known = dict(self.lines.get(owner, ()))
        self.lines[owner] = [(line, known.get(line, self.now)) for line in lines]
        self.table.put(owner, lines, self.now)

    @rule(owner=owners)
    def remove(self, owner: Hashable) -> None:
        self.lines.pop(owner, None)
        self.table.remove(owner)

    @rule(seconds=st.one_of(st.integers(0, 200), st.integers(0, 30 * 3600), st.integers(-30 * 3600, 0)))
    def the_clock_moves(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def ask(self) -> None:
        expected: Counter[tuple[Hashable, str]] = Counter()
        for owner, lines in self.lines.items():
            for number, (schedule, reached) in enumerate(lines):
                due = list(slots(schedule, reached, self.now))[:MAX_SLOTS_PER_LINE]
                expected.update((owner, slot.key) for slot in due)
                lines[number] = (schedule, due[-1].due if due else reached)
        found = self.table.due(self.now)
        assert Counter((owner, slot.key) for owner, slot in found) == expected
        assert [slot.due for _, slot in found] == sorted(slot.due for _, slot in found)

    @invariant()
    def the_next_is_the_earliest(self) -> None:
        coming = [
            next(slots(schedule, reached, datetime.max.replace(tzinfo=UTC))).due
            for lines in self.lines.values()
            for schedule, reached in lines
        ]
        assert self.table.next_at() == min(coming, default=None)


TestAgainstANaiveScan = AgainstANaiveScan.TestCase
TestAgainstANaiveScan.settings = settings(max_examples=examples(60), stateful_step_count=30)
