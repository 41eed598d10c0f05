"""An index over the schedules of many skills: what is due by now, and when to ask again. Pure.

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
"""How many slots one call reports: of one schedule line, and after how many it takes no further line."""


@dataclass(slots=True, eq=False)
class _Line:
    owner: Hashable
    schedule: Schedule
    reached: datetime  # every slot up to it, and none later, was reported
    gone: bool = False


class Timetable:
    """Which slots of whose schedules are due.

    Each line reports every slot later than the instant at which it was put, each once, in rising order, by
    the first `due(now)` whose `now` is not before it. That holds whatever the clock does. After a step back a
    line is silent until the clock passes what it has reported. After a leap or a suspension everything in
    between comes: in one call at most MOST_OF_A_LINE slots of a line and about MOST in all, the rest in the
    next calls, and `next_at` tells whether there is a rest.

    What it does not promise: after a leap that was an error the lines stay where it took them (to start again
    from the clock, remove the owner and put it). And the slots of an owner that is put anew, by a restarted
    process say, or of two equal lines of one owner, come again, with equal keys, for the caller to know.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, _Line]] = []
        self._lines: dict[Hashable, list[_Line]] = {}
        self._numbers = count()  # no two entries compare equal, so lines are never compared
        self._gone = 0

    def put(self, owner: Hashable, schedules: Sequence[Schedule], now: datetime) -> None:
        """The owner now has these schedules: a line it had goes on where it was, others start after `now`."""
        before = self._lines.get(owner, [])
        if [line.schedule for line in before] == list(schedules):
            return
        reached = {line_of(line.schedule): line.reached for line in before}
        self.remove(owner)
        lines = [_Line(owner, schedule, reached.get(line_of(schedule), now)) for schedule in schedules]
        if lines:
            self._lines[owner] = lines
        for line in lines:
            self._push(line)

    def remove(self, owner: Hashable) -> None:
        """Nothing of the owner is due any more; an unknown owner has nothing."""
        for line in self._lines.pop(owner, ()):
            line.gone = True
            self._gone += 1
        if self._gone > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if not entry[2].gone]
            heapify(self._heap)
            self._gone = 0

    def due(self, now: datetime) -> list[tuple[Hashable, Slot]]:
        """The slots up to `now` that were not reported yet, as the class promises them, the oldest first."""
        found: list[tuple[Hashable, Slot]] = []
        asked = []
        while (first := self.next_at()) is not None and first <= now and len(found) < MAX_SLOTS:
            _, _, line = heappop(self._heap)
            taken = list(islice(slots(line.schedule, line.reached, now), MAX_SLOTS_PER_LINE))
            line.reached = taken[-1].due
            found += ((line.owner, slot) for slot in taken)
            asked.append(line)
        for line in asked:
            self._push(line)
        found.sort(key=lambda pair: pair[1].due)
        return found

    def next_at(self) -> datetime | None:
        """When the next slot is due, in UTC, which may have passed; None where nothing ever is."""
        while self._heap and self._heap[0][2].gone:
            heappop(self._heap)
            self._gone -= 1
        return self._heap[0][0] if self._heap else None

    def _push(self, line: _Line) -> None:
        heappush(self._heap, (next_due(line.schedule, line.reached), next(self._numbers), line))
