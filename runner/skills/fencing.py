"""Wraps an event's values so that a template can test and filter them, but prints them only fenced.

Whoever can open an issue writes these values. Where one is printed into a prompt it stands between fences
that it cannot contain, and what a reader would not see in it is spelled out.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256

from runner.config.documents import Data, closest

# Blank or joining code points that Unicode does not class as format characters, and variation selectors:
# text hidden in these survives copying, and models read it.
_BLANK = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0))
)
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0))))
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_PLAIN = re.compile(r"[\n\t -~]*")
_LINE = 80  # a value up to this long, on one line, is fenced in place


def show_invisible(text: str) -> tuple[str, int]:
    """The text with invisible, direction-changing and control characters spelled out, and their number."""
    text = text.replace("\r\n", "\n")
    if _PLAIN.fullmatch(text):
        return text, 0
    count, out = 0, []
    for char, before in zip(text, " " + text, strict=False):
        if _hidden(char, before):
            count += 1
            char = f"\\u{{{ord(char):x}}}"
        out.append(char)
    return "".join(out), count


def _hidden(char: str, before: str) -> bool:
    if char in "\n\t":
        return False
    if char == "\ufe0f":  # one of these makes an emoji of a sign; a row of them is a message
        return before == char or before in _SELECTORS
    return char in _BLANK or char in _SELECTORS or unicodedata.category(char) in _HIDDEN


def fence(event: Data) -> str:
    """The mark of an event's fences, which the event does not contain.

    It follows from the whole event, so that the same event always gives the same prompt, and so that to write
    it into an event one would have to find a text which holds a part of its own SHA-256.
    """
    text = json.dumps(event, sort_keys=True, default=str)
    mark = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    while mark in text:
        mark = sha256(mark.encode()).hexdigest()[:20]
    return mark


Show = Callable[[Data], str]


class Untrusted:
    """The value of the event at `path`; a template prints the result of `show` for it."""

    __slots__ = ("_path", "_show", "_value")

    def __init__(self, value: Data, show: Show, path: str) -> None:
        self._value = value
        self._show = show
        self._path = path

    def __str__(self) -> str:
        return self._show(self._value)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return bool(self._value == unwrap(other))

    def __hash__(self) -> int:
        return hash(self._value)

    def __lt__(self, other: object) -> bool:
        return bool(self._value < unwrap(other))

    def __le__(self, other: object) -> bool:
        return bool(self._value <= unwrap(other))

    def __gt__(self, other: object) -> bool:
        return bool(self._value > unwrap(other))

    def __ge__(self, other: object) -> bool:
        return bool(self._value >= unwrap(other))

    def __len__(self) -> int:
        return len(self._value)

    def __contains__(self, item: object) -> bool:
        return unwrap(item) in self._value

    def __iter__(self) -> Iterator["Untrusted"]:
        for index, item in enumerate(self._value):
            yield Untrusted(item, self._show, f"{self._path}[{index}]")

    def child(self, key: object) -> "Untrusted | None":
        """The value under a key or index; None where there is none."""
        key = unwrap(key)
        value, path = self._value, f"{self._path}.{key}"
        if isinstance(value, Mapping) and key in value:
            return Untrusted(value[key], self._show, path)
        indexed = isinstance(value, Sequence) and isinstance(key, int) and -len(value) <= key < len(value)
        return Untrusted(value[key], self._show, path) if indexed else None

    def missing(self, key: object) -> str:
        """The message for a missing key."""
        if not isinstance(self._value, Mapping):
            return f"`{self._path}` is {_kind(self._value)}, it has no `{key}`"
        known = sorted(str(name) for name in self._value)[:40]
        hint = closest(str(key), known) or "it is empty"
        return f"`{self._path}` has no `{key}`; {show_invisible(hint)[0]}"

    def null_message(self) -> str:
        """The message for whatever is asked of a null."""
        return f"`{self._path}` is null"

    def derive(self, value: Data) -> "Untrusted":
        """A value computed from this one, untrusted as well."""
        return Untrusted(value, self._show, self._path)


def _kind(value: Data) -> str:
    names = {str: "a text", bool: "true or false", list: "a list", type(None): "null"}
    return names.get(type(value), "a number")


def unwrap(value: Data) -> Data:
    """The plain value, unwrapped at any depth of lists and mappings."""
    if isinstance(value, Untrusted):
        return value._value
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(item) for item in value)
    if isinstance(value, dict):
        return {unwrap(key): unwrap(item) for key, item in value.items()}
    return value


def find_untrusted(value: Data) -> "Untrusted | None":
    """An untrusted value inside `value`, if there is one."""
    if isinstance(value, Untrusted):
        return value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return next((found for item in items if (found := find_untrusted(item)) is not None), None)


def as_text(value: Data) -> str:
    """A value as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def fence_value(value: Data, mark: str) -> tuple[str, int]:
    """(the value between fences, how many of its characters were spelled out)"""
    text, count = show_invisible(as_text(value))
    if "\n" not in text and len(text) <= _LINE:
        return f"<untrusted-{mark}>{text}</untrusted-{mark}>", count
    return f"<untrusted-{mark}>\n{text}\n</untrusted-{mark}>", count


def one_line(value: Data, limit: int = 200) -> str:
    """A value as a short line of plain text, for titles and labels."""
    text = " ".join(show_invisible(as_text(value).replace("\r", "\n"))[0].split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
