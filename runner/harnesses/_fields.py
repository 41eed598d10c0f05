"""Reading the objects of a harness's JSON lines: any field may be missing, or of any type."""

import json
import math
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 2_000  # characters of a line that are kept where no rule reads it
_ABSURD = 1e12  # no run has so many tokens or costs so much


def beginning(line: bytes) -> str:
    """The beginning of a line as text."""
    return line[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT]


def unknown_event(data: Mapping[str, Any]) -> str:
    """The beginning of an object that no rule reads."""
    return json.dumps(data)[:MAX_TEXT]


def text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def mappings(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The mappings in a list; what else is in it does not count."""
    value = data.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def maybe_number(data: Mapping[str, Any], key: str) -> float | None:
    """A number from 0 up; None when it is missing or absurd: what nobody told is not zero."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and 0 <= value < _ABSURD else None


def count(data: Mapping[str, Any], key: str) -> int:
    """A whole number from 0 up; 0 when it is missing or absurd."""
    return int(maybe_number(data, key) or 0)


def status(data: Mapping[str, Any], key: str) -> int | None:
    """An HTTP status; None when there is none."""
    value = count(data, key)
    return value if 100 <= value <= 599 else None
