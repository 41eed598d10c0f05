"""Slots at the very edge: of a window, of a clock's change, of a year, in several zones."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.zones import check_zone
from runner.triggers.cron import fields
from runner.triggers.schedule import Schedule
from runner.triggers.slots import jittered_start, line_of, next_due, slots

TICK = timedelta(microseconds=1)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def due(cron: str, zone: str, after: str | datetime, until: str | datetime) -> list[str]:
    """The due instants in UTC."""
    ends = [instant(one) if isinstance(one, str) else one for one in (after, until)]
    return [f"{slot.due:%m-%dT%H:%M}" for slot in slots(Schedule(cron=cron, timezone=zone), *ends)]


# --- the window -------------------------------------------------------------------------------------

NOON = instant("2026-06-01T12:00Z")


@pytest.mark.parametrize("cron", ["0 12 * * *", "0 * * * *", "* * * * *"])
@pytest.mark.parametrize(
    ("after", "until", "there"),
    [
        (-TICK, timedelta(0), True),
        (timedelta(0), timedelta(seconds=59), False),
        (-timedelta(seconds=59), -TICK, False),
        (-timedelta(seconds=59), timedelta(0), True),
        (-timedelta(seconds=30), timedelta(seconds=30), True),
        (timedelta(0), timedelta(0), False),
    ],
)
def test_a_window_leaves_out_its_begin_and_holds_its_end(
    cron: str, after: timedelta, until: timedelta, there: bool
) -> None:
    assert due(cron, "UTC", NOON + after, NOON + until) == (["06-01T12:00"] if there else [])


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Chatham"])
def test_the_next_one_is_later_than_the_instant_itself(zone: str) -> None:
    schedule = Schedule(cron="15 9 * * *", timezone=zone)
    first = next_due(schedule, NOON)
    assert next_due(schedule, first - TICK) == first
    assert next_due(schedule, first) - first == timedelta(days=1)
    assert first.tzinfo is UTC
    assert f"{first.astimezone(ZoneInfo(zone)):%H:%M}" == "09:15"


# --- changes of a clock -----------------------------------------------------------------------------

# Each change as (zone, the last second before it in UTC, wall before it, wall after it).
FORWARD = [
    ("Europe/Berlin", "2026-03-29T01:00Z", "02:00", "03:00"),
    ("Europe/London", "2026-03-29T01:00Z", "01:00", "02:00"),
    ("America/New_York", "2026-03-08T07:00Z", "02:00", "03:00"),
    ("America/St_Johns", "2026-03-08T05:30Z", "02:00", "03:00"),
    ("America/Havana", "2026-03-08T05:00Z", "00:00", "01:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z", "02:00", "02:30"),
    ("Pacific/Chatham", "2026-09-26T14:00Z", "02:45", "03:45"),
    ("Antarctica/Troll", "2026-03-29T01:00Z", "01:00", "03:00"),
]
BACK = [
    ("Europe/Berlin", "2026-10-25T01:00Z", "03:00", "02:00"),
    ("Europe/London", "2026-10-25T01:00Z", "02:00", "01:00"),
    ("America/New_York", "2026-11-01T06:00Z", "02:00", "01:00"),
    ("America/St_Johns", "2026-11-01T04:30Z", "02:00", "01:00"),
    ("America/Havana", "2026-11-01T05:00Z", "01:00", "00:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z", "02:00", "01:30"),
    ("Pacific/Chatham", "2026-04-04T14:00Z", "03:45", "02:45"),
    ("Antarctica/Troll", "2026-10-25T01:00Z", "03:00", "01:00"),
]


def minutes(wall: str) -> int:
    hour, minute = map(int, wall.split(":"))
    return hour * 60 + minute


def at(minute: int) -> str:
    """The cron line of a minute of the day, its hour by name."""
    return f"{minute % 60} {minute // 60} * * *"


def near(cron: str, zone: str, change: str) -> list[timedelta]:
    """What is due within twelve hours of the change, counted from it."""
    moment, half = instant(change), timedelta(hours=12)
    found = slots(Schedule(cron=cron, timezone=zone), moment - half, moment + half)
    return [slot.due - moment for slot in found]


@pytest.mark.parametrize(("zone", "change", "before", "after"), FORWARD)
def test_what_the_clock_jumps_over_is_due_right_after_the_gap(
    zone: str, change: str, before: str, after: str
) -> None:
    gap, end = minutes(before), minutes(after)
    one = timedelta(minutes=1)
    assert near(at(gap), zone, change) == [0 * one], "the first minute that is jumped over"
    assert near(at(end - 1), zone, change) == [0 * one], "the last one"
    assert near(at(end), zone, change) == [0 * one], "the first that is shown again"
    assert near(at(end + 1), zone, change) == [one]
    assert near(at((gap - 1) % 1440), zone, change)[0] == -one, "the last that was shown"


@pytest.mark.parametrize(("zone", "change", "before", "after"), FORWARD)
def test_in_real_time_what_no_clock_showed_is_not_due(
    zone: str, change: str, before: str, after: str
) -> None:
    step = timedelta(minutes=1)
    every = near("* * * * *", zone, change)
    assert every == [number * step for number in range(-12 * 60 + 1, 12 * 60 + 1)]
    skipped = minutes(before) % 60
    if minutes(after) - minutes(before) == 60 and not skipped:
        assert 0 * step in near("0 * * * *", zone, change)
        hours = [offset for offset in near("0 * * * *", zone, change) if abs(offset) <= timedelta(hours=1)]
        assert hours == [timedelta(hours=number) for number in (-1, 0, 1)]


@pytest.mark.parametrize(("zone", "change", "before", "after"), BACK)
def test_what_the_clock_shows_twice_is_due_once_the_first_time(
    zone: str, change: str, before: str, after: str
) -> None:
    twice, over = minutes(after), minutes(before)
    length, one = timedelta(minutes=over - twice), timedelta(minutes=1)
    assert near(at(twice), zone, change) == [-length], "the first minute that comes twice"
    assert near(at(over - 1), zone, change) == [-one], "the last one"
    assert near(at(over), zone, change) == [length], "the first that comes once again"
    assert near(at((twice - 1) % 1440), zone, change)[0] == -length - one


@pytest.mark.parametrize(("zone", "change", "before", "after"), BACK)
def test_in_real_time_both_passes_are_due(zone: str, change: str, before: str, after: str) -> None:
    length = timedelta(minutes=minutes(before) - minutes(after))
    cron = f"{minutes(after) % 60} * * * *"
    found = near(cron, zone, change)
    assert -length in found
    assert timedelta(0) in found
    keys = {
        slot.key
        for slot in slots(
            Schedule(cron=cron, timezone=zone),
            instant(change) - timedelta(hours=3),
            instant(change) + timedelta(hours=3),
        )
    }
    assert len(keys) == len([offset for offset in found if -3 < offset / timedelta(hours=1) <= 3])


@pytest.mark.parametrize(("zone", "change", "before", "after"), [*FORWARD, *BACK])
@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_a_window_may_begin_and_end_at_the_change(
    zone: str, change: str, before: str, after: str, seconds: int
) -> None:
    """The slots of two windows that meet near a change are those of one window over both."""
    middle = instant(change) + timedelta(seconds=seconds)
    first, last = middle - timedelta(hours=30), middle + timedelta(hours=30)
    for cron in (at(minutes(before)), at(minutes(after)), "*/7 * * * *", "0,30 0-5 * * *"):
        schedule = Schedule(cron=cron, timezone=zone)
        whole = [slot.key for slot in slots(schedule, first, last)]
        halves = [*slots(schedule, first, middle), *slots(schedule, middle, last)]
        assert whole == [slot.key for slot in halves]
        assert len(set(whole)) == len(whole)


@pytest.mark.parametrize(
    ("zone", "cron", "after", "until", "expected"),
    [
        # the year ends at another instant where its clock goes ahead or behind
        ("Pacific/Kiritimati", "0 0 1 1 *", "2026-12-30T00:00Z", "2027-01-02T00:00Z", ["12-31T10:00"]),
        ("Pacific/Pago_Pago", "0 0 1 1 *", "2026-12-30T00:00Z", "2027-01-02T00:00Z", ["01-01T11:00"]),
        ("UTC", "59 23 31 12 *", "2026-12-31T00:00Z", "2027-01-01T00:00Z", ["12-31T23:59"]),
        ("UTC", "0 0 1 1 *", "2026-12-31T00:00Z", "2027-01-01T00:00Z", ["01-01T00:00"]),
        ("UTC", "0 0 1 1 *", "2027-01-01T00:00Z", "2027-12-31T23:59Z", []),
        ("UTC", "30 23,0 31,1 12,1 *", "2026-12-31T12:00Z", "2027-01-01T12:00Z",
         ["12-31T23:30", "01-01T00:30"]),
        # months of each length
        ("UTC", "0 0 31 * *", "2026-01-31T00:00Z", "2026-12-31T00:00Z",
         ["03-31T00:00", "05-31T00:00", "07-31T00:00", "08-31T00:00", "10-31T00:00", "12-31T00:00"]),
        ("UTC", "0 0 30 2-5 *", "2026-01-01T00:00Z", "2026-12-31T00:00Z",
         ["03-30T00:00", "04-30T00:00", "05-30T00:00"]),
        ("UTC", "0 0 28,29 2 *", "2027-01-01T00:00Z", "2028-12-31T00:00Z",
         ["02-28T00:00", "02-28T00:00", "02-29T00:00"]),
        ("UTC", "0 0 1,2 * *", "2026-11-01T00:00Z", "2026-12-02T00:00Z",
         ["11-02T00:00", "12-01T00:00", "12-02T00:00"]),
        # either of two day fields
        ("UTC", "0 0 1 * 0", "2026-11-01T00:00Z", "2026-12-06T00:00Z",
         ["11-08T00:00", "11-15T00:00", "11-22T00:00", "11-29T00:00", "12-01T00:00", "12-06T00:00"]),
        ("UTC", "0 0 * * sat,sun", "2026-11-26T00:00Z", "2026-12-01T00:00Z", ["11-28T00:00", "11-29T00:00"]),
        ("UTC", "0 0 * feb,dec *", "2026-11-29T00:00Z", "2026-12-02T00:00Z", ["12-01T00:00", "12-02T00:00"]),
    ],
)  # fmt: skip
def test_the_calendar(zone: str, cron: str, after: str, until: str, expected: list[str]) -> None:
    assert due(cron, zone, after, until) == expected


@given(
    st.sampled_from(["Europe/Berlin", "America/Havana", "Pacific/Kiritimati", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2031, 1, 1)),
)
def test_every_minute_is_every_minute(zone: str, start: datetime) -> None:
    begin = start.replace(second=0, microsecond=0, tzinfo=UTC)
    found = [
        slot.due
        for slot in slots(Schedule(cron="* * * * *", timezone=zone), begin, begin + timedelta(minutes=150))
    ]
    assert found == [begin + timedelta(minutes=number) for number in range(1, 151)]


# --- what a line is called, and what it names ---------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "name"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("0 9 * JAN-Mar MON", "0 9 * jan-mar mon"),
        ("0  9   * * *", "0 9 * * *"),
    ],
)
def test_a_line_in_one_spelling(cron: str, name: str) -> None:
    assert line_of(Schedule(cron=cron, timezone="Asia/Kolkata")) == f"{name}@Asia/Kolkata"


MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


@pytest.mark.parametrize(("number", "name"), list(enumerate(MONTHS, 1)))
def test_months_by_name(number: int, name: str) -> None:
    assert fields(f"0 0 1 {name} *").months == fields(f"0 0 1 {number} *").months == (number,)
    assert fields(f"0 0 1 {name.upper()}-dec *").months == tuple(range(number, 13))


@pytest.mark.parametrize(("number", "name"), list(enumerate(DAYS)))
def test_days_by_name(number: int, name: str) -> None:
    assert fields(f"0 0 * * {name}").weekdays == fields(f"0 0 * * {number}").weekdays == (number,)


@pytest.mark.parametrize(
    ("place", "field", "values"),
    [
        (0, "*", range(60)),
        (1, "*", range(24)),
        (2, "*", range(1, 32)),
        (3, "*", range(1, 13)),
        (4, "*", range(7)),
        (0, "0", [0]),
        (0, "59", [59]),
        (1, "23", [23]),
        (2, "1", [1]),
        (2, "31", [31]),
        (3, "12", [12]),
        (4, "7", [0]),
        (4, "0,7", [0]),
        (4, "5-7", [0, 5, 6]),
        (0, "10-12", [10, 11, 12]),
        (0, "12-12", [12]),
        (0, "*/20", [0, 20, 40]),
        (0, "*/59", [0, 59]),
        (0, "5/20", [5, 25, 45]),
        (0, "10-50/20", [10, 30, 50]),
        (0, "10-49/20", [10, 30]),
        (0, "3,1,2,1", [1, 2, 3]),
        (2, "*/15", [1, 16, 31]),
        (3, "2/5", [2, 7, 12]),
        (4, "1/3", [0, 1, 4]),
    ],
)
def test_what_a_field_names(place: int, field: str, values: list[int]) -> None:
    written = ["0", "0", "*", "*", "*"]
    written[place] = field
    assert fields(" ".join(written))[place] == tuple(values)


@pytest.mark.parametrize(
    ("place", "field", "problem"),
    [
        (0, "60", "cron's minute `60` is not in 0-59"),
        (1, "24", "cron's hour `24` is not in 0-23"),
        (2, "0", "cron's day of month `0` is not in 1-31"),
        (2, "32", "cron's day of month `32` is not in 1-31"),
        (3, "0", "cron's month `0` is not in 1-12"),
        (3, "13", "cron's month `13` is not in 1-12"),
        (4, "8", "cron's day of week `8` is not in 0-7"),
        (3, "sun", "cron's month `sun` is not in 1-12"),
        (4, "jan", "cron's day of week `jan` is not in 0-7"),
        (0, "jan", "cron's minute `jan` is not in 0-59"),
        (0, "5-4", "cron's minute `5-4` runs backwards"),
        (0, "5-60", "cron's minute `60` is not in 0-59"),
        (0, "1/0", "cron's minute `1/0` has a step of zero"),
        (0, "1//2", "cron's minute `1//2` is not made of numbers, names, `*`, `-`, `,` and `/`"),
        (0, "100", "cron's minute `100` is not made of"),
    ],
)
def test_what_no_field_is(place: int, field: str, problem: str) -> None:
    written = ["0", "0", "*", "*", "*"]
    written[place] = field
    with pytest.raises(ValueError, match="cron") as caught:
        fields(" ".join(written))
    assert str(caught.value).startswith(problem)


def test_all_of_a_day_field_is_no_restriction() -> None:
    assert (fields("0 0 * * *").every_day, fields("0 0 1-30 * *").every_day) == (True, False)
    assert (fields("0 0 * * 1-7").every_weekday, fields("0 0 * * 1-6").every_weekday) == (True, False)


LENGTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


@pytest.mark.parametrize(("month", "days"), list(enumerate(LENGTHS, 1)))
def test_a_date_that_never_comes(month: int, days: int) -> None:
    Schedule(cron=f"0 0 {days} {month} *")
    Schedule(cron=f"0 0 31 {month} 1")
    if days < 31:
        with pytest.raises(ValueError, match="names a date that never comes"):
            Schedule(cron=f"0 0 {days + 1} {month} *")


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Berln", "unknown time zone; did you mean `Europe/Berlin`?"),
        ("qqqqqqqqqqqqqqqq", "unknown time zone; names are like Europe/Berlin"),
        ("Europe", "unknown time zone; "),
        ("a/b/c/d", "unknown time zone; "),
    ],
)
def test_a_zone_that_is_none(zone: str, said: str) -> None:
    with pytest.raises(ValueError, match="zone") as caught:
        check_zone(zone)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("zone", ["UTC", "EST5EDT", "Etc/GMT+5", "America/Argentina/Buenos_Aires"])
def test_a_zone_of_any_form(zone: str) -> None:
    assert check_zone(zone) == zone


# --- jitter -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", ["1s", "5m", "2h"])
def test_jitter_spreads_over_all_of_its_stretch(jitter: str) -> None:
    schedule = Schedule.model_validate({"cron": "0 0 * * *", "jitter": jitter})
    assert schedule.jitter is not None
    found = [
        (jittered_start(slot) - slot.due).total_seconds() / schedule.jitter
        for slot in slots(schedule, instant("2026-01-01T00:00Z"), instant("2026-12-31T00:00Z"))
    ]
    assert all(0 <= part < 1 for part in found)
    assert min(found) < 0.05
    assert max(found) > 0.95
