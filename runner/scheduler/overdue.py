"""Finds problems that nobody would notice: slots without a decision, unreadable repositories. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.core.units import span_text

if TYPE_CHECKING:
    from runner.skills import Skill


class AlertKind(StrEnum):
    """The kinds of problems. Closed: tools may switch on it."""

    OVERDUE = "overdue"  # a slot of a skill was not decided
    CIRCUIT = "circuit"  # a skill failed so often that it is paused
    UNREADABLE = "unread"  # a repository cannot be read
    DISK = "disk"  # a machine has too little room to start anything
    ENGINE = "engine"  # a machine's sandbox engine cannot be used
    INVALID_SKILL = "invalid skill"  # a skill of the default branch has faults
    UNHEARD_LIST = "unheard list"  # a list of events, or of repositories, cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A problem of a skill or of a whole repository."""

    kind: AlertKind
    repository: str  # empty: any
    skill: str = ""  # or the name of a list; empty: the repository
    host: str = ""  # empty: no single machine has it
    message: str  # one sentence with the facts
    since: datetime

    @property
    def name(self) -> tuple[str, str, str, str]:
        """Identifies the alert for as long as the problem lasts."""
        return self.kind.value, self.repository, self.skill, self.host

    @property
    def has_grace(self) -> bool:
        """Whether it may be over by itself so soon that it is not worth a word before `grace`."""
        return self.kind in _PASSING


_PASSING = frozenset({AlertKind.OVERDUE, AlertKind.UNREADABLE, AlertKind.UNHEARD_LIST})


@dataclass(frozen=True, slots=True, kw_only=True)
class UndecidedSlot:
    """The first slot of a skill that nobody has decided."""

    repository: str
    skill: str
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRepository:
    """A repository that could not be read when somebody last tried."""

    repository: str
    read_at: datetime  # when it was last read, or first tried
    fault: str
    next_try: datetime | None = None  # None: with the next poll


def first_due(skill: "Skill", decided: datetime) -> datetime | None:
    """The first slot of a skill after `decided`; None: it has no schedule."""
    from runner.triggers.slots import next_due

    return min((next_due(one, decided) for one in skill.schedules), default=None)


def overdue_alerts(slots: Iterable[UndecidedSlot], now: datetime, grace: timedelta) -> Iterator[Alert]:
    """An alert for each slot without a decision `grace` after it was due."""
    for one in slots:
        if now - one.due > grace:
            at = f"the slot of {one.due:%Y-%m-%d %H:%M} UTC"
            message = f"{one.repository} {one.skill}: {at} has no decision after {span_text(now - one.due)}"
            yield Alert(
                kind=AlertKind.OVERDUE,
                repository=one.repository,
                skill=one.skill,
                message=message,
                since=one.due,
            )


def unreadable_alerts(
    repositories: Iterable[UnreadableRepository], now: datetime, grace: timedelta
) -> Iterator[Alert]:
    """An alert for each repository that nobody could read for longer than `grace`."""
    for one in repositories:
        if now - one.read_at > grace:
            message = f"{one.repository} could not be read for {span_text(now - one.read_at)}: {one.fault}"
            yield Alert(
                kind=AlertKind.UNREADABLE, repository=one.repository, message=message, since=one.read_at
            )
