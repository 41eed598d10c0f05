"""YAML 1.2 text -> plain data, with the position of every key and value.

Nothing but text, numbers, true/false, null, lists and mappings is ever built. What would let two readers
see two different files is a fault: duplicate keys, anchors, aliases, merge keys, tags, several documents.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from runner.config.documents.diagnostics import Fault, value_text

Data = Any
"""What a file can hold: text, numbers, true and false, None, and lists and mappings of these."""

DocumentPath = tuple[str | int, ...]
LineColumn = tuple[int, int]
YamlEvent = Any
"""An event of the YAML parser, which has no types."""

MAX_DEPTH = 32
CONFLICT_HINT = "settle the conflict, and remove the marks: git status"
_ALIAS_HINT = "write the value out: aliases are not read; text that begins with `*` stands in quotes"
_MERGE = "<<"
_BOM = "\ufeff"
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?")


@dataclass(slots=True)
class Document:
    """Plain data and where each part of it stands in the file. Positions count from 1."""

    file: str
    data: Data = None
    keys: dict[DocumentPath, LineColumn] = field(default_factory=dict)
    values: dict[DocumentPath, LineColumn] = field(default_factory=dict)
    blocks: set[DocumentPath] = field(default_factory=set)  # values that begin on the line after their mark
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)  # what is read, and probably not meant so
    is_broken: bool = False  # the text could not be read to its end: `data` is incomplete

    def key(self, path: DocumentPath) -> LineColumn:
        return self.keys.get(path) or self.value(path)

    def value(self, path: DocumentPath) -> LineColumn:
        """Where the value at `path` begins; where its parent begins if the file does not have it."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def fault(self, position: LineColumn, message: str, value: object = None, hint: str = "") -> None:
        text = "" if value is None else value_text(value)
        self.faults.append(Fault(self.file, *position, message, text, hint))

    def warn(self, position: LineColumn, message: str, value: object = None, hint: str = "") -> None:
        text = "" if value is None else value_text(value)
        self.warnings.append(Fault(self.file, *position, message, text, hint))


class _StopReading(Exception):  # noqa: N818 - not an error but a way out
    """The rest of the text cannot be read."""


def parse(file: str, raw: bytes, *, limit: int, first_line: int = 1) -> Document:
    """Read one YAML document of at most `limit` bytes; every problem is in the result's `faults`.

    `first_line` is the line of the file on which `raw` begins.
    """
    document = Document(file)
    text = _decoded(document, raw, limit, first_line)
    if text is not None and not _has_conflict(document, text, first_line):
        _compose(document, text, first_line - 1)
    return document


def _decoded(document: Document, raw: bytes, limit: int, first_line: int) -> str | None:
    document.is_broken = True
    if len(raw) > limit:
        hint = "move long text into SKILL.md or a file beside it"
        document.fault((1, 1), f"file has {len(raw)} bytes, more than the {limit} that are read", None, hint)
        return None
    try:
        return raw.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        head = raw[: error.start]
        position = (head.count(b"\n") + first_line, error.start - head.rfind(b"\n"))
        document.fault(
            position, "file is not UTF-8", raw[error.start : error.start + 1].hex(), "save it as UTF-8"
        )
        return None


def conflict_lines(text: str) -> list[int]:
    """The lines, from 1 on, with marks that git leaves where a merge did not settle by itself."""
    lines = text.split("\n")
    found = [at for at, line in enumerate(lines, 1) if line.startswith(("<<<<<<< ", ">>>>>>> "))]
    return found if any(line.rstrip() == "=======" for line in lines) else []


def _has_conflict(document: Document, text: str, first_line: int) -> bool:
    for line in conflict_lines(text)[:1]:
        value = text.split("\n")[line - 1]
        document.fault((line + first_line - 1, 1), "a conflict mark of git", value, CONFLICT_HINT)
        return True
    return False


def _compose(document: Document, text: str, offset: int) -> None:
    try:
        _Composer(document, text, offset).document()
        document.is_broken = False
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + offset + 1, mark.column + 1) if mark else (1, 1)
        document.fault(
            position,
            f"not valid YAML: {error.problem or error.context}",
            None,
            _syntax_hint(str(error), _around(text, mark)),
        )
    except YAMLError as error:
        position = _character(text, getattr(error, "position", 0), offset)
        document.fault(position, "not valid YAML: a control character", None, "remove it")
    except _StopReading:
        pass


def _character(text: str, index: object, offset: int) -> LineColumn:
    head = text[: index if isinstance(index, int) else 0]
    return head.count("\n") + offset + 1, len(head) - head.rfind("\n")


def _around(text: str, mark: YamlEvent) -> list[str]:
    """The line of a mark, and the one before."""
    lines = text.split("\n")
    return lines[max(0, mark.line - 1) : mark.line + 1][::-1] if mark else []


