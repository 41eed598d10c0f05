"""Pokes: wherever and whenever a skill is due, GitHub's cron wakes within five minutes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.triggers._cron_lines import cron_lines
from runner.triggers.cron import MACROS, check_cron, fields
from runner.triggers.schedule import Schedule
from runner.triggers.slots import next_due
from tests.parts.patience import examples

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
LATE = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",  # its clock is put forward at midnight
    "America/Scoresbysund",  # and here it skips the last hour of a day
    "Africa/Casablanca",  # back in Ramadan, which moves through the year
    "Africa/Cairo",
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)


def slots(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    while (after := next_due(schedule, after)) < until:
        yield after


def unpoked(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """The slots after which no poke comes in time; GitHub's cron is played by cronsim, in UTC."""
    fires = {line: CronSim(line, after - MINUTE) for line in cron_lines(schedule.cron, schedule.timezone)}
    ahead = {line: next(times) for line, times in fires.items()}
    missed = []
    for slot in slots(schedule, after, until):
        for line, times in fires.items():
            while ahead[line] < slot:
                ahead[line] = next(times)
        if min(ahead.values()) > slot + LATE:
            missed.append(slot)
    return missed


def changes(zone: str) -> list[datetime]:
    """The days on which the zone's offset changes."""
    days = [START + timedelta(days=count) for count in range((END - START).days)]
    place = ZoneInfo(zone)
    return [
        day
        for day, after in pairwise(days)
        if day.astimezone(place).utcoffset() != after.astimezone(place).utcoffset()
    ]


def spans(schedule: Schedule) -> list[tuple[datetime, datetime]]:
    """Two years; of what is due often, the hours around each change of the clock and some midnights."""
    minutes, hours, *_ = fields(schedule.cron)
    if len(minutes) * len(hours) <= 4:
        return [(START, END)]
    midnights = [datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 2, 28, tzinfo=UTC)]
    turns = [day + timedelta(hours=hour) for day in changes(schedule.timezone) for hour in (4, 14)]
    return [(turn - timedelta(hours=5), turn + timedelta(hours=5)) for turn in [*turns, *midnights]]


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    part = st.one_of(
        st.just("*"),
        number.map(str),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
    )
    return st.lists(part, min_size=1, max_size=2).map(",".join)


expressions = st.one_of(
    st.tuples(
        field(0, 59),
        field(0, 23),
        st.just("*") | field(1, 31),
        st.just("*") | field(1, 12),
        st.just("*") | field(0, 7),
    ).map(" ".join),
    st.sampled_from(sorted(MACROS)),
)


def valid(cron: str) -> bool:
    try:
        check_cron(cron)
    except ValueError:
        return False
    return True


valid_expressions = expressions.filter(valid)


@settings(max_examples=examples(40))
@given(valid_expressions, st.sampled_from(ZONES))
def test_a_poke_follows_every_slot(cron: str, zone: str) -> None:
    schedule = Schedule(cron=cron, timezone=zone)
    assert [slot for span in spans(schedule) for slot in unpoked(schedule, *span)] == []


@given(valid_expressions, st.sampled_from(ZONES))
def test_no_line_fires_more_often_than_github_allows(cron: str, zone: str) -> None:
    for line in cron_lines(cron, zone):
        fires = list(islice(CronSim(line, START), 300))
        assert all(after - before >= LATE for before, after in pairwise(fires))


@pytest.mark.parametrize(
    ("cron", "zone", "lines"),
    [
        ("0 9 * * 1", "UTC", ["0 9 * * 1"]),
        ("0 9 * * 1", "Europe/Berlin", ["0 7-8 * * 1"]),
        ("0 9 * * mon-fri", "Asia/Kolkata", ["30 3 * * 1-5"]),
        ("0 1 * * 1", "Asia/Tokyo", ["0 16 * * 0"]),
        ("0 23 * * 6", "America/New_York", ["0 3-4 * * 0"]),
        ("@hourly", "Europe/Berlin", ["0 * * * *"]),
        ("*/15 * * * *", "Australia/Lord_Howe", ["*/15 * * * *"]),
        ("* * * * *", "UTC", ["*/5 * * * *"]),
        ("0,2 12 * * *", "UTC", ["0,5 12 * * *"]),
        ("1,58 12 * * *", "UTC", ["1,58 12 * * *"]),
        ("59 23 * * 7", "UTC", ["59 23 * * 0"]),
        ("58,59 23 31 12 *", "UTC", ["0 0 1 1,12 *"]),
        ("@yearly", "Asia/Tokyo", ["0 15 28-31 1,12 *"]),
        ("0 0 1 * 1", "UTC", ["0 0 1 * 1"]),
        ("0 0 */15 * */3", "UTC", ["0 0 1,16,31 * 0,3,6"]),
        ("0 0 1-31 * 1", "UTC", ["0 0 * * 1"]),
        ("30 2 * * *", "Europe/Berlin", ["0 1 * 3 0", "30 0-1 * * *"]),
        ("30 2 * * *", "America/New_York", ["0 7 * 3 0", "30 6-7 * * *"]),
    ],
)
def test_few_lines_are_enough(cron: str, zone: str, lines: list[str]) -> None:
    assert cron_lines(cron, zone) == lines


def test_every_zone_has_pokes() -> None:
    for zone in sorted(available_timezones()):
        lines = cron_lines("0 9 * * 1", zone)
        assert 1 <= len([check_cron(line) for line in lines]) <= 2, zone
