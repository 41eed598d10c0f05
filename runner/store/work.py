"""The work of a run in the queue: a record with a version, which the queue keeps as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from runner.core.payload import parse_json
from runner.store.versions import damaged_error, version_of

VERSION = 1
"""Raise it when a program that knows the version before would misread the record, and upgrade in `load`."""

_NAME = "work in the queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a queued run is to do: its skill, and what started it."""

    version: int = VERSION
    commit: str  # that holds the skill's text; empty: the head at the time of the run
    path: str  # of the skill's folder
    kind: str  # of the trigger
    key: str  # the trigger's deduplication key
    at: datetime
    subject: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)  # the payload; untrusted
    inputs: Mapping[str, Any] = field(default_factory=dict)
    continues: str = ""  # the run from which this one goes on


def dump(work: Work) -> str:
    return json.dumps(asdict(work) | {"at": work.at.isoformat()}, default=str)


def load(run_id: str, text: str) -> Work:
    """The work as it was stored. Raises RunnerError STORE_FAILED: of an unknown version, or damaged."""
    try:
        document = parse_json(text)
        version_of(document, run_id, _NAME, VERSION)
        return Work(
            commit=document["commit"],
            path=document["path"],
            kind=document["kind"],
            key=document["key"],
            at=datetime.fromisoformat(document["at"]),
            subject=document["subject"],
            event=document["event"],
            inputs=document["inputs"],
            continues=document.get("continues", ""),  # the first programs continued no run
        )
    except KeyError as error:
        raise damaged_error(run_id, _NAME, f"it has no {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise damaged_error(run_id, _NAME, error) from error
