"""Faults of files: what is wrong, where, and what to write instead."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

_SHOWN = 60
_NAMED = 12


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong with a file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    value: str = ""  # as the file has it, on one line and shortened; empty: there is none
    hint: str = ""  # what to write instead

    @property
    def line_column(self) -> tuple[int, int]:
        return self.line, self.column

    def as_warning(self) -> str:
        """The same in one line, for what is read and probably not meant so."""
        return str(replace(self, message=f"warning: {self.message}"))

    def __str__(self) -> str:
        value = f" (value: {self.value})" if self.value else ""
        return (
            f"{escape_controls(self.file)}:{self.line}:{self.column}: {escape_controls(self.message)}{value}"
        )


def value_text(value: object) -> str:
    """A value from a file on one short line, with nothing in it that a terminal would act on."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return escape_controls(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def escape_controls(text: str) -> str:
    """The text with every character spelled out that a terminal would act on, or not show."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if unicodedata.category(char)[0] not in "CZ" or char == " " else f"\\u{{{ord(char):x}}}"
        for char in text
    )


def closest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word most like `word`, or else all that are known."""
    from difflib import get_close_matches

    names = list(known)
    match = get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if match:
        return f"did you mean `{match[0]}`?"
    return (
        f"known here: {', '.join(names[:_NAMED])}" + (", ..." if len(names) > _NAMED else "") if names else ""
    )


def raise_faults(
    faults: Sequence[Fault], phase: Phase, reason: Reason, hint: str = "skillrunner validate"
) -> NoReturn:
    """Stop with all of `faults` in one error."""
    lines = [f"{fault}\n  {fault.hint}" if fault.hint else str(fault) for fault in sorted(faults)]
    raise RunnerError(phase, reason, "\n".join(lines), hint=hint)
