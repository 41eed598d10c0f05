"""Whether a request is the one that was recorded, and what to write where it differs by chance. Pure.

Everything is compared. Allowed to differ are times, which have to be of the run, then and now; the names of
temporary files, which have to be used in the same places; and what the patterns of a case match in a line of
a tool's result.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from runner.gateway.model.nondeterminism import (
    Span,
    differs_in_time_alone,
    name_times,
    number_temporaries,
    temporary_names,
)

ANY = "<any>"
"""What stands in place of what a pattern of the case matches."""

RESULTS, PATCH = "tool_results", "patch"
"""Where patterns count."""

_RESULT = re.compile(
    r"^(?P<place>[^\s:]+)(?:\.type: (?:\w*tool_result|\w+_call_output)|\.role: (?:tool|function))$"
    r"|^(?P<inside>[^\s:]+\.function_?[rR]esponse\.response)\b"
)
_KEYED = re.compile(r"^[^\s:]+: ?")
_FACTS = re.compile(r"\.(?:type|role|id|tool_use_id|call_id|tool_call_id|name|is_error|status): ")
_WIDE = 120  # characters of a line in a difference
_TOLD = 40  # lines of a difference
_CONTEXT = 24  # characters of a line around what differs, in a pattern
_ADVICE = 5  # patterns that are suggested at once
_ONE_WORD = (r"\d+", "[0-9a-f]{4,}", r"\w+")
_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matching:
    """The rules by which a case compares."""

    recorded: Span | None = None  # None: nobody knows when, so times have to be equal
    patterns: Sequence[re.Pattern[str]] = ()  # what they match in a tool's result may differ
    file: str = "case.yaml"  # where patterns are written

    def equal(self, one: "Lines", other: "Lines", now: Span) -> bool:
        """Whether recorded lines and those of now are the same."""
        return len(one.compared) == len(other.compared) and all(
            a == b or self._differ_in_time(a, b, now)
            for a, b in zip(one.compared, other.compared, strict=True)
        )

    def describe_difference(
        self, one: "Lines", other: "Lines", now: Span, titles: tuple[str, str] = ("recorded", "asked now")
    ) -> str:
        """A short diff, and the lines for the case's file that accept it where it may be chance."""
        before, after = list(one.compared), list(other.compared)
        if self.recorded is not None:
            spans = (self.recorded, now)
            before, after = ([name_times(line, spans) for line in part] for part in (before, after))
        told = difference(before, after, titles)
        advice = _advice(before, after, one, other)
        return f"{told}\n{self._told(advice, one.where)}" if advice else told

    def _differ_in_time(self, one: str, other: str, now: Span) -> bool:
        return self.recorded is not None and differs_in_time_alone(one, other, self.recorded, now)

    def _told(self, patterns: Sequence[str], where: str) -> str:
        place = "" if where == RESULTS else f"\n    where: {where}"
        quoted = (one.replace("'", "''") for one in patterns)
        entries = "".join(f"\n  - pattern: '{one}'{place}" for one in quoted)
        return f"if that is chance, accept it in {self.file}:\nfilters:{entries}"


@dataclass(frozen=True)
class Lines:
    """Lines as they are compared: those of a request, or of a patch."""

    lines: Sequence[str]
    patterns: Sequence[re.Pattern[str]] = ()
    where: str = RESULTS

    @cached_property
    def temporaries(self) -> tuple[str, ...]:
        """The names of temporary files in them."""
        return temporary_names(self.lines)

    @cached_property
    def filtered(self) -> Sequence[bool]:
        """For each line whether the patterns count there."""
        return tuple(_in_results(self.lines)) if self.where == RESULTS else (True,) * len(self.lines)

    @cached_property
    def compared(self) -> Sequence[str]:
        """The lines with names in place of what may differ."""
        numbers = {name: number for number, name in enumerate(self.temporaries, 1)}
        pairs = zip(self.lines, self.filtered, strict=True)
        return [number_temporaries(self._filter(line) if one else line, numbers) for line, one in pairs]

    def _filter(self, line: str) -> str:
        before, text = split_line(line) if self.where == RESULTS else ("", line)
        for pattern in () if _FACTS.search(before) else self.patterns:
            text = pattern.sub(ANY, text)
        return before + text


