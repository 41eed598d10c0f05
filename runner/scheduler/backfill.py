"""Which slots of the past had no run. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from runner.core.model.decision import Decision, Verdict
from runner.scheduler.decide import schedule_line
from runner.skills import Skill
from runner.triggers.slots import Slot, slots

PREFIX = "backfill:"
"""Before the slot's own key: what the slot itself came to was decided before, and stands."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSlot:
    """A slot of the past, and what is to become of it."""

    slot: Slot
    before: str = ""  # the run that it had
    is_open: bool = False  # nobody has decided it yet, and a worker will

    @property
    def key(self) -> str:
        return f"{PREFIX}{self.slot.key}"

    @property
    def is_wanted(self) -> bool:
        return not self.before and not self.is_open


def slots_between(skill: Skill, start: datetime, end: datetime, most: int) -> list[Slot]:
    """The slots of a skill in [start, end), the oldest first; of each line of its timetable `most`."""
    timetable = skill.triggers.get("schedule")
    lines = timetable.root if timetable is not None else ()
    due = [slot for one in lines for slot in islice(slots(one, start - _TICK, end - _TICK), most)]
    return sorted(due, key=lambda slot: (slot.due, slot.key))


def slots_without_run(
    skill: Skill,
    some: list[Slot],
    introduced: datetime,
    since: Mapping[str, datetime],
    decided: Callable[[str], Decision | None],
) -> Iterator[BackfillSlot]:
    """What is to become of each slot. `since`: by schedule line, up to when slots were decided."""
    for slot in some:
        reached = max(since.get(schedule_line(skill, slot.schedule), introduced), introduced)
        before = _run_of(decided(f"{skill.name} {slot.key}")) or _run_of(
            decided(f"{skill.name} {PREFIX}{slot.key}")
        )
        yield BackfillSlot(slot=slot, before=before, is_open=not before and slot.due > reached)


def _run_of(decision: Decision | None) -> str:
    started = decision is not None and decision.verdict is Verdict.STARTED
    return decision.run_id if decision is not None and started else ""
