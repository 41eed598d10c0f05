"""A schedule in any time zone -> the cron lines in UTC that wake GitHub for it. Pure.

GitHub's cron runs in UTC, five minutes apart at the least, late, and some runs are dropped ("Events that
trigger workflows"). So its cron only wakes the Action, which computes the due slots itself, and one wake-up
too many does no harm. There is one within five minutes after every slot.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from runner.triggers.cron import fields

_DAY = 24 * 60
_APART = 5  # minutes
_FROM, _UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
"""Which offsets a zone has is looked up in these years, whatever the date: the same skill, the same lines."""


@dataclass(frozen=True, slots=True)
class _Change:
    """The instant at which a zone's offset from UTC changes, from `before` to `after` minutes."""

    at: datetime
    before: int
    after: int


def cron_lines(cron: str, timezone: str) -> list[str]:
    """Cron lines in UTC, sorted, so that one fires no later than five minutes after every slot."""
    named = fields(cron)
    local = {hour * 60 + minute for hour in named.hours for minute in named.minutes}
    offsets, changes = _zone(timezone)
    times = _spaced({time - offset for time in local for offset in offsets})
    return sorted({*_lines(cron, times), *_after_gaps(local, times, changes)})


@cache
def _zone(name: str) -> tuple[frozenset[int], tuple[_Change, ...]]:
    """The offsets of a zone in minutes, and when they change."""
    zone = ZoneInfo(name)
    days = [_FROM + timedelta(days=count) for count in range((_UNTIL - _FROM).days + 1)]
    known = [(day, _offset(zone, day)) for day in days]
    changes = [
        _change(zone, day, following)
        for (day, before), (following, after) in pairwise(known)
        if before != after
    ]
    offsets = {_offset(zone, _FROM), *(change.after for change in changes)}
    return frozenset(offsets), tuple(changes)


def _offset(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(minutes=1)


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> _Change:
    """The change between two instants, by halving."""
    before, after = _offset(zone, low), _offset(zone, high)
    while high - low > timedelta(minutes=1):
        middle = low + (high - low) // timedelta(minutes=2) * timedelta(minutes=1)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return _Change(high, before, after)


def _spaced(times: Collection[int]) -> set[int]:
    """Minutes since midnight; rounded up to multiples of five where some are closer together."""
    clock = sorted({time % _DAY for time in times})
    gaps = [following - time for time, following in pairwise([*clock, clock[0] + _DAY])]
    return set(times) if min(gaps) >= _APART else {-(-time // _APART) * _APART for time in times}


def _lines(cron: str, times: Collection[int]) -> Iterator[str]:
    """One line for all hours that share their minutes and their days."""
    clock: dict[tuple[str, int], set[int]] = defaultdict(set)
    for time in times:
        shift, hour = divmod(time // 60, 24)
        clock[_days(cron, shift), hour].add(time % 60)
    alike: dict[tuple[str, frozenset[int]], set[int]] = defaultdict(set)
    for (days, hour), minutes in clock.items():
        alike[days, frozenset(minutes)].add(hour)
    for (days, same), hours in alike.items():
        yield f"{_steps(same, 59)} {_steps(hours, 23)} {days}"


@cache
def _days(cron: str, shift: int) -> str:
    """The day fields of days that lie `shift` days after those of the schedule, or a few days more.

    Where both are restricted, either one makes a day due; crons disagree where such a field holds a star,
    so none is written then.
    """
    named = fields(cron)
    weekdays = {(day + shift) % 7 for day in named.weekdays}
    months, days = set(named.months), set(named.days)
    if shift:
        months |= {(month - 1 + shift) % 12 + 1 for month in months}
        days = {day + shift for day in days} | _wrapped(days, shift)
    day = "*" if named.every_day else _ranges(days & set(range(1, 32)))
    weekday = "*" if named.every_weekday else _ranges(weekdays)
    return f"{day} {'*' if len(months) == 12 else _ranges(months)} {weekday}"


def _wrapped(days: Collection[int], shift: int) -> set[int]:
    """The days of the month beside, whatever its length, that days at this end of a month move to."""
    last = {28, 29, 30, 31}
    if shift < 0:
        return last if 1 in days else set()
    return {1} if last & set(days) else set()


def _after_gaps(
    local: Collection[int], times: Collection[int], changes: Collection[_Change]
) -> Iterator[str]:
    """Lines for the slots whose time of day the clock skips, when it is put forward: due after the gap."""
    found: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    for change in changes:
        utc = change.at.hour * 60 + change.at.minute
        start = (utc + change.before) % _DAY
        skipped = any((time - start) % _DAY < change.after - change.before for time in local)
        if skipped and start - change.before not in times:
            found[change.at.minute, change.at.hour].add((change.at.month, change.at.isoweekday() % 7))
    for (minute, hour), dates in found.items():
        months, weekdays = ({date[place] for date in dates} for place in (0, 1))
        yield f"{minute} {hour} * {_ranges(months)} {_ranges(weekdays)}"


def _steps(numbers: Collection[int], high: int) -> str:
    """A field that counts from 0; with a star where that says the same."""
    step = sorted(numbers)[1] if len(numbers) > 1 else 0
    if step and set(numbers) == set(range(0, high + 1, step)):
        return "*" if step == 1 else f"*/{step}"
    return _ranges(numbers)


def _ranges(numbers: Collection[int]) -> str:
    """A field without a star, such as "1-5,7"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
