"""Reads SKILL.md, Agent Skills front matter and instructions, and checks every template of a skill."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from runner.config.documents import Data, Document, Fault, Model, Text, check, parse, value_text
from runner.config.documents.yaml import CONFLICT_HINT, DocumentPath, conflict_lines
from runner.skills.models import AllowanceOptions
from runner.skills.names import has_only_known_names
from runner.skills.prompt import Template

MAX_TEXT = 256 * 1024
MAX_DESCRIPTION = 1024  # characters, in the Agent Skills specification

# What makes a text read differently than it looks: bidirectional controls and Unicode tags.
_DECEIVING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_BRACKETS = re.compile(r"\{[{%].*?[}%]\}")
_OURS = re.compile(
    r"(?<!\$)\{\{-?\s*(skill|event|repository|run|inputs)\.[a-z_]+.*?\}\}|\{%-?\s*(if|for) .*?\bevent\..*?%\}"
)
_TEMPLATE = re.compile(r"\{[{%#]")


class FrontMatter(Model):
    """The front matter of the Agent Skills specification; further keys are other clients' business."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    description: Text


@dataclass(slots=True)
class Instructions:
    """The content of SKILL.md, as far as it could be read."""

    is_present: bool
    template: Template | None = None
    description: str = ""
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)


def read(file: str, raw: bytes | None, folder: str) -> Instructions:
    """SKILL.md of the skill in `folder`; `raw` is None where there is no such file."""
    if raw is None:
        return Instructions(is_present=False)
    raw = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    found = Instructions(is_present=True)
    head, body, line = _split(raw)
    if head is None:
        hint = "begin the file with ---, name: and description:, and another ---"
        found.faults.append(Fault(file, 1, 1, "no front matter", "", hint))
        return found
    document = parse(file, head, limit=MAX_TEXT, first_line=2)
    front = None if document.is_broken else check(FrontMatter, document)
    if front is not None and front.name != folder:
        hint = f"write `name: {folder}`, or rename the folder"
        document.fault(document.value(("name",)), "is not the folder's name", front.name, hint)
    found.description = front.description if front is not None else ""
    if len(found.description) > MAX_DESCRIPTION:
        said = f"has {len(found.description)} characters, more than the {MAX_DESCRIPTION} that others read"
        document.warn(document.value(("description",)), said, found.description, "say it shorter")
    found.template = _body(document, body, line)
    found.faults.extend(document.faults)
    found.warnings.extend(document.warnings)
    return found


def _split(raw: bytes) -> tuple[bytes | None, bytes, int]:
    """Front matter, body, and the line on which the body begins."""
    first, _, rest = raw.partition(b"\n")
    if first.rstrip() != b"---":
        return None, raw, 1
    end = re.search(rb"^---[ \t]*(\n|\Z)", rest, re.MULTILINE)
    if end is None:
        return None, raw, 1
    head = rest[: end.start()]
    return head, rest[end.end() :], head.count(b"\n") + 3


def _body(document: Document, body: bytes, line: int) -> Template | None:
    if len(body) > MAX_TEXT:
        message = f"instructions have {len(body)} bytes, more than the {MAX_TEXT} that are read"
        document.fault(
            (line, 1), message, None, "move details into a file of the folder, and name it in the text"
        )
        return None
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = (line + body[: error.start].count(b"\n"), error.start - body.rfind(b"\n", 0, error.start))
        document.fault(
            bad, "file is not UTF-8", body[error.start : error.start + 1].hex(), "save it as UTF-8"
        )
        return None
    if not text.strip():
        document.fault(
            (line, 1), "the prompt is empty", None, "write below the front matter what the agent should do"
        )
        return None
    for at in conflict_lines(text)[:1]:
        document.warn((line + at - 1, 1), "a conflict mark of git", text.split("\n")[at - 1], CONFLICT_HINT)
    return Template(text=text, file=document.file, first_line=line)


def check_templates(document: Document, data: Mapping[str, Any], prompt: Template | None) -> None:
    """Add the faults in the skill's prompt, and in every text under `output`."""
    declared = data.get("inputs")
    inputs = tuple(sorted(declared)) if isinstance(declared, dict) else ()
    if prompt is not None:
        column = document.value(("prompt",))[1] if prompt.file == document.file else 1
        _check(document, prompt, inputs, column)
    for path, text in output_texts(data.get("output"), ("output",)):
        line, column = _first_line(document, path), document.value(path)[1]
        _check(document, Template(text=text, file=document.file, first_line=line), inputs, column)


def output_lines(document: Document, data: Mapping[str, Any]) -> dict[DocumentPath, int]:
    """The line on which each text under `output` begins that is a template."""
    texts = output_texts(data.get("output"), ("output",))
    return {path: _first_line(document, path) for path, _ in texts}


def _first_line(document: Document, path: DocumentPath) -> int:
    return document.value(path)[0] + (path in document.blocks)


def output_texts(value: Data, path: DocumentPath) -> Iterator[tuple[DocumentPath, str]]:
    """The texts of an output that are templates: all except the file allowance."""
    if isinstance(value, str):
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if not (len(path) == 2 and key in AllowanceOptions.model_fields):
            yield from output_texts(item, (*path, key))


def _check(document: Document, template: Template, inputs: tuple[str, ...], column: int) -> None:
    lines = template.text.split("\n")
    for number, text in enumerate(lines):
        for match in _DECEIVING.finditer(text):
            position = (template.first_line + number, match.start() + 1)
            message = "a character that changes how the text around it looks"
            document.faults.append(Fault(template.file, *position, message, _escape(match[0]), "remove it"))
    if template.is_literal:
        _warn_of_template(document, template, lines)
        return
    if has_only_known_names(template.text, inputs):
        return
    from runner.skills.templates import problems

    for line, name, message, hint in problems(template.text, inputs):
        text = lines[min(line, len(lines)) - 1]
        found = re.search(rf"\b{re.escape(name)}\b", text) if name else _TEMPLATE.search(text)
        at = column if template.file == document.file and line == 1 else 1
        place = (template.first_line + line - 1, at + (found.start() if found else 0))
        value = _expression(text, found.start() if found else 0)
        document.faults.append(Fault(template.file, *place, message, value, hint))


def _warn_of_template(document: Document, template: Template, lines: list[str]) -> None:
    """Tell of what looks as if it were to be filled in, in a text that is taken as it is."""
    for number, text in enumerate(lines):
        if found := _OURS.search(text):
            place = (template.first_line + number, found.start() + 1)
            hint = f"write `template: true` in {document.file} if SKILL.md is a template"
            value = value_text(found[0])
            document.warnings.append(Fault(template.file, *place, "this is not filled in", value, hint))
            return


def _expression(text: str, index: int) -> str:
    """The part of a line between template brackets that holds `index`, or the whole line."""
    inside = (match[0] for match in _BRACKETS.finditer(text) if match.start() <= index < match.end())
    return value_text(next(inside, text.strip()))


def _escape(char: str) -> str:
    return f"\\u{{{ord(char):x}}}"
