"""Whether a known secret is in what would be published, plain or in disguise. Pure, and linear in time.

A secret is found as it is, reversed, in base64, base32, hexadecimal, character codes, URL, JSON, HTML or
quoted-printable escapes, UTF-16, gzip, zlib, bzip2, xz or zip, and in these on top of each other; spread
over lines, string pieces, names or files; and with a part of it cut off at either end. Encryption, or an
encoding of an agent's own making, is not found: a secret that must not leave should not be in the sandbox.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from runner.core.model import Refusal
from runner.core.payload import parse_json
from runner.core.redact import MIN_LENGTH, encodings
from runner.publish.policy._decode import UnsearchableError, readings

PATCH = "patch"
"""The name of the text that holds all changes to files once more."""

_DIFF_MARK = re.compile(rb"^[+\- ]", re.MULTILINE)
_NOT_ALNUM = bytes(code for code in range(256) if not chr(code).isalnum() or code > 127)
_LEAST_PART = 12  # characters of a secret that give it away on their own
_LONG_PART = 200  # as many of a long one do, however long it is
_GRAM = 8  # characters by which a part is looked up
_PIECE = 20  # letters and digits of a line that is a secret by itself
_PLACES = 16  # of one gram in a secret that are compared


def refusals(contents: Mapping[str, bytes], values: Mapping[str, str]) -> Iterator[Refusal]:
    """One refusal for every text in which a secret is found; names only, never the value.

    `contents` maps what people call a text ("docs/a.md", "summary") to its bytes. Texts are searched one by
    one. The patch, which holds the others' lines again, and all of them one after the other as if they were
    one, are searched for what was not found before.
    """
    search = _Search({name: value for name, value in values.items() if len(value) >= MIN_LENGTH})
    if not search.values:
        return
    parts = {subject: content for subject, content in contents.items() if subject != PATCH}
    named: set[str] = set()
    for subject, content in parts.items():
        try:
            for name, form in search.find(content):
                named.add(name)
                yield Refusal(rule="secret", subject=subject, message=f"holds the secret {name} ({form})")
        except UnsearchableError:
            message = "holds more encoded content than can be searched for secrets"
            yield Refusal(rule="secret", subject=subject, message=message)
    for subject, content in _wholes(parts, contents.get(PATCH, b"")):
        with suppress(UnsearchableError):  # its parts have been searched, or were refused
            for name, form in search.find(content):
                if name not in named:
                    named.add(name)
                    yield Refusal(rule="secret", subject=subject, message=f"holds the secret {name} ({form})")


def _wholes(parts: Mapping[str, bytes], patch: bytes) -> Iterator[tuple[str, bytes]]:
    yield PATCH, patch
    yield "all content together", b"".join(parts.values())
    names = "".join(path.rpartition("/")[2] for path in parts)
    yield "all names together", "\n".join((*parts, names)).encode("utf-8", "surrogateescape")


@dataclass(slots=True)
class _Part:
    """A written form of a secret without what is no letter or digit, and how much of it gives it away."""

    name: str
    form: str
    text: bytes
    size: int


@dataclass(slots=True)
class _Search:
    """All secrets at once, prepared so that one pass over a text looks for every one of them."""

    values: Mapping[str, str]
    _exact: list[tuple[str, str, bytes]] = field(default_factory=list)  # name, form, bytes
    _short: list[_Part] = field(default_factory=list)
    _grams: dict[bytes, list[tuple[_Part, int]]] = field(default_factory=dict)
    _stride: int = _LONG_PART  # characters between two places that are looked at

    def __post_init__(self) -> None:
        for name, value in self.values.items():
            self._exact.append((name, "", value.encode()))
            for form, written in (*encodings(value), *_base32_forms(value)):
                self._add(name, form, written)
                self._add(name, "reversed" if form == "plain" else f"{form}, reversed", written[::-1])
            for piece in _pieces(value):
                self._add(name, "plain", piece.encode())

    def _add(self, name: str, form: str, written: bytes) -> None:
        text = _squeeze(written)
        size = min(max(_LEAST_PART, len(text) * 3 // 5), _LONG_PART)
        part = _Part(name, form, text, size)
        if len(text) < size:
            if len(text) >= MIN_LENGTH + 2:
                self._short.append(part)
            elif len(written) >= MIN_LENGTH:  # so few letters and digits occur by chance: only as it is
                self._exact.append((name, form, written))
            return
        self._stride = min(self._stride, size - _GRAM + 1)
        for at in range(len(text) - _GRAM + 1):
            places = self._grams.setdefault(text[at : at + _GRAM], [])
            if len(places) < _PLACES:
                places.append((part, at))

    def find(self, content: bytes) -> Iterator[tuple[str, str]]:
        """Each secret that is in `content`, once, with the form in which it was found."""
        found: set[str] = set()
        for how, reading in readings(content):
            for name, form in self._in(reading):
                if name not in found:
                    found.add(name)
                    yield name, ", ".join(part for part in (how, form) if part) or "plain"
            if len(found) == len(self.values):
                return

    def _in(self, text: bytes) -> Iterator[tuple[str, str]]:
        yield from ((name, form) for name, form, written in self._exact if written in text)
        for squeezed in {_squeeze(text), _squeeze(_DIFF_MARK.sub(b"", text))}:
            yield from ((part.name, _form(part)) for part in self._short if part.text in squeezed)
            yield from self._parts_in(squeezed)

    def _parts_in(self, text: bytes) -> Iterator[tuple[str, str]]:
        """Whatever is as long as a telling part holds a gram at one of the places that are looked at."""
        for at in range(0, len(text) - _GRAM + 1, self._stride):
            for part, place in self._grams.get(text[at : at + _GRAM], ()):
                if _shared(text, at, part, place) >= part.size:
                    yield part.name, _form(part)


def _base32_forms(value: str) -> Iterator[tuple[str, bytes]]:
    """What base32 makes of the value, wherever in a text it begins, in capitals and in small letters."""
    raw = value.encode()
    for before in range(5):
        written = base64.b32encode(b"\0" * before + raw).rstrip(b"=")
        core = written[(before * 8 + 4) // 5 : len(written) - 1]
        yield from (("base32", core), ("base32", core.lower()))


def _pieces(value: str) -> Iterator[str]:
    """Lines of a secret that are secrets by themselves, also those of texts inside a secret in JSON."""
    texts = [value, *_leaves(value)]
    for line in {line.strip() for text in texts for line in text.splitlines()} - {value}:
        words = not line.isalpha() and not line.isdigit() and not set(line) & set(" @:")
        if words and sum(map(str.isalnum, line)) >= _PIECE:
            yield line


def _leaves(value: str) -> Iterator[str]:
    try:
        waiting = [parse_json(value)] if value.lstrip().startswith(("{", "[")) else []
    except ValueError:
        return
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, (list, dict)):
            waiting += one.values() if isinstance(one, dict) else one


def _squeeze(data: bytes) -> bytes:
    return data.translate(None, _NOT_ALNUM)


def _form(part: _Part) -> str:
    return f"{part.form}, split or cut" if part.form != "plain" else "split or cut"


def _shared(text: bytes, at: int, part: _Part, place: int) -> int:
    """How many characters around `at` in `text` stand around `place` in the part as well."""
    before = min(at, place, part.size)
    left = _common(text[at - before : at][::-1], part.text[place - before : place][::-1])
    right = _common(text[at : at + part.size], part.text[place : place + part.size])
    return left + right


def _common(one: bytes, other: bytes) -> int:
    """The length of the beginning that both have, by halving: comparing slices is fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
