"""Slots: the instants at which a schedule is due."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from runner.triggers.schedule import Schedule, following


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    due: datetime
    key: str
    schedule: Schedule


def slots(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Slot]:
    """Every slot in (after, until], in order."""
    from datetime import UTC

    while (after := following(schedule, after).astimezone(UTC)) <= until:
        yield Slot(
            due=after,
            key=f"schedule:{schedule.cron}@{schedule.timezone}:{after:%Y-%m-%dT%H:%MZ}",
            schedule=schedule,
        )
