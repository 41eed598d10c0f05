"""A list of GitHub's that tells what happened, each item in the shape of its webhook.

A list is read from a position on. `sender` is who GitHub says did it; where no list tells, there is none, and
nobody unknown may start what asks for a permission.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.lists import Item, PollSession


@dataclass(frozen=True, slots=True)
class PolledEvent:
    kind: str
    at: str  # GitHub's time
    payload: Item


Read = tuple[list[PolledEvent], Position]


def begin(asking: PollSession) -> Position:
    """From now on."""
    return Position(floor=asking.clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList:
    """One list of a repository. Triggers that share a list hold the same object."""

    name: str  # under which its position is stored
    read: Callable[[PollSession, Position], Read]
    begin: Callable[[PollSession], Position] = begin
    follows: bool = False  # of one second's events, those that bring things into being come first


def sender(user: object) -> Item:
    """The part of a payload that says who did it."""
    return {"sender": user if isinstance(user, dict) else {}}


def times(rows: Iterable[Item], name: str) -> Iterable[tuple[object, str | None]]:
    """The id of each item, and its time under `name`."""
    return [(row["id"], row.get(name)) for row in rows]


def latest(rows: Iterable[Item]) -> list[str]:
    """When each item was last changed."""
    return [row["updated_at"] for row in rows]
