"""Slots: the instants at which a schedule is due, each with its deduplication key. Pure.

What a line of a timetable means on the days when clocks change depends on its hour field:

- Hours by name (`2`, `9-17`, `0,12`) are wall time. A time that the clock shows twice is due once, the first
  time. A time that the clock jumps over is due at the first instant after the gap: 02:30 at 03:00, and a day
  that a country leaves out at the next midnight. A line is due once at an instant, however many of its slots
  fell into the gap.
- An hour field with a `*` (`*`, `*/2`) is real time: due is every instant whose wall time matches, in both
  passes of an hour that comes twice. What no clock showed is not due.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import count
from zoneinfo import ZoneInfo

from runner.triggers.cron import fields, parts
from runner.triggers.schedule import Schedule

# Inside this file instants are naive and in UTC, walls are naive and local: wall = instant + offset.

_TICK = timedelta(microseconds=1)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_LOOKBACK = 2 * _DAY  # more than any clock was ever put back at once
_REMEMBERED = 4096  # entries of each cache below: a few megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One due instant of one schedule."""

    due: datetime  # in UTC
    key: str  # the same for every computation of the slot, and for no other slot of the line
    schedule: Schedule


def slots(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Slot]:
    """Every slot in (after, until], both aware, in rising order.

    The key names the expression, the zone, and the wall time at which the slot is due, or the UTC instant
    where the hour field has a `*`. So windows that overlap give equal keys, whatever the clock did between.
    """
    rule, zone, last = _rule(schedule.cron), schedule.timezone, _naive(until)
    for due, offset in _instants(rule, zone, _naive(after)):
        if due > last:
            return
        when = f"{due.isoformat(timespec='minutes')}Z"
        if not rule.real_time:
            when = (due + offset).isoformat(timespec="minutes")
        key = f"schedule:{line_of(schedule)}:{when}"
        yield Slot(due=due.replace(tzinfo=UTC), key=key, schedule=schedule)


def line_of(schedule: Schedule) -> str:
    """A line of a timetable in one spelling, as it stands in the keys of its slots."""
    return f"{_rule(schedule.cron).name}@{schedule.timezone}"


def next_due(schedule: Schedule, after: datetime) -> datetime:
    """The first instant later than `after` (aware) at which the schedule is due, in UTC."""
    due, _ = next(_instants(_rule(schedule.cron), schedule.timezone, _naive(after)))
    return due.replace(tzinfo=UTC)


def jittered_start(slot: Slot, whose: str = "") -> datetime:
    """When to start the slot: less than the schedule's jitter after it is due, the same on every machine.

    `whose` (a skill, say) keeps those apart that are due by equal lines.
    """
    if slot.schedule.jitter is None:
        return slot.due
    number = int.from_bytes(blake2b(f"{whose} {slot.key}".encode(), digest_size=8).digest())
    return slot.due + timedelta(microseconds=number % round(slot.schedule.jitter * 1_000_000))


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str  # the expression in one spelling
    real_time: bool
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: str  # the other three fields as plain numbers, or `*`
    both: bool  # whether a day has to be in both day fields


@lru_cache(_REMEMBERED)
def _rule(cron: str) -> _Rule:
    """croniter gets plain numbers: 7.0 leaves Sunday out of the weekdays `1/3`, and takes a full day field as
    a restriction or not by what stands in the other one.
    """
    named, written = fields(cron), parts(cron)
    days = "*" if named.every_day else ",".join(map(str, named.days))
    weekdays = "*" if named.every_weekday else ",".join(map(str, named.weekdays))
    return _Rule(
        name=" ".join(written),
        real_time="*" in written[1],
        minutes=named.minutes,
        hours=named.hours,
        days=f"{days} {','.join(map(str, named.months))} {weekdays}",
        both=named.both,
    )


def _instants(rule: _Rule, zone: str, after: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Each due instant later than `after`, rising, with the offset of its wall time."""
    last, reached = after, after + _TICK
    for stretch in _stretches(zone, reached):
        begin = stretch.start + (stretch.offset if rule.real_time else stretch.before)
        if stretch.start < reached:
            begin = max(begin, reached + stretch.offset)
        for wall in _walls(rule, begin):
            if wall >= stretch.end + stretch.offset:
                break
            due = max(wall - stretch.offset, stretch.start)
            if due > last:
                yield due, stretch.offset
                last = due
        reached = stretch.end


# --- the clock of a zone -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Instants from `start` to `end` (exclusive) with one offset.

    Wall times between `start + before` and `start + offset` were jumped over, or are shown again.
    """

    start: datetime
    end: datetime
    offset: timedelta
    before: timedelta


def _stretches(zone: str, begin: datetime) -> Iterator[_Stretch]:
    """The stretches from the one that holds `begin` on; where two years meet one may come in two parts."""
    for year in count(begin.year):
        for stretch in _year(zone, year):
            if stretch.end > begin:
                yield stretch


@lru_cache(_REMEMBERED)
def _year(zone: str, year: int) -> tuple[_Stretch, ...]:
    """Those of one year in UTC. The first may start earlier: what it shows again has to be known."""
    info, end = ZoneInfo(zone), datetime(year + 1, 1, 1)
    start = day = datetime(year, 1, 1) - _LOOKBACK
    offset = before = _offset(info, start)
    found = []
    while day < end:
        if _offset(info, day + _DAY) != offset:
            change = _change(info, day, day + _DAY)
            found.append(_Stretch(start, change, offset, before))
            start, before, offset = change, offset, _offset(info, change)
        day += _DAY
    return (*found, _Stretch(start, end, offset, before))


def _offset(info: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.replace(tzinfo=UTC).astimezone(info).utcoffset()
    assert offset is not None
    return offset


def _change(info: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The second at which the offset changes: once, for since 1972 no zone changed twice in three days."""
    old = _offset(info, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if _offset(info, middle) == old else (low, middle)
    return high


# --- the calendar, in no zone --------------------------------------------------------------------------


def _walls(rule: _Rule, begin: datetime) -> Iterator[datetime]:
    """Each wall time that the expression names, from `begin` on, as if no clock ever changed."""
    for day in _days(rule, begin):
        for hour in rule.hours:
            start = day.replace(hour=hour)
            if start + _HOUR > begin:
                past = bisect_left(rule.minutes, begin.minute) if start <= begin else 0
                walls = (start.replace(minute=minute) for minute in rule.minutes[past:])
                yield from (wall for wall in walls if wall >= begin)


def _days(rule: _Rule, begin: datetime) -> Iterator[datetime]:
    today = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    month = today.replace(day=1)
    while True:
        due = _month(rule.days, rule.both, month)
        yield from (day for day in due if day >= today)
        month = (due[0].replace(day=28) + 4 * _DAY).replace(day=1)


@lru_cache(_REMEMBERED)
def _month(days: str, both: bool, first: datetime) -> tuple[datetime, ...]:
    """The due days of the first month, from the one that begins at `first` on, that has any."""
    from croniter import croniter

    calendar = croniter(f"0 0 {days}", first - timedelta(minutes=1), day_or=not both)
    found: list[datetime] = [calendar.get_next(datetime)]
    while (day := calendar.get_next(datetime)).replace(day=1) == found[0].replace(day=1):
        found.append(day)
    return tuple(found)
