"""An index over the schedules of many skills: which slots are due, and when the next one is. Pure.

A heap holds one entry for each schedule line, ordered by its next slot. A line that was removed leaves its
entry behind, which is dropped when it comes up, or when more than half of all are such. So asking when
nothing is due looks at one entry, and k due slots of n lines take O(k log n).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import count, islice

from runner.triggers.schedule import Schedule
from runner.triggers.slots import Slot, line_of, next_due, slots

MAX_SLOTS_PER_LINE = 1_000
MAX_SLOTS = 100_000
"""How many slots of one line a call reports, and the total after which it takes no further line."""


@dataclass(slots=True, eq=False)
class _Line:
    owner: Hashable
    schedule: Schedule
    reported_until: datetime  # every slot up to this instant was reported
    is_removed: bool = False


class Timetable:
    """Reports the due slots of many owners' schedules.

    Each line reports every slot after the instant at which it was put, once, in rising order, in the first
    `due(now)` whose `now` has reached it. This holds whatever the clock does. After a step back a line
    reports nothing until the clock passes what it has reported. After a leap or a suspension it reports all
    slots in between: one call at most MAX_SLOTS_PER_LINE of a line and about MAX_SLOTS in all, the next calls
    the rest; `next_at` shows whether there is a rest.

    It does not promise the following. After a leap that was an error the lines stay at the later instant (to
    start again from the clock, remove the owner and put it). The slots of an owner that is put again, after a
    restart for example, and those of two equal lines of one owner, are reported again, with equal keys.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, _Line]] = []
        self._lines: dict[Hashable, list[_Line]] = {}
        self._numbers = count()  # no two entries compare equal, so lines are never compared
        self._gone = 0

    def put(self, owner: Hashable, schedules: Sequence[Schedule], now: datetime) -> None:
        """Set an owner's schedules: a line that it had keeps its position, others start after `now`."""
        before = self._lines.get(owner, [])
        if [line.schedule for line in before] == list(schedules):
            return
        reached = {line_of(line.schedule): line.reported_until for line in before}
        self.remove(owner)
        lines = [_Line(owner, schedule, reached.get(line_of(schedule), now)) for schedule in schedules]
        if lines:
            self._lines[owner] = lines
        for line in lines:
            self._push(line)

    def remove(self, owner: Hashable) -> None:
        """Remove all lines of an owner, if it has any."""
        for line in self._lines.pop(owner, ()):
            line.is_removed = True
            self._gone += 1
        if self._gone > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if not entry[2].is_removed]
            heapify(self._heap)
            self._gone = 0

    def due(self, now: datetime) -> list[tuple[Hashable, Slot]]:
        """The slots up to `now` that were not reported yet, oldest first, as the class promises."""
        found: list[tuple[Hashable, Slot]] = []
        asked = []
        while (first := self.next_at()) is not None and first <= now and len(found) < MAX_SLOTS:
            _, _, line = heappop(self._heap)
            taken = list(islice(slots(line.schedule, line.reported_until, now), MAX_SLOTS_PER_LINE))
            line.reported_until = taken[-1].due
            found += ((line.owner, slot) for slot in taken)
            asked.append(line)
        for line in asked:
            self._push(line)
        found.sort(key=lambda pair: pair[1].due)
        return found

    def next_at(self) -> datetime | None:
        """When the next slot is due, in UTC, possibly in the past; None: there is no schedule."""
        while self._heap and self._heap[0][2].is_removed:
            heappop(self._heap)
            self._gone -= 1
        return self._heap[0][0] if self._heap else None

    def _push(self, line: _Line) -> None:
        heappush(self._heap, (next_due(line.schedule, line.reported_until), next(self._numbers), line))
