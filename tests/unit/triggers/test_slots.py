"""Slots against an independent implementation, and against what a zone's clock shows minute by minute.

cronsim means what Debian's cron means. That differs from ours where clocks change: a `*` at the start of the
minute field is enough for real time there, so that `*/15 2 * * *` comes in both passes of an hour; several
slots of one gap fire each, all at its end; an hour field counts as a star only where it begins with one. So
cronsim is asked about all days but those of a change; on those the clock is read minute by minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.triggers.cron import check_cron
from runner.triggers.schedule import Schedule
from runner.triggers.slots import Slot, jittered_start, next_due, slots
from tests.parts.patience import examples

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEAR = 26 * HOUR


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def due(cron: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    return [slot.due for slot in slots(Schedule(cron=cron, timezone=zone), after, until)]


def shown(cron: str, zone: str, after: str, until: str) -> list[str]:
    """The due instants as the zone's clock shows them."""
    found = due(cron, zone, instant(after), instant(until))
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for moment in found]


# --- the oracle: a clock, read minute by minute ----------------------------------------------------


@dataclass(frozen=True)
class Reading:
    at: datetime
    wall: datetime
    again: bool  # the clock has shown this wall time before
    jumped: tuple[datetime, ...]  # wall times between the reading before and this one


def readings(zone: str, after: datetime, until: datetime) -> Iterator[Reading]:
    """Each whole minute of (after, until]."""
    at, info = after.replace(second=0, microsecond=0), ZoneInfo(zone)
    before = at.astimezone(info).replace(tzinfo=None)
    while (at := at + MINUTE) <= until:
        local = at.astimezone(info)
        wall = local.replace(tzinfo=None, fold=0)
        jumped = tuple(before + number * MINUTE for number in range(1, (wall - before) // MINUTE))
        yield Reading(at, wall, bool(local.fold), jumped)
        before = wall


@dataclass(frozen=True)
class Named:
    """The wall times that an expression names, its fields as cronsim reads them."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 1 to 7
    both: bool

    def __contains__(self, wall: datetime) -> bool:
        return (  # the cheapest first: nearly every minute ends here
            wall.minute in self.minutes
            and wall.hour in self.hours
            and wall.month in self.months
            and self._names_day(wall)
        )

    def _names_day(self, wall: datetime) -> bool:
        day, weekday = wall.day in self.days, wall.isoweekday() in self.weekdays
        restricted = len(self.days) < 31 and len(self.weekdays) < 7
        return day or weekday if restricted and not self.both else day and weekday


@cache
def named(cron: str) -> Named:
    asked = CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
    weekdays = frozenset(day % 7 or 7 for day in asked.weekdays)
    fields = (frozenset(found) for found in (asked.minutes, asked.hours, asked.days, asked.months))
    return Named(*fields, weekdays, asked.day_and)


def read_off(cron: str, clock: list[Reading]) -> list[datetime]:
    wanted = named(cron)
    if "*" in cron.split()[1]:
        return [reading.at for reading in clock if reading.wall in wanted]
    return [
        reading.at
        for reading in clock
        if (reading.wall in wanted and not reading.again)
        or (reading.jumped and any(wall in wanted for wall in reading.jumped))
    ]


@cache
def changes(zone: str, first: int, last: int) -> list[datetime]:
    """The first whole hours after which the zone's offset is another one."""
    info, at, found = ZoneInfo(zone), datetime(first, 1, 1, tzinfo=UTC), []
    while at.year < last:
        if at.astimezone(info).utcoffset() != (at + DAY).astimezone(info).utcoffset():
            found.append(at)
        at += DAY
    return found


# --- what happens on the days of a change, by example ------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "spring", "autumn"),
    [
        ("30 2 * * *", ["29 03:00+0200"], ["25 02:30+0200"]),
        ("0,30 2 * * *", ["29 03:00+0200"], ["25 02:00+0200", "25 02:30+0200"]),
        (
            "0,30 2,3 * * *",
            ["29 03:00+0200", "29 03:30+0200"],
            ["25 02:00+0200", "25 02:30+0200", "25 03:00+0100", "25 03:30+0100"],
        ),
        ("59 1 * * *", ["29 01:59+0100"], ["25 01:59+0200"]),
        (
            "30 * * * *",
            ["29 00:30+0100", "29 01:30+0100", "29 03:30+0200"],
            ["25 00:30+0200", "25 01:30+0200", "25 02:30+0200", "25 02:30+0100", "25 03:30+0100"],
        ),
        (
            "0 */2 * * *",
            ["29 00:00+0100"],
            ["25 00:00+0200", "25 02:00+0200", "25 02:00+0100"],
        ),
        ("30 0-3/2 29,25 3,10 *", ["29 00:30+0100", "29 03:00+0200"], ["25 00:30+0200", "25 02:30+0200"]),
    ],
)
def test_berlin(cron: str, spring: list[str], autumn: list[str]) -> None:
    assert shown(cron, "Europe/Berlin", "2026-03-28T23:59+01:00", "2026-03-29T03:59+02:00") == spring
    assert shown(cron, "Europe/Berlin", "2026-10-24T23:59+02:00", "2026-10-25T03:59+01:00") == autumn


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("* * 1", [2, 9, 16, 23]),
        ("1-31 * 1", [2, 9, 16, 23]),
        ("*/1 * 1", [2, 9, 16, 23]),
        ("2 * 0-6", [2]),
        ("*/14 * 0-6", [1, 15]),
        ("*/14 * 1", []),
        ("*/8 * 1", [9]),
        ("31 2 1", [2, 9, 16, 23]),
        ("* * 4/3", [1, 5, 8, 12, 15, 19, 22, 26]),
    ],
)
def test_either_day_field_makes_a_day_due_where_both_leave_days_out(days: str, expected: list[int]) -> None:
    found = due(f"0 12 {days}", "UTC", instant("2026-02-01T00:00Z"), instant("2026-03-01T00:00Z"))
    assert [moment.day for moment in found] == expected


