"""Which of the runs that wait may begin now. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run that nobody has begun."""

    run_id: str
    repository: str
    skill: str
    priority: int  # a lower one goes first
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """A run that somebody carries out."""

    repository: str
    skill: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many runs at a time; None: as many as there is room for."""

    total: int | None = None
    repository: int | None = None
    skill: int | None = 1


def admit(waiting: Sequence[Waiting], busy: Sequence[Busy], room: int, bounds: Bounds) -> list[str]:
    """The ids of those that begin: the most urgent first, and of equals the one that waited longest.

    One that has to wait for its own repository or skill holds up nobody else.
    """
    repositories = Counter(one.repository for one in busy)
    skills = Counter((one.repository, one.skill) for one in busy)
    free = room if bounds.total is None else min(room, bounds.total - len(busy))
    chosen: list[str] = []
    for one in sorted(waiting, key=lambda one: (one.priority, one.since, one.run_id)):
        if len(chosen) >= free:
            break
        place = one.repository, one.skill
        if _full(repositories[one.repository], bounds.repository) or _full(skills[place], bounds.skill):
            continue
        repositories[one.repository] += 1
        skills[place] += 1
        chosen.append(one.run_id)
    return chosen


def _full(count: int, most: int | None) -> bool:
    return most is not None and count >= most
