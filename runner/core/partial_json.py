"""JSON objects in lines as programs really print them: with terminal codes, log text, or their end missing.

Pure. A line that is one object never comes here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.payload import is_deep

_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # ECMA-48: control sequences
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # and operating system commands
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]"
)
_OPENING = re.compile(r'\{\s*"')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\],]', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}
_INSIDE = (",", "]", "}", ":")  # what follows a value that is part of another
_BARE = re.compile(r"[\w.+-]\Z")  # a number or a word, which may be cut
_DECODER = json.JSONDecoder(strict=False)
_MOST_TRIES = 1_000  # per line
_LONGEST = 1024**2  # characters of a torn object that are read
_DEEPEST = 500


@dataclass(frozen=True, slots=True)
class PartialObject:
    """An object whose end is missing. `data` has the fields that are whole; the last text may be cut."""

    text: str
    data: Mapping[str, Any]


Part = str | Mapping[str, Any] | PartialObject


def strip_terminal_codes(line: bytes) -> str:
    """The text of a line without what moves a cursor or colours a text, NUL bytes and byte order marks."""
    return _TERMINAL.sub("", line.decode("utf-8", "replace"))


def parts(line: str) -> Iterator[Part]:
    """The objects in a line, whole and torn, and the texts around them, in their order."""
    done = at = tries = 0
    torn: int | None = None
    while tries < _MOST_TRIES and (found := _OPENING.search(line, at)) is not None:
        tries += 1
        begin = found.start()
        whole = _whole(line, begin)
        if whole is None or (torn is not None and line[whole[1] :].lstrip()[:1] in _INSIDE):
            torn = begin if torn is None else torn
            at = begin + 1
            continue
        yield from _rest(line[done:begin], None if torn is None else torn - done)
        yield whole[0]
        done = at = whole[1]
        torn = None
    yield from _rest(line[done:], None if torn is None else torn - done)


def join_lines(torn: str, line: str) -> tuple[Mapping[str, Any], str] | None:
    """The object that a torn one and a later line are together, and what follows it."""
    text = torn + line
    found = _whole(text, 0)
    return (found[0], text[found[1] :]) if found is not None and found[1] > len(torn) else None


def _whole(text: str, begin: int) -> tuple[Mapping[str, Any], int] | None:
    try:
        data, end = _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None
    return None if is_deep(text[begin:end]) else (data, end)


def _rest(text: str, torn: int | None) -> Iterator[Part]:
    """Text that holds no whole object; from the index `torn` on it is an object without its end."""
    data = repair_object(text[torn:]) if torn is not None else None
    before = text[:torn] if data else text
    if before.strip():
        yield before.strip()
    if data and torn is not None:
        yield PartialObject(text[torn:], data)


def repair_object(text: str) -> Mapping[str, Any] | None:
    """What can be read of an object whose end is missing; None: nothing."""
    text = text[:_LONGEST]
    for candidate in _candidates(text):
        if (found := _whole(candidate, 0)) is not None:
            return found[0] or None
    return None


def _candidates(text: str) -> Iterator[str]:
    """The object, closed in one way after the other, from the one that keeps the most on."""
    stack: list[str] = []
    comma: tuple[int, str] | None = None
    last = ""
    for token in _TOKEN.finditer(text):
        last = token[0]
        if last in _CLOSING:
            stack.append(_CLOSING[last])
            if len(stack) > _DEEPEST:
                return
        elif last == ",":
            comma = token.start(), "".join(reversed(stack))
        elif last in ("}", "]") and stack:
            stack.pop()
    ends = "".join(reversed(stack))
    if last.startswith('"') and not _is_closed(last):
        yield f'{text}"{ends}'
        yield text[: text.rfind("\\")] + f'"{ends}'  # an escape is cut
    elif not _BARE.search(text):
        yield text + ends
    if comma is not None:
        yield text[: comma[0]] + comma[1]


def _is_closed(string: str) -> bool:
    return len(string) > 1 and string.endswith('"') and (len(string) - len(string[:-1].rstrip("\\"))) % 2 == 1
