"""What differs in a text from one run to the next by the clock or by chance. Pure.

`SHAPES` are replaced by names wherever they stand: what has such a shape never says more than a moment, a
duration or a random name. A date or a time of day alone may say more, so it is only allowed to differ where
it is the time of the run, then and now: see `Span`. Names of temporary files are numbered, so that they may
be others and have to be used in the same places.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d\d:\d\d:\d\d"
_ZONE = r"(?: [+-]\d{4}| [A-Z]{2,5}\b)?"
_LISTED = (
    rf"(?:{_MONTH} +\d{{1,2}} +(?:\d\d:\d\d|\d{{4}})|\d{{1,2}} {_MONTH} +(?:\d\d:\d\d|\d{{4}})"
    rf"|\d{{4}}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d(?:\.\d+)? [+-]\d{{4}})?)?|\d\d-\d\d \d\d:\d\d)"
)
_MODE = r"[-bcdlps](?:[-r][-w][-xsStT]){3}"
_LIST_LINE = re.compile(
    rf"^(?P<before>Output: )?(?: *\d+ +){{0,2}}(?P<mode>{_MODE})[.+@]? +\d+ +(?:\S+ +){{0,2}}"
    rf"(?P<size>\d[\d.,]*[KMGTPE]?) +{_LISTED} (?P<name>.*)$",
    re.MULTILINE,
)


def _shape(pattern: str, name: str) -> tuple[re.Pattern[str], str]:
    return re.compile(pattern, re.MULTILINE), name


SHAPES: Sequence[tuple[re.Pattern[str], str]] = (
    _shape(rf"^(Output: )?total [\d.,]+[KMGTPE]?(?=\n *(?:\d+ +){{0,2}}{_MODE})", r"\1total <blocks>"),
    # date, git log, ctime; RFC 5322; ISO 8601
    _shape(rf"\b{_DAY} {_MONTH} [ \d]?\d {_CLOCK} (?:[A-Z]{{2,5}} )?\d{{4}}(?: [+-]\d{{4}})?", "<time>"),
    _shape(
        rf"\b{_DAY},? \d{{1,2}} {_MONTH} \d{{4}},? {_CLOCK}(?: [AP]M)?(?: [+-]\d{{4}}| [A-Z]{{2,5}})?",
        "<time>",
    ),
    _shape(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?", "<time>"),
    _shape(
        r"\b\d+ (?:second|sec|minute|min|hour|day|week|month|year)s?(?:, \d+ (?:month|week|day)s?)? ago\b",
        "<time> ago",
    ),
    # stat
    _shape(r"^( *Device: )\S+(\s+Inode: )\d+(\s+Links: )\d+", r"\1<device>\2<inode>\3<links>"),
    _shape(r"^( *Size: \d+\s+Blocks: )\d+(\s+IO Block: )\d+", r"\1<blocks>\2<bytes>"),
    _shape(r"\bUid: \([^()\n]*\)(\s+)Gid: \([^()\n]*\)", r"Uid: (<owner>)\1Gid: (<owner>)"),
    # pytest, unittest; go test; jest, vitest, mocha; cargo; the shell's `time`
    _shape(r"^=+ (.* in )\d+\.\d+s(?: \(\d+:\d\d:\d\d\))? =+$", r"= \1<duration> ="),
    _shape(
        r"^((?:\d+ \w+, )*(?:\d+ \w+|no tests ran) in )\d+\.\d+s(?: \(\d+:\d\d:\d\d\))?$", r"\1<duration>"
    ),
    _shape(r"^(\s*)\d+\.\d+s (?=(?:call|setup|teardown) )", r"\1<duration> "),
    _shape(r"^(Ran \d+ tests? in )\d+\.\d+s$", r"\1<duration>"),
    _shape(r"^((?:ok|FAIL|---)\s.*[\t (])\d+(?:\.\d+)?s\b", r"\1<duration>"),
    _shape(r"^(\s*(?:Time|Duration):? +)(?:\d+\.\d+ ?s|\d+ ?ms)\b.*$", r"\1<duration>"),
    _shape(r"^(\s*\d+ (?:passing|failing|pending) \()\d+m?s\)", r"\1<duration>)"),
    _shape(r"(\bfinished in |\btarget\(s\) in )\d+\.\d+s\b", r"\1<duration>"),
    _shape(r"^((?:real|user|sys)\s+)(?:\d+m)?\d+\.\d+s?$", r"\1<duration>"),
    # random names
    _shape(r"(?i)(?:\b|(?<=_))[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"),
    _shape(r"\b(?:127\.0\.0\.1|localhost):\d{4,5}\b", "<address>"),
    _shape(r"\buntrusted-[0-9a-f]{20}\b", "untrusted-<chance>"),
    _shape(r"\bpytest-of-[\w.-]+/pytest-\d+", "pytest-of-<user>/pytest-<number>"),
    # Claude Code names its build and a digest of the request in its instructions, and the user and the
    # workspace in paths.
    _shape(r"\b(cc_version|cch)=[\w.]+", r"\1=<build>"),
    _shape(r"/tmp/claude-\d+/[\w-]+", "/tmp/claude-<user>"),  # noqa: S108 - a name in a text
    _shape(r"\.claude/projects/[\w-]+", ".claude/projects/<workspace>"),
    # Codex says of a command which piece of its output this is, and how long it took.
    _shape(r"\bChunk ID: [0-9a-f]{6}\b", "Chunk ID: <chance>"),
    _shape(r"\bWall time: \d+\.\d+ seconds", "Wall time: <time> seconds"),
)


def name_shapes(text: str) -> str:
    """The text with names in place of everything that has one of the shapes."""
    text = _LIST_LINE.sub(_list_line, text)
    for pattern, name in SHAPES:
        text = pattern.sub(name, text)
    return text


def _list_line(found: re.Match[str]) -> str:
    """A line of `ls -l`: links, owner, time and the size of a folder depend on the machine and the moment."""
    size = "<size>" if found["mode"].startswith("d") else found["size"]
    return f"{found['before'] or ''}{found['mode']} <links> <owner> {size} <time> {found['name']}"


# --- dates and times of day ----------------------------------------------------------------------

_LONG_DAY = "(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)"
_LONG_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_A_MONTH = f"(?:{_LONG_MONTH}|{_MONTH})"
_TIMES = re.compile(
    r"(?<![\w.])\d{10}(?:\d{3}|\d{6}|\d{9})?(?:\.\d{1,9})?(?!\w)"
    r"|(?<!\d)20\d{6}(?:[T_-]?\d{6})?(?!\d)"
    r"|(?<![\w:])\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[AP]M)?(?![\w:])"
    r"|(?<!\d)\d{4}([-/.])\d\d\1\d\d(?!\d)|(?<!\d)\d\d([/.])\d\d\2\d{2}(?:\d\d)?(?!\d)"
    rf"|\b{_A_MONTH} {{1,2}}\d{{1,2}}(?:,? \d{{4}})?\b|\b\d{{1,2}} {_A_MONTH}(?: \d{{4}})?\b"
    rf"|\b(?:{_LONG_DAY}|{_DAY})\b"
)
_DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%m/%d/%Y", "%m/%d/%y", "%d/%m/%Y", "%d/%m/%y"),
    *("%d.%m.%Y", "%d.%m.%y", "%b %d", "%B %d", "%d %b", "%d %B", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
    *("%B %d %Y", "%d %b %Y", "%d %B %Y", "%a", "%A"),
)
_MARGIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of time in which a run happened, in UTC, which is the zone of a case."""

    begin: datetime
    end: datetime

    def holds(self, text: str) -> bool:
        """Whether a date, a time of day or a count of seconds is of this stretch."""
        if ":" in text:
            return self._holds_clock(text)
        digits = re.sub(r"[T_-]", "", text)
        if digits.isdigit() and len(digits) == 14:
            return self._holds_moment(digits)
        if re.fullmatch(r"\d{10,}(\.\d+)?", text):
            whole = text.partition(".")[0]
            return self._meets(float(whole) / 10.0 ** (len(whole) - 10), 1)
        return re.sub(r" +", " ", text) in set(self._dates())

    def _meets(self, second: float, length: float) -> bool:
        begin, end = (self.begin - _MARGIN).timestamp(), (self.end + _MARGIN).timestamp()
        return second <= end and second + length >= begin

    def _holds_moment(self, digits: str) -> bool:
        try:
            moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return False
        return self._meets(moment.timestamp(), 1)

    def _holds_clock(self, text: str) -> bool:
        hour, minute, *second = (int(part) for part in re.findall(r"\d\d", text)[:3])
        if text.endswith("M"):
            hour = hour % 12 + (12 if text.endswith("PM") else 0)
        since = timedelta(hours=hour, minutes=minute, seconds=second[0] if second else 0)
        length = 1 if second else 60
        return any(self._meets((_midnight(day) + since).timestamp(), length) for day in self._days())

    def _days(self) -> Iterator[date]:
        day = (self.begin - _MARGIN).date()
        while day <= (self.end + _MARGIN).date():
            yield day
            day += timedelta(days=1)

    def _dates(self) -> Iterator[str]:
        for day in self._days():
            for written in (day.strftime(form) for form in _DATES):
                yield written
                yield re.sub(r"\b0(?=\d\b)", "", written)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def differs_in_time_alone(one: str, other: str, then: Span, now: Span) -> bool:
    """Whether two texts are equal but for times: of `then` in the first, and of `now` in the second."""
    if _TIMES.sub("\0", one) != _TIMES.sub("\0", other):
        return False
    pairs = zip(_TIMES.finditer(one), _TIMES.finditer(other), strict=True)
    return all(a[0] == b[0] or (then.holds(a[0]) and now.holds(b[0])) for a, b in pairs)


def name_times(text: str, spans: Sequence[Span]) -> str:
    """The text with `<now>` in place of each time of one of the spans."""
    return _TIMES.sub(lambda found: "<now>" if any(one.holds(found[0]) for one in spans) else found[0], text)


# --- names of temporary files --------------------------------------------------------------------

_TEMPORARY = re.compile(
    r"(?<![\w.-])tmp\.[A-Za-z0-9]{6,16}(?![\w-])"  # mktemp
    r"|(?<=/)tmp[a-z0-9_]{8}(?![\w-])"  # Python's tempfile
    r"|(?<=/tmp/)[\w.-]*[.-](?=[A-Za-z0-9]*[A-Z0-9])[A-Za-z0-9]{6,10}(?![\w-])"  # mktemp /tmp/name-XXXXXX
)


def temporary_names(lines: Sequence[str]) -> tuple[str, ...]:
    """The names of temporary files in the lines, in the order in which they are first said."""
    return tuple(dict.fromkeys(found for line in lines for found in _TEMPORARY.findall(line)))


def number_temporaries(line: str, names: Mapping[str, int]) -> str:
    """The line with a number in place of each name of a temporary file."""
    return _TEMPORARY.sub(lambda found: f"<temporary {names[found[0]]}>", line)
