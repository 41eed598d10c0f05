"""What a payload is about, and the key that makes two deliveries of it one cause."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

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

# Two labels, or two people, can come to an issue within the same second.
_WHOM = (("label", "node_id"), ("assignee", "node_id"), ("requested_reviewer", "node_id"))

# The parts of a payload that tell one happening from the next; see GitHub's "Webhook events and payloads".
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "release": (("release", "id"), ("action",)),
    "issues": (("issue", "id"), ("action",), ("issue", "updated_at"), *_WHOM),
    "issue_comment": (("comment", "id"), ("action",), ("comment", "updated_at")),
    "pull_request": (
        ("pull_request", "id"),
        ("action",),
        ("pull_request", "head", "sha"),
        ("pull_request", "updated_at"),
        *_WHOM,
    ),
    "push": (("ref",), ("after",)),
    "workflow_run": (("workflow_run", "id"), ("workflow_run", "run_attempt"), ("action",)),
    "check_run": (("check_run", "id"), ("action",)),
    "run_completed": (("run", "id"),),
}

_OPTIONAL = frozenset({"updated_at", "run_attempt", "sha", "node_id"})


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


def trigger_key(kind: str, event: Mapping[str, Any]) -> str:
    """The deduplication key: the same for every delivery of one happening, such as "release:12:published"."""
    paths = _KEYS.get(kind, ())
    parts = [(path[-1], _at(event, path)) for path in paths]
    known = [str(value) for name, value in parts if value is not None]
    missing = any(value is None and name not in _OPTIONAL for name, value in parts)
    if not paths or missing or (kind == "release" and event.get("action") == "edited"):
        known.append(_digest(event))
    return ":".join([kind, *known])


def _at(event: Mapping[str, Any], path: tuple[str, ...]) -> str | int | None:
    here: Any = event if path else None
    for name in path:
        here = here.get(name) if isinstance(here, Mapping) else None
    return here if isinstance(here, (str, int)) else None


def _digest(event: Mapping[str, Any]) -> str:
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