@pytest.mark.parametrize(
    ("zone", "cron", "after", "until", "expected"),
    [
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00Z", "2026-10-04T12:00Z", ["04 02:30+1100"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00Z", "2026-04-05T12:00Z", ["05 01:45+1100"]),
        (
            "Pacific/Apia",
            "0 9 * * *",
            "2011-12-29T12:00Z",
            "2011-12-31T12:00Z",
            ["29 09:00-1000", "31 00:00+1400", "31 09:00+1400"],
        ),
        ("Pacific/Apia", "0 9 30 12 *", "2011-01-01T00:00Z", "2012-01-01T00:00Z", ["31 00:00+1400"]),
        ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00Z", "2018-11-04T12:00Z", ["04 01:00-0200"]),
        ("America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00Z", "2018-02-18T12:00Z", ["17 23:30-0200"]),
        ("Asia/Dhaka", "30 23 * * *", "2009-12-31T12:00Z", "2010-01-01T12:00Z", ["31 23:30+0700"]),
        ("Asia/Dhaka", "30 23 * * *", "2009-12-31T17:00Z", "2010-01-01T12:00Z", []),
        ("Asia/Kathmandu", "0 0 1 1 *", "2025-12-31T00:00Z", "2026-01-01T00:00Z", ["01 00:00+0545"]),
        ("UTC", "0 0 31 * *", "2026-01-31T00:00Z", "2026-06-01T00:00Z", ["31 00:00+0000"] * 2),
        ("UTC", "0 0 29 2 *", "2095-01-01T00:00Z", "2105-01-01T00:00Z", ["29 00:00+0000"] * 2),
        (
            "UTC",
            "0 0 13 * 5",
            "2026-02-06T00:00Z",
            "2026-03-01T00:00Z",
            [f"{day} 00:00+0000" for day in (13, 20, 27)],
        ),
    ],
)
def test_elsewhere(zone: str, cron: str, after: str, until: str, expected: list[str]) -> None:
    assert shown(cron, zone, after, until) == expected


# --- ten years against cronsim -----------------------------------------------------------------------

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Casablanca",
]
# What the clock of a zone showed is read once, by the worker that has the zone's tests.
BY_ZONE = [pytest.param(zone, marks=pytest.mark.xdist_group(f"slots in {zone}")) for zone in ZONES]
SPARSE = [
    "30 2 * * *",
    "0 0 * * *",
    "15,45 1-3 * * 0,6",
    "59 23 31 * *",
    "0 12 29 2 *",
    "30 2 13 * 5",
    "0 6 */5 * 1",
    "0 6 13 * */2",
    "17 */5 1,15 * *",
]
DENSE = ["* * * * *", "*/20 * * * *", "*/10 0-4 * * *", "7 */2 * * *", "* 2 * * 0"]


