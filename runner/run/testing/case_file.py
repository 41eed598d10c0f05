"""`case.yaml` as a model, and the bounded reading of a case's files."""

import errno
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from runner.config.documents import Document, Many, Model, Text, check, parse, raise_faults
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.jsonl import json_object
from runner.core.model import Phase, Reason
from runner.core.payload import parse_json
from runner.core.units import Maybe, parse_time

FILE = "case.yaml"
MAX_FILE = 256 * 1024
MAX_EVENT = 16 * 1024**2
MAX_TRAFFIC = 256 * 1024**2
_YEARS = range(1980, 2100)  # of which git and file systems know every second
_NO_REF = re.compile(r"^[-./@]?$|^[-./]|[./]$|\.\.|//|@\{|/\.|\.lock(?:/|$)|[\x00-\x20~^:?*\[\\\x7f]")


def _ref(name: str) -> str:
    """What git takes as the name of a branch or tag; see git-check-ref-format(1)."""
    if _NO_REF.search(name):
        raise ValueError("is no name that git takes for a branch or tag")
    return name


NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""A case's name, and that of a folder in it."""

_NAME = Annotated[str, Field(pattern=NAME)]
_REF = Annotated[str, AfterValidator(_ref)]


class CaseStep(Model):
    """One commit of the base: the files of a folder of the case, put over those of the step before."""

    files: _NAME
    tags: Many[_REF] = ()
    at: Maybe[Text] = None  # ISO 8601; default: a day before the next step


class ExpectedCheck(Model):
    """One verification command and its exit code."""

    command: Text
    exit_code: Maybe[int]


class ExpectedResult(Model):
    """The expected result, besides the patch."""

    state: Text
    reason: Maybe[Text] = None
    refused: Many[Text] = ()  # "rule: subject"
    declared: Many[dict[str, Any]] = ()
    verify: Many[ExpectedCheck] = ()


def _pattern(text: str) -> str:
    try:
        empty = re.search(text, "") is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is no regular expression of Python's `re`: {error}") from error
    if empty:
        raise ValueError(r"matches the empty text, and so everything: write what differs, such as `\d+ ms`")
    return text


class CaseFilter(Model):
    """What may differ: in each line, what the pattern matches."""

    pattern: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_pattern)]
    where: Literal["tool_results", "patch"] = "tool_results"


class CaseFile(Model):
    """The model of `case.yaml`."""

    version: Literal[1]
    description: str = ""
    repository: Text = "example/repository"
    branch: _REF = "main"
    now: Text
    trigger: Text = "manual"
    inputs: dict[str, str] = Field(default={})
    base: Annotated[Many[CaseStep], Field(min_length=1)]
    filters: Many[CaseFilter] = ()
    harness: str = ""  # and its version, when it was recorded
    recorded: Many[Text] = ()  # when that began and ended
    expect: Maybe[ExpectedResult] = None


def read_case_file(folder: Path) -> CaseFile:
    """The file of the case in a folder. Raises RunnerError INVALID_INPUT with every fault of it."""
    path, hint = folder / FILE, "correct it, or record another case: skillrunner record SKILL --case NAME"
    document = parse(str(path), read_file(path, MAX_FILE, hint).replace(b"\r\n", b"\n"), limit=MAX_FILE)
    options = None if document.is_broken else check(CaseFile, document)
    if options is not None:
        _check_times(document, options)
        _check_folders(document, options, folder)
    if options is None or document.faults:
        raise_faults(document.faults, Phase.LOAD, Reason.INVALID_INPUT, hint)
    return options


def _check_times(document: Document, options: CaseFile) -> None:
    steps = ((("base", number, "at"), step.at) for number, step in enumerate(options.base) if step.at)
    recorded = ((("recorded", number), text) for number, text in enumerate(options.recorded))
    for path, text in ((("now",), options.now), *steps, *recorded):
        try:
            time_of(text)
        except (ValueError, OverflowError):
            message = f"is no time between {_YEARS[0]} and {_YEARS[-1]}"
            document.fault(document.value(path), message, text, "write 2026-01-05T09:00:00Z")
    if len(options.recorded) not in (0, 2):
        message = "should hold two times: when the recording began and ended"
        document.fault(document.value(("recorded",)), message, None, "leave it out, or record the case again")


def _check_folders(document: Document, options: CaseFile, folder: Path) -> None:
    for number, step in enumerate(options.base):
        if not (folder / step.files).is_dir():
            place = document.value(("base", number, "files"))
            document.fault(place, "there is no such folder beside it", step.files, "make it, or correct it")


def read_file(path: Path, limit: int, hint: str) -> bytes:
    """A plain file of a case, of at most `limit` bytes. Raises RunnerError INVALID_INPUT."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return safe_fs.read_file(folder, path.name, limit)
        finally:
            os.close(folder)
    except OSError as error:
        what = f"has more than {limit:,} bytes" if error.errno == errno.EFBIG else error.strerror
        raise bad(f"{path}: {what}", hint) from error


def read_event(path: Path) -> Mapping[str, Any]:
    """The payload in a case's event; empty where there is none. Raises RunnerError INVALID_INPUT."""
    if not path.exists():
        return {}
    hint = "give the payload as GitHub sends it"
    raw = read_file(path, MAX_EVENT, hint)
    event = json_object(raw)
    if event is None:
        raise bad(f"{path} is no JSON object{_json_fault(raw)}", hint)
    return event


def _json_fault(raw: bytes) -> str:
    try:
        parse_json(raw)
    except ValueError as error:
        return f": {error}"
    return ""


def time_of(text: str) -> datetime:
    """A time in a case. Raises ValueError."""
    found = parse_time(text)
    if found.year not in _YEARS:
        raise ValueError(f"is not between {_YEARS[0]} and {_YEARS[-1]}")
    return found


def bad(message: str, hint: str) -> RunnerError:
    """The error of a case that cannot be used."""
    return RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
