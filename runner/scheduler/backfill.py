"""Finds past slots that had no run. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from runner.core.model.decision import Decision, Verdict
from runner.scheduler.decide import schedule_line
from runner.skills import Skill
from runner.triggers.slots import Slot, slots

PREFIX = "backfill:"
"""The prefix of a backfill's key before the slot's own key, whose decision stays as it is."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSlot:
    """A past slot, and whether it had a run."""

    slot: Slot
    earlier_run: str = ""  # the id of its run; empty: it had none
    is_open: bool = False  # it is not decided yet, and a worker will decide it

    @property
    def key(self) -> str:
        return f"{PREFIX}{self.slot.key}"

    @property
    def is_missing(self) -> bool:
        return not self.earlier_run and not self.is_open


def slots_between(skill: Skill, start: datetime, end: datetime, limit: int) -> list[Slot]:
    """A skill's slots in [start, end), oldest first; at most `limit` for each line of its schedule."""
    due = [slot for one in skill.schedules for slot in islice(slots(one, start - _TICK, end - _TICK), limit)]
    return sorted(due, key=lambda slot: (slot.due, slot.key))


def slots_with_runs(
    skill: Skill,
    due: list[Slot],
    introduction_time: datetime,
    decided_until: Mapping[str, datetime],
    find_decision: Callable[[str], Decision | None],
) -> Iterator[BackfillSlot]:
    """Each due slot with its run, if it had one. `decided_until` is by schedule line."""
    for slot in due:
        reached = max(
            decided_until.get(schedule_line(skill, slot.schedule), introduction_time), introduction_time
        )
        before = _run_of(find_decision(f"{skill.name} {slot.key}")) or _run_of(
            find_decision(f"{skill.name} {PREFIX}{slot.key}")
        )
        yield BackfillSlot(slot=slot, earlier_run=before, is_open=not before and slot.due > reached)


def _run_of(decision: Decision | None) -> str:
    started = decision is not None and decision.verdict is Verdict.STARTED
    return decision.run_id if decision is not None and started else ""