def _unquoted(line: str) -> str:
    """The hint for a line whose value has to stand in quotes; empty: it is not such a line."""
    found = re.match(r"\s*(?:- )?\s*([\w-]+):\s+([^\"'\s|>].*)", line)
    if found and ("{{" in found[2] or "{%" in found[2] or found[2][0] in "*@`%"):
        value = found[2].strip().replace('"', "'")
        return f'put it in quotes: {found[1]}: "{value}"'
    return ""


def _syntax_hint(problem: str, lines: list[str]) -> str:
    if unquoted := next(filter(None, map(_unquoted, lines)), ""):
        return unquoted
    if "\\t" in problem or "tab character" in problem or "cannot start any token" in problem:
        return "indent with spaces, not tabs, and put text that begins with @, `, % or { in quotes"
    if "mapping values are not allowed" in problem:
        return "put text that holds `: ` in quotes"
    return "check indentation, quotes and brackets here and on the line before"


def _events(text: str) -> Callable[[], YamlEvent]:
    """What returns the parser's next event: libyaml's where it is installed, far faster, or ruamel's own."""
    try:
        from _ruamel_yaml import CParser
    except ImportError:
        from ruamel.yaml import YAML

        return cast("Callable[[], YamlEvent]", iter(YAML(typ="safe", pure=True).parse(text)).__next__)
    return cast("Callable[[], YamlEvent]", CParser(text).get_event)


class _Composer:
    """Builds plain data from the parser's events, and notes where each part of it stands."""

    def __init__(self, document: Document, text: str, offset: int) -> None:
        self.into = document
        self.text = text
        self.next = _events(text)
        self.line = offset + 1

    def document(self) -> None:
        while not isinstance(event := self.next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                if self.into.values:
                    self.into.fault(self.mark(event), "a second document begins", None, "keep one document")
                    return
                self.into.data = self.node(self.next(), ())

    def mark(self, event: YamlEvent) -> LineColumn:
        mark = event.start_mark
        return mark.line + self.line, mark.column + 1

    def node(self, event: YamlEvent, path: DocumentPath) -> Data:
        self.into.values[path] = self.mark(event)
        if len(path) > MAX_DEPTH:
            self.into.fault(self.mark(event), f"nested more than {MAX_DEPTH} levels deep")
            raise _StopReading
        if not isinstance(event, AliasEvent):
            if event.anchor is not None or event.tag is not None:
                self.decorated(event)
            if isinstance(event, ScalarEvent):
                return self.scalar(event, path)
            return self.mapping(path) if isinstance(event, MappingStartEvent) else self.sequence(path)
        written = f"*{event.anchor}"
        hint = f'put it in quotes: "{written} ..."' if path[-1:] == ("cron",) else _ALIAS_HINT
        self.into.fault(self.mark(event), "an alias", f"*{event.anchor}", hint)
        return None

    def decorated(self, event: YamlEvent) -> None:
        if event.anchor is not None:
            hint = "remove it, and write the value out where it is used"
            self.into.fault(self.mark(event), "an anchor", f"&{event.anchor}", hint)
        if event.tag is not None:
            self.into.fault(
                self.mark(event), "a tag", str(event.tag), "remove it: types follow from the schema"
            )

    def scalar(self, event: YamlEvent, path: DocumentPath) -> Data:
        if event.style in ("|", ">"):
            self.into.blocks.add(path)
        return event.value if event.style or not event.implicit[0] else resolve(event.value)

    def sequence(self, path: DocumentPath) -> list[Data]:
        items: list[Data] = []
        while not isinstance(event := self.next(), SequenceEndEvent):
            items.append(self.node(event, (*path, len(items))))
        return items

    def mapping(self, path: DocumentPath) -> dict[str, Data]:
        data: dict[str, Data] = {}
        while not isinstance(event := self.next(), MappingEndEvent):
            name = self.name(event, path)
            again = name in data
            where = (*path, name)
            if not again:
                self.into.keys[where] = self.mark(event)
            value = self.node(self.next(), (*where, "again") if again else where)
            if again:
                first = self.into.keys[where][0]
                message = f"key `{name}` is there already, on line {first}"
                self.into.fault(self.mark(event), message, None, "keep one of them")
            elif name != _MERGE or event.style:
                data[name] = value
        return data

    def name(self, event: YamlEvent, path: DocumentPath) -> str:
        if not isinstance(event, ScalarEvent):
            line = self.text.split("\n")[event.start_mark.line]
            hint = _unquoted(line) or "write keys as plain words"
            self.into.fault(self.mark(event), "a key that is not text", None, hint)
            raise _StopReading
        if event.anchor is not None or event.tag is not None:
            self.decorated(event)
        if event.value == _MERGE and not event.style:
            self.into.fault(
                self.mark(event), "a merge key", "<<", "write the keys out: merge keys are not read"
            )
        return str(event.value)


def resolve(text: str) -> Data:
    """The value of a plain scalar by YAML 1.2's core rules; what is no number or word is text.

    A number without a fraction is an integer however it is written, as in JSON Schema.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() and abs(number) < 1e15 else number
    return text
