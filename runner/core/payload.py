"""Values inside JSON that strangers wrote: anything may be missing there, or be of another type."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 100
"""How deep objects and lists may lie in each other: everything that walks through a value calls itself."""

_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")

Path = tuple[str, ...]
"""The keys that lead to a value, from the outermost in."""


def parse_json(text: str | bytes, **options: Any) -> Any:
    """`json.loads`, for which what is nested too deeply is no JSON either. Raises ValueError."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    if is_deep(text):
        raise ValueError(f"it is nested too deeply: more than {MAX_DEPTH} levels")
    return json.loads(text, **options)


def is_deep(text: str) -> bool:
    """Whether objects and lists of a JSON text lie too deeply in each other."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.findall(_TEXT.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def value_at(payload: object, *path: str) -> object:
    """The value at a path; None where there is none."""
    here = payload
    for name in path:
        here = here.get(name) if isinstance(here, Mapping) else None
    return here


def text_at(payload: object, *path: str) -> str:
    """The text at a path; empty where there is none."""
    value = value_at(payload, *path)
    return value if isinstance(value, str) else ""


def scalar_at(payload: object, *path: str) -> str | int | None:
    """The text or number at a path; None where there is neither."""
    value = value_at(payload, *path)
    return value if path and isinstance(value, (str, int)) else None


def mapping_at(payload: object, *path: str) -> Mapping[str, Any]:
    """The object at a path; empty where there is none."""
    value = value_at(payload, *path)
    return value if isinstance(value, Mapping) else {}


def digest(payload: Mapping[str, object]) -> str:
    """The same for equal payloads, whatever the order of their keys."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
