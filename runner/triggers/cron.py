"""Cron expressions: five fields, or a macro, in a named time zone.

The five fields are those of POSIX `crontab`, with names, ranges, lists and steps, and `7` for Sunday. Where
both day fields are restricted, either one makes a day due; where one of them begins with `*` (`*/5`), a day
has to be in both, as in Debian's cron and in cronsim. A field that leaves nothing out (`*`, `*/1`, `0-6`)
restricts nothing. Which instants that makes stands in `slots.py`.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, WithJsonSchema

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(_DAY_NAMES)}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_PART = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")

CRON = r"^(@(hourly|daily|weekly|monthly|yearly)|[0-9A-Za-z*,/-]+( +[0-9A-Za-z*,/-]+){4})$"


class Fields(NamedTuple):
    """What a cron expression names, as rising numbers; Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    star: bool  # whether a day field begins with `*`

    @property
    def both(self) -> bool:
        """Whether a day has to be in both day fields, not in one of them, where both are restricted."""
        return self.star and not self.every_day and not self.every_weekday

    @property
    def every_day(self) -> bool:
        return len(self.days) == 31

    @property
    def every_weekday(self) -> bool:
        return len(self.weekdays) == 7


def parts(text: str) -> list[str]:
    """The expression's fields as they are written, a macro written out."""
    return MACROS.get(text, text).lower().split()


def fields(text: str) -> Fields:
    """What the expression names. Raises ValueError where it is none."""
    written = parts(text)
    if len(written) != len(_FIELDS):
        allowed = f"five fields, or one of {', '.join(MACROS)}"
        raise ValueError(f"cron needs {allowed}; here are {len(written)}")
    minutes, hours, days, months, weekdays = (
        _values(field, *known) for field, known in zip(written, _FIELDS, strict=True)
    )
    numbers = [sorted(values) for values in (minutes, hours, days, months, {day % 7 for day in weekdays})]
    star = any(field.startswith("*") for field in (written[2], written[4]))
    first, second, third, fourth, fifth = map(tuple, numbers)
    return Fields(first, second, third, fourth, fifth, star)


def check_cron(text: str) -> str:
    """The expression itself. Raises ValueError where it is not one, or names a day that never comes."""
    named = fields(text)
    comes = any(day <= _LONGEST.get(month, 31) for day, month in product(named.days, named.months))
    if (named.every_weekday or named.both) and not comes:
        raise ValueError("cron names a date that never comes")
    return text


_UNEVEN = {0: ("minutes", "hour", 60), 1: ("hours", "day", 24), 3: ("months", "year", 12)}


def surprises(text: str) -> Iterator[tuple[str, str]]:
    """(message, hint) for what an expression means that its writer may not expect. It has to be valid."""
    named, written = fields(text), parts(text)
    for at, (unit, whole, size) in _UNEVEN.items():
        found = re.fullmatch(r"\*/([0-9]{1,2})", written[at])
        if found and size % int(found[1]):
            times = ",".join(map(str, (named.minutes, named.hours, named.days, named.months)[at]))
            message = f"cron's `{written[at]}` is not every {found[1]} {unit}: it begins anew each {whole}"
            yield message, f"it means `{times}`: write that if it is meant"
    if not named.every_day and not named.every_weekday:
        days = f"day of month `{written[2]}` and day of week `{written[4]}`"
        how = (
            "a day has to be in both, as one begins with `*`" if named.both else "a day in either one is due"
        )
        yield f"cron restricts {days}: {how}", "write `*` in one of them if that is not meant"


def _values(field: str, name: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    values: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"cron's {name} `{field}` is not made of numbers, names, `*`, `-`, `,` and `/`")
        star, first, last, step = match.groups()
        start = low if star else _number(first, name, low, high, names)
        end = high if star or (step and not last) else start
        end = _number(last, name, low, high, names) if last else end
        if start > end:
            raise ValueError(f"cron's {name} `{part}` runs backwards")
        if step and int(step) == 0:
            raise ValueError(f"cron's {name} `{part}` has a step of zero")
        if step and int(step) > high - low + 1:
            raise ValueError(
                f"cron's {name} `{part}` has a step beyond {low}-{high}, and would mean `{start}`"
            )
        values.update(range(start, end + 1, int(step or 1)))
    return values


def _number(text: str, name: str, low: int, high: int, names: dict[str, int]) -> int:
    number = int(text) if text.isdigit() else names.get(text, -1)
    if not low <= number <= high:
        raise ValueError(f"cron's {name} `{text}` is not in {low}-{high}")
    return number


Cron = Annotated[str, AfterValidator(check_cron), WithJsonSchema({"type": "string", "pattern": CRON})]
