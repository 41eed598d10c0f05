"""Hunks of a unified diff: which lines of a file a change shows, and where its other lines went. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HEADER = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hunk:
    """The lines of one hunk, before and after, with the unchanged ones that it shows."""

    old: int  # the first line; of an empty range, the line before it
    old_count: int
    new: int
    new_count: int

    def shows(self, side: str, first: int, last: int) -> bool:
        """Whether these lines are in it: `LEFT`, as they were before, or `RIGHT`."""
        start, count = (self.old, self.old_count) if side == "LEFT" else (self.new, self.new_count)
        return start <= first <= last < start + count


def parse_hunks(patch: str) -> tuple[Hunk, ...]:
    """The hunks of one file's patch; its lines begin with a blank, `+` or `-`, none looks like a header."""
    found = (match.groups() for match in _HEADER.finditer(patch))
    return tuple(Hunk(int(a), int(b or 1), int(c), int(d or 1)) for a, b, c, d in found)


def find_line(line: int, hunks: Sequence[Hunk]) -> int | None:
    """Where a line is after a change without unchanged lines in its hunks; None: it was changed."""
    shift = 0
    for hunk in hunks:
        if hunk.old_count and hunk.old <= line < hunk.old + hunk.old_count:
            return None
        if line > hunk.old:
            shift += hunk.new_count - hunk.old_count
    return line + shift
