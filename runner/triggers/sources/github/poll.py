"""Events by polling, where no webhook reaches: nothing lost between two polls, nothing heard twice."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model.decision import Event
from runner.triggers import other_keys, subject, trigger_key
from runner.triggers.sources.github import streams, workflow_runs
from runner.triggers.sources.github.cursor import Cursor, Position
from runner.triggers.sources.github.lists import PollSession, answer_errors
from runner.triggers.sources.github.streams import PolledEvent, Read


class _Stream(NamedTuple):
    kinds: frozenset[str]
    begin: Callable[[PollSession], Position]
    read: Callable[[PollSession, Position], Read]


_STREAMS: Mapping[str, _Stream] = {
    "releases": _Stream(frozenset({"release"}), streams.begin, streams.releases),
    "issues": _Stream(frozenset({"issues"}), streams.begin, streams.issues),
    "comments": _Stream(frozenset({"issue_comment"}), streams.begin, streams.comments),
    "pulls": _Stream(frozenset({"pull_request"}), streams.begin_pulls, streams.pulls),
    "issue_events": _Stream(frozenset({"issues", "pull_request"}), streams.begin, streams.issue_events),
    "pushes": _Stream(frozenset({"push"}), streams.begin, streams.pushes),
    "runs": _Stream(frozenset({"workflow_run"}), workflow_runs.begin, workflow_runs.workflow_runs),
}

_OF_BOTH = frozenset(streams.ACTIONS.values())
_OF_PULL_REQUESTS = frozenset(
    {"review_requested", "review_request_removed", "ready_for_review", "converted_to_draft"}
)
_OF_ISSUES = frozenset({"pinned", "unpinned"})

POLLED_EVENTS: Mapping[str, frozenset[str]] = {
    "release": frozenset({"published"}),
    "issues": _OF_BOTH - _OF_PULL_REQUESTS | {"opened"},
    "issue_comment": frozenset({"created"}),
    "pull_request": _OF_BOTH - _OF_ISSUES | {"opened", "synchronize"},
    "push": frozenset({"", "branches"}),
    "workflow_run": frozenset({"requested", "completed"}),
}
"""By kind, the activities that are always heard. Of pushes, those to branches: no list tells of tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What one poll of one repository heard."""

    events: list[Event]  # the oldest first
    cursor: Cursor  # to poll with the next time
    faults: Mapping[str, RunnerError] = field(default_factory=dict)  # lists that failed: read on next time


def is_polled(kind: str, activity: str = "") -> bool:
    """Whether every such event reaches a worker that has no webhook. Of a push, the activity is "branches"
    or "tags"."""
    return activity in POLLED_EVENTS.get(kind, ())


def poll(door: GitHubApi, cursor: Cursor, wanted: Collection[str], now: datetime) -> PollResult:
    """What happened in the repository of `door` since `cursor`, of the kinds in `wanted`.

    The first poll of a list hears nothing: it begins at that moment, by GitHub's clock. A list that nobody
    wants any more is forgotten. Raises RunnerError when the repository itself cannot be read; nothing is lost
    then, because the old cursor holds.
    """
    asking = PollSession(door, frozenset(wanted), now)
    positions: dict[str, Position] = {}
    faults: dict[str, RunnerError] = {}
    heard: list[PolledEvent] = []
    for name, stream in _STREAMS.items():
        if not stream.kinds & asking.wanted:
            continue
        try:
            with answer_errors(f"the {name} of {door.repository}"):
                found, positions[name] = _read(stream, asking, cursor.positions.get(name))
            heard += found
        except RunnerError as error:
            faults[name] = error
            positions |= {name: cursor.positions[name]} if name in cursor.positions else {}
    heard.sort(key=lambda one: one.at)
    with answer_errors(door.repository):
        repository = asking.repository if heard else {}
    events = [event(one.kind, {**one.payload, "repository": repository}, now) for one in heard]
    return PollResult(events=events, cursor=Cursor(positions=positions), faults=faults)


def _read(stream: _Stream, asking: PollSession, position: Position | None) -> Read:
    return ([], stream.begin(asking)) if position is None else stream.read(asking, position)


def event(kind: str, payload: Mapping[str, object], now: datetime, delivery: str = "") -> Event:
    """A payload as an event, whichever way it came."""
    two_ways = is_polled(kind, str(payload.get("action", "")))
    return Event(
        kind=kind,
        key=trigger_key(kind, payload),
        other_keys=other_keys(kind, payload) if two_ways else (),
        at=now,
        payload=payload,
        subject=subject(kind, payload),
        delivery=delivery,
    )