def rename_temporaries(text: str, recorded: Lines, asked: Lines) -> str:
    """The text with the names of the temporary files of now in place of the recorded ones."""
    names = dict(zip(recorded.temporaries, asked.temporaries, strict=False))
    if not names:
        return text
    known = sorted(names, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, known)), lambda found: names[found[0]], text)


def _in_results(lines: Sequence[str]) -> Iterator[bool]:
    found = [one for line in lines if (one := _RESULT.match(line))]
    places = {one["place"] or one["inside"] for one in found}
    inside = False
    for line in lines:
        if not line.startswith("  "):  # else it goes on with the text of the line above
            place = line.partition(":")[0]
            inside = any(place[: end.start()] in places for end in re.finditer(r"[.\[]|$", place))
        yield inside


def split_line(line: str) -> tuple[str, str]:
    """What says where a text stands, and the text."""
    if line.startswith("  "):
        return line[:2], line[2:]
    key = _KEYED.match(line)
    return (line[: key.end()], line[key.end() :]) if key else ("", line)


# --- differences ---------------------------------------------------------------------------------


def difference(
    recorded: Sequence[str], asked: Sequence[str], titles: tuple[str, str] = ("recorded", "asked now")
) -> str:
    """A short unified diff from what was recorded to what is asked; empty: they are equal."""
    before, now = _narrow(recorded), _narrow(asked)
    lines = list(difflib.unified_diff(before, now, *titles, n=1, lineterm=""))
    more = [f"... and {len(lines) - _TOLD} more lines"] if len(lines) > _TOLD else []
    return "\n".join((*lines[:_TOLD], *more))


def _narrow(lines: Sequence[str]) -> list[str]:
    """Long lines in pieces, so that a difference far to the right is seen."""
    return [line[at : at + _WIDE] for line in lines for at in range(0, max(len(line), 1), _WIDE)]


def _advice(before: Sequence[str], after: Sequence[str], one: Lines, other: Lines) -> Sequence[str]:
    """Patterns that would make the lines equal; none where more differs than single lines of results."""
    if len(before) != len(after):
        return ()
    pairs = [(at, a, b) for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    if not all(one.filtered[at] and other.filtered[at] for at, _, _ in pairs):
        return ()
    cut = split_line if one.where == RESULTS else lambda line: ("", line)
    found = [suggest_pattern(cut(a)[1], cut(b)[1]) for _, a, b in pairs]
    return tuple(dict.fromkeys(found))[:_ADVICE] if all(found) else ()


def suggest_pattern(one: str, other: str) -> str:
    """A pattern by which two lines become equal, with some of what they share around it; empty: none."""
    first, second = _TOKEN.findall(one), _TOKEN.findall(other)
    steps = difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    parts = [
        _literal("".join(first[a:b]), at == 0, at == len(steps) - 1)
        if kind == "equal"
        else _general(first[a:b], second[c:d])
        for at, (kind, a, b, c, d) in enumerate(steps)
    ]
    pattern = "".join(parts)
    shared = "".join("".join(first[a:b]) for kind, a, b, _, _ in steps if kind == "equal")
    if not re.search(r"\w", shared):  # lines that have nothing in common are other lines
        pattern = f"^{pattern}$" if pattern in _ONE_WORD else ""
    if not pattern or re.search(pattern, ""):
        return ""
    return pattern if re.sub(pattern, ANY, one) == re.sub(pattern, ANY, other) else ""


def _literal(text: str, first: bool, last: bool) -> str:
    """What both lines have, escaped; of what stands at their ends, so much that one sees what is meant."""
    if first and not last:
        text = text[-_CONTEXT:]
    elif last and not first:
        text = text[:_CONTEXT]
    escaped = re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", escaped)


def _general(one: Sequence[str], other: Sequence[str]) -> str:
    """A pattern for what stands in one line, and for what stands in the other in its place."""
    a, b = "".join(one), "".join(other)
    if not a or not b:
        return r"\S*" if not re.search(r"\s", a + b) else ".*"
    unit = re.fullmatch(r"\d+([A-Za-z]+)", a)
    kinds = (r"\d+", r"\d+" + unit[1] if unit else r"\d+", "[0-9a-f]{4,}", r"\w+", r"\S+")
    return next((kind for kind in kinds if re.fullmatch(kind, a) and re.fullmatch(kind, b)), ".+")