@pytest.mark.parametrize("cron", SPARSE)
@pytest.mark.parametrize("zone", BY_ZONE)
def test_ten_years_as_cronsim_has_them(zone: str, cron: str) -> None:
    first, last = datetime(2010, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
    found = due(cron, zone, first, last)
    peer = []
    for moment in CronSim(cron, first.astimezone(ZoneInfo(zone))):
        if moment > last:
            break
        peer.append(moment.astimezone(UTC))
    near = changes(zone, 2010, 2020)

    def quiet(moments: list[datetime]) -> list[datetime]:
        """Those that are not near a change."""
        kept, low = [], 0
        for moment in moments:
            while low < len(near) and moment >= near[low] + DAY + NEAR:
                low += 1
            if low == len(near) or moment <= near[low] - NEAR:
                kept.append(moment)
        return kept

    assert quiet(found) == quiet(peer)
    assert len(quiet(found)) > 0
    for at in near:
        clock = around(zone, at)
        assert [moment for moment in found if clock[0].at <= moment <= clock[-1].at] == read_off(cron, clock)


@cache
def around(zone: str, at: datetime) -> list[Reading]:
    return list(readings(zone, at - NEAR, at + DAY + NEAR))


@pytest.mark.parametrize("cron", DENSE)
@pytest.mark.parametrize("zone", BY_ZONE)
def test_dense_ones_as_the_clock_shows_them(zone: str, cron: str) -> None:
    for at in changes(zone, 2010, 2020)[:12] or [datetime(2011, 12, 31, tzinfo=UTC)]:
        clock = around(zone, at)
        assert due(cron, zone, clock[0].at - MINUTE, clock[-1].at) == read_off(cron, clock)


# --- any expression, any zone, any window ------------------------------------------------------------

RANDOM_ZONES = [*ZONES[1:], "America/St_Johns", "Asia/Dhaka", "Antarctica/Troll", "Asia/Kathmandu"]


def field(low: int, high: int, stars: int = 1) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    part = st.one_of(
        *[st.just("*")] * stars,
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
        st.tuples(number, st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    )
    return st.lists(part, min_size=1, max_size=2).map(",".join)


def comes(text: str) -> bool:
    try:
        check_cron(text)
    except ValueError:
        return False
    return True


expressions = (
    st.tuples(field(0, 59), field(0, 23), field(1, 31, 6), field(1, 12, 9), field(0, 6, 6))
    .map(" ".join)
    .filter(comes)
)


Window = tuple[str, datetime, datetime, datetime]


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """A zone, and three instants in order, near a change of the zone's clock or the end of a year."""
    zone = draw(st.sampled_from(RANDOM_ZONES))
    year = datetime(draw(st.sampled_from([2007, 2010, 2012, 2026])), 1, 1, tzinfo=UTC)
    anchor = draw(st.sampled_from([year, *changes(zone, 2005, 2013), *changes(zone, 2026, 2027)]))
    seconds = st.integers(-36 * 3600, 60 * 3600)
    offsets = sorted(draw(st.tuples(seconds, seconds, seconds)))
    after, middle, until = (anchor + timedelta(seconds=offset) for offset in offsets)
    return zone, after, middle, until


@given(expressions, windows())
@settings(max_examples=examples(150))
def test_any_window_as_the_clock_shows_it(cron: str, window: Window) -> None:
    zone, after, middle, until = window
    schedule = Schedule(cron=cron, timezone=zone)
    whole = list(slots(schedule, after, until))
    assert [slot.due for slot in whole] == read_off(cron, list(readings(zone, after, until)))
    assert whole == [*slots(schedule, after, middle), *slots(schedule, middle, until)]
    assert len({slot.key for slot in whole}) == len(whole)
    assert all(one.due < two.due for one, two in pairwise(whole))


@given(expressions, windows())
def test_after_a_step_back_the_keys_are_the_same(cron: str, window: Window) -> None:
    zone, after, stepped, until = window
    schedule = Schedule(cron=cron, timezone=zone)
    before = {slot.key: slot.due for slot in slots(schedule, after, until)}
    again = {slot.key: slot.due for slot in slots(schedule, stepped, until + HOUR)}
    assert {key: at for key, at in before.items() if at > stepped}.items() <= again.items()
    assert {key for key, at in again.items() if at <= until} <= before.keys()


@given(expressions, windows())
def test_the_next_due_is_the_first_slot(cron: str, window: Window) -> None:
    zone, after, _, _ = window
    schedule = Schedule(cron=cron, timezone=zone)
    first = next_due(schedule, after)
    assert first.tzinfo is UTC
    assert [slot.due for slot in slots(schedule, after, first)] == [first]


# --- keys and jitter ---------------------------------------------------------------------------------


def only(cron: str, zone: str, after: str, until: str, jitter: str | None = None) -> Slot:
    asked = {"cron": cron, "timezone": zone} | ({"jitter": jitter} if jitter else {})
    (slot,) = slots(Schedule.model_validate(asked), instant(after), instant(until))
    return slot


def test_the_key_of_hours_by_name_is_wall_time_of_others_the_instant() -> None:
    day = ("2026-06-01T00:00Z", "2026-06-01T08:00Z")
    assert (
        only("0 9 * * MON", "Europe/Berlin", *day).key
        == "schedule:0 9 * * mon@Europe/Berlin:2026-06-01T09:00"
    )
    assert only("@daily", "UTC", "2026-06-01T12:00Z", "2026-06-02T08:00Z").key.startswith(
        "schedule:0 0 * * *@UTC:"
    )
    hourly = only("0  *  * * *", "Asia/Kolkata", "2026-06-01T00:00Z", "2026-06-01T01:00Z")
    assert hourly.key == "schedule:0 * * * *@Asia/Kolkata:2026-06-01T00:30Z"
    assert hourly.due == instant("2026-06-01T00:30Z")
    assert hourly.due.tzinfo is UTC


def test_a_gap_has_the_key_of_the_wall_time_after_it() -> None:
    slot = only("15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T12:00Z")
    assert slot.key.endswith(":2026-03-29T03:00")


def test_jitter_is_below_its_bound_and_the_same_for_a_slot() -> None:
    days = [f"2026-06-{day:02}" for day in range(1, 29)]
    found = [only("0 9 * * *", "UTC", f"{day}T00:00Z", f"{day}T23:00Z", "5m") for day in days]
    offsets = [jittered_start(slot) - slot.due for slot in found]
    assert all(timedelta() <= offset < timedelta(minutes=5) for offset in offsets)
    assert len(set(offsets)) == len(offsets)
    assert offsets[0] == timedelta(seconds=282, microseconds=542820)  # every machine has to agree
    assert jittered_start(found[0], "one") != jittered_start(found[0], "two")
    plain = only("0 9 * * *", "UTC", "2026-06-01T00:00Z", "2026-06-02T00:00Z")
    assert jittered_start(plain) == plain.due


def test_a_window_that_ends_before_it_begins_is_empty() -> None:
    assert due("* * * * *", "UTC", instant("2026-06-02T00:00Z"), instant("2026-06-01T00:00Z")) == []


@pytest.mark.parametrize("cron", ["30 2 * * *", "*/20 * * * *"])
def test_the_window_may_be_told_in_any_zone(cron: str) -> None:
    after, until = instant("2026-03-28T12:00Z"), instant("2026-03-29T12:00Z")
    there = ZoneInfo("Asia/Kolkata")
    elsewhere = due(cron, "Europe/Berlin", after.astimezone(there), until.astimezone(there))
    assert elsewhere == due(cron, "Europe/Berlin", after, until)


# --- both day fields restricted --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 0 1,15 * 1", [1, 2, 9, 15, 16, 23, 30]),  # either
        ("0 0 */5 * 1", [16]),  # both, as in Debian's cron
        ("0 0 */1 * 1", [2, 9, 16, 23, 30]),  # `*/1` restricts nothing
        ("0 0 13 * */3", []),  # Sunday, Wednesday or Saturday, and the 13th: a Friday
        ("0 0 1-31 * 1", [2, 9, 16, 23, 30]),  # neither does `1-31`
    ],
)
def test_two_day_fields_mean_either_unless_one_begins_with_a_star(cron: str, days: list[int]) -> None:
    found = due(cron, "UTC", instant("2026-10-31T12:00Z"), instant("2026-11-30T12:00Z"))
    assert [moment.day for moment in found] == days
