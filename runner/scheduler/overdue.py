"""What is wrong in a way that nobody would notice: skills that should have decided and have not. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runner.skills import Skill
from runner.triggers.slots import next_due


class AlertKind(StrEnum):
    """What is wrong. Closed: tools may switch on it."""

    OVERDUE = "overdue"  # a slot of a skill was not decided
    CIRCUIT = "circuit"  # a skill failed so often that it is paused
    UNREAD = "unread"  # a repository cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that is wrong, with a skill or with a whole repository."""

    kind: AlertKind
    repository: str  # empty: any
    skill: str = ""  # empty: the repository
    message: str  # one sentence with the facts
    since: datetime

    @property
    def name(self) -> tuple[str, str, str]:
        """The same for as long as it lasts."""
        return self.kind.value, self.repository, self.skill


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedSlot:
    """The first slot of a skill that nobody has decided."""

    repository: str
    skill: str
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadRepository:
    """A repository that could not be read when somebody last tried."""

    repository: str
    read_at: datetime  # when somebody could, or first tried
    fault: str


def first_due(skill: Skill, decided: datetime) -> datetime | None:
    """The first slot of a skill later than what is decided; None: it has no schedule."""
    timetable = skill.triggers.get("schedule")
    lines = timetable.root if timetable is not None else ()
    return min((next_due(one, decided) for one in lines), default=None)


def overdue_alerts(awaited: Iterable[AwaitedSlot], now: datetime, grace: timedelta) -> Iterator[Alert]:
    """The skills with a slot that nobody has decided `grace` after it was due."""
    for one in awaited:
        if now - one.due > grace:
            at = f"the slot of {one.due:%Y-%m-%d %H:%M} UTC"
            message = f"{one.repository} {one.skill}: {at} has no decision after {_told(now - one.due)}"
            yield Alert(
                kind=AlertKind.OVERDUE,
                repository=one.repository,
                skill=one.skill,
                message=message,
                since=one.due,
            )


def unread_alerts(some: Iterable[UnreadRepository], now: datetime, grace: timedelta) -> Iterator[Alert]:
    """The repositories that nobody could read for longer than `grace`."""
    for one in some:
        if now - one.read_at > grace:
            message = f"{one.repository} could not be read for {_told(now - one.read_at)}: {one.fault}"
            yield Alert(kind=AlertKind.UNREAD, repository=one.repository, message=message, since=one.read_at)


def _told(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
