"""Times, durations, sizes and rates as people write them: "2026-01-05T09:00", "1h30m", "4g", "20/h"."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, GetCoreSchemaHandler, WithJsonSchema

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

DURATION = r"^(?=.*[1-9])([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$"
SIZE = r"^[1-9][0-9]{0,9}[bkmg]$"

MOMENT = (
    r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$"
    r"|^20[0-9]{2}-(0[13-9]|1[0-2])-(29|30)"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$"
    r"|^20[0-9]{2}-(0[13578]|1[02])-31"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$"
)
RATE = r"^[1-9][0-9]{0,5}/(min|h|d)$"

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_STRETCHES = {"min": 60, "h": 3_600, "d": 86_400}
_UNITS = {length: unit for unit, length in _STRETCHES.items()}
_BYTES = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parse_time(text: str) -> datetime:
    """A time in ISO 8601, in UTC, which a bare one is in already. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def parse_duration(text: object) -> float:
    """Seconds in a duration such as "45m", "6h" or "1h30m". Raises ValueError."""
    if not isinstance(text, str) or re.fullmatch(DURATION, text) is None:
        raise ValueError('should be a duration such as "90s", "45m", "6h" or "1h30m"')
    parts = re.findall(r"([0-9]+)([dhms])", text)
    return float(sum(int(number) * _SECONDS[unit] for number, unit in parts))


def parse_size(text: object) -> int:
    """Bytes in a size such as "512m" or "4g"; the units are powers of 1024. Raises ValueError."""
    if not isinstance(text, str) or re.fullmatch(SIZE, text) is None:
        raise ValueError('should be a size such as "64k", "512m" or "4g"')
    return int(text[:-1]) * _BYTES[text[-1]]


def span_text(span: timedelta) -> str:
    """A stretch of time in words, in the largest unit of which it has at least two: "90 s", "2 h"."""
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in any stretch of time that is so long."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count}/{_UNITS[self.seconds]}"


def parse_rate(text: object) -> Rate:
    """A rate such as "20/h"; the units are min, h and d. Raises ValueError."""
    if not isinstance(text, str) or re.fullmatch(RATE, text) is None:
        raise ValueError('should be a rate such as "5/min", "20/h" or "100/d"')
    most, unit = text.split("/")
    return Rate(int(most), _STRETCHES[unit])


def parse_moment(text: object) -> datetime:
    """An instant such as 2027-01-31T18:00, in UTC where it names no other zone; a date means its end.

    Raises ValueError.
    """
    if not isinstance(text, str) or re.fullmatch(MOMENT, text) is None:
        raise ValueError("should be a date such as 2027-01-31, or a time such as 2027-01-31T18:00")
    found = parse_time(text)
    return found if "T" in text else found + timedelta(days=1)


Moment = Annotated[
    datetime, BeforeValidator(parse_moment), WithJsonSchema({"type": "string", "pattern": MOMENT})
]
Duration = Annotated[
    float, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": DURATION})
]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({"type": "string", "pattern": SIZE})]

PerTime = Annotated[Rate, BeforeValidator(parse_rate), WithJsonSchema({"type": "string", "pattern": RATE})]


class Absent:
    """Lets a field be left out, and so be None, without letting a file say `null`."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> "CoreSchema":
        nullable: dict[str, Any] = dict(handler(source))
        inner: CoreSchema = nullable["schema"]
        return inner


T = TypeVar("T")

if TYPE_CHECKING:
    Maybe: TypeAlias = T | None
else:

    class Maybe:
        """`Maybe[T]`: T where the key is given, None where it is not."""

        def __class_getitem__(cls, item: type) -> object:
            return Annotated[item | None, Absent()]
