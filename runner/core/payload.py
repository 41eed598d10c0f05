"""Values inside JSON that strangers wrote: anything may be missing there, or be of another type."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Path = tuple[str, ...]
"""The keys that lead to a value, from the outermost in."""


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
