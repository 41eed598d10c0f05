"""Event keys, which make two deliveries of the same event one cause. They are stored: never change them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from runner.core.payload import Path, digest, scalar_at

_MEANT_AS_ONE = 60  # seconds; twice as long as two hosts' times for one happening may lie apart


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One of the values that distinguish one event from another."""

    path: Path
    optional: bool = False  # without any other, the whole payload goes into the key
    is_free_text: bool = False  # somebody gave it, so it may hold anything: it is quoted


def stem(kind: str, payload: Mapping[str, object], parts: Sequence[KeyPart], *, with_digest: bool) -> str:
    """The key without a time, such as "release:12:published"."""
    values = [(part, scalar_at(payload, *part.path)) for part in parts]
    known = [_written(part, value) for part, value in values if value is not None]
    missing = any(value is None and not part.optional for part, value in values)
    if not parts or missing or with_digest:
        known.append(digest(payload))
    return ":".join([kind, *known])


def _written(part: KeyPart, value: str | int) -> str:
    return quote(str(value), safe="", errors="replace") if part.is_free_text else str(value)


def whole_seconds(when: str | int) -> str | int:
    """A time without parts of a second, which one delivery of an event may have and another not."""
    return re.sub(r"\.\d+(?=Z|[+-]|$)", "", when) if isinstance(when, str) else when


def minute_keys(stem: str, when: str | int | None) -> tuple[str, ...]:
    """Keys of which two deliveries have one in common whose times lie up to half a minute apart.

    A webhook's payload carries the time of the issue, GitHub's list of events that of the event, and they may
    lie a second apart. Minutes that begin at the full and at the half bring both together; the same thing
    done twice to one issue within that time counts once.
    """
    try:
        seconds = int(datetime.fromisoformat(when if isinstance(when, str) else "").timestamp())
    except (ValueError, OverflowError):
        return ()
    shifted = seconds + _MEANT_AS_ONE // 2
    return tuple(f"{stem}@{name}{at // _MEANT_AS_ONE}" for name, at in (("full", seconds), ("half", shifted)))
