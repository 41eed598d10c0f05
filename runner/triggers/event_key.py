"""What a payload is about, and the key that makes two deliveries of it one cause."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

_SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "release": ("release", "tag_name"),
    "issues": ("issue", "number"),
    "issue_comment": ("issue", "number"),
    "pull_request": ("pull_request", "number"),
    "push": ("ref",),
    "workflow_run": ("workflow_run", "id"),
    "check_run": ("check_run", "id"),
    "run_completed": ("run", "id"),
}

# Two labels, or two people, can come to an issue within the same second. GitHub's issue events tell a label
# and a milestone by their names alone, so these are what a webhook's payload is read for too.
_WHOM = (
    ("label", "name"),
    ("milestone", "title"),
    ("assignee", "node_id"),
    ("requested_reviewer", "node_id"),
    ("requested_team", "node_id"),
)

# The parts of a payload that tell one happening from the next; see GitHub's "Webhook events and payloads".
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "release": (("release", "id"), ("action",)),
    "issues": (("issue", "id"), ("action",), *_WHOM),
    "issue_comment": (("comment", "id"), ("action",)),
    "pull_request": (("pull_request", "id"), ("action",), *_WHOM),
    "push": (("ref",), ("after",)),
    "workflow_run": (("workflow_run", "id"), ("workflow_run", "run_attempt"), ("action",)),
    "check_run": (("check_run", "id"), ("action",)),
    "run_completed": (("run", "id"),),
}

# What can happen again: only its time tells one from the next.
_WHEN: Mapping[str, tuple[str, ...]] = {
    "issues": ("issue", "updated_at"),
    "issue_comment": ("comment", "updated_at"),
    "pull_request": ("pull_request", "updated_at"),
}

# What cannot, or is told from the next by more than its time.
_NOT_WHEN: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("issues", "opened"): (),
    ("issues", "deleted"): (),
    ("issue_comment", "created"): (),
    ("issue_comment", "deleted"): (),
    ("pull_request", "opened"): (),
    ("pull_request", "synchronize"): ("pull_request", "head", "sha"),
}

_OPTIONAL = frozenset({"updated_at", "run_attempt", "sha", "node_id", "name", "title"})
_MEANT_AS_ONE = 60  # seconds; twice as long as two hosts' times for one happening may lie apart


def event_kind(payload: Mapping[str, Any]) -> str | None:
    """The kind of a GitHub payload, told by what is in it; None when it is none that we know."""
    if "comment" in payload and "issue" in payload:
        return "issue_comment"
    for kind in ("release", "workflow_run", "check_run", "pull_request"):
        if isinstance(payload.get(kind), Mapping):
            return kind
    if isinstance(payload.get("issue"), Mapping):
        return "issues"
    return "push" if "ref" in payload and "after" in payload else None


def subject(kind: str, event: Mapping[str, Any]) -> str:
    """What the event is about, as people name it: a tag, an issue's number; empty where there is nothing."""
    value = _at(event, _SUBJECTS.get(kind, ()))
    text = str(value) if isinstance(value, (str, int)) else ""
    return text.removeprefix("refs/heads/").removeprefix("refs/tags/")


def actor(event: Mapping[str, Any]) -> str | None:
    """The login of who did it; None where the payload names nobody."""
    sender = event.get("sender")
    return str(sender.get("login")) if isinstance(sender, Mapping) else None


def trigger_key(kind: str, event: Mapping[str, Any]) -> str:
    """The deduplication key: the same for every delivery of one happening, such as "release:12:published"."""
    when = _at(event, _when(kind, event))
    return _stem(kind, event) if when is None else f"{_stem(kind, event)}:{when}"


def other_keys(kind: str, event: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of which another delivery of the same happening has at least one in common, besides its own.

    A webhook's payload carries the time of the issue, GitHub's list of events that of the event, and they may
    lie a second apart. Minutes that begin at the full and at the half bring together what is at most half a
    minute apart; the same thing done twice to one issue within that time counts once.
    """
    path, when = _when(kind, event), _at(event, _when(kind, event))
    if path != _WHEN.get(kind) or not isinstance(when, str):
        return ()
    try:
        seconds = int(datetime.fromisoformat(when).timestamp())
    except (ValueError, OverflowError):
        return ()
    shifted = seconds + _MEANT_AS_ONE // 2
    return tuple(
        f"{_stem(kind, event)}@{name}{at // _MEANT_AS_ONE}"
        for name, at in (("full", seconds), ("half", shifted))
    )


def _when(kind: str, event: Mapping[str, Any]) -> tuple[str, ...]:
    return _NOT_WHEN.get((kind, str(event.get("action"))), _WHEN.get(kind, ()))


def _stem(kind: str, event: Mapping[str, Any]) -> str:
    """The key without a time."""
    paths = _KEYS.get(kind, ())
    parts = [(path[-1], _at(event, path)) for path in paths]
    known = [_quoted(name, value) for name, value in parts if value is not None]
    missing = any(value is None and name not in _OPTIONAL for name, value in parts)
    if not paths or missing or (kind == "release" and event.get("action") == "edited"):
        known.append(_digest(event))
    return ":".join([kind, *known])


def _quoted(name: str, value: str | int) -> str:
    """A name that somebody gave may hold anything, and a key is shown and compared."""
    return quote(str(value), safe="", errors="replace") if name in ("name", "title") else str(value)


def _at(event: Mapping[str, Any], path: tuple[str, ...]) -> str | int | None:
    here: Any = event if path else None
    for name in path:
        here = here.get(name) if isinstance(here, Mapping) else None
    return here if isinstance(here, (str, int)) else None


def _digest(event: Mapping[str, Any]) -> str:
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
