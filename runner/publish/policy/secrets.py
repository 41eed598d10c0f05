"""Whether a known secret is in what would be published, plain or in disguise. Pure, and linear in time.

A secret is found as it is, reversed, in other case, in base64 and its kin (base32, base85, uuencode, the
alphabets of bcrypt and crypt), hexadecimal, dumps, binary digits, character codes, one number, URL, JSON,
HTML or quoted-printable escapes, UTF-16 and UTF-32, look-alike letters, gzip, zlib, deflate, bzip2, xz, lzma
or zip, and in most of these on top of each other; spread over lines, numbered ones too, string pieces, names,
files, or members of an archive; and with a part of it cut off at either end. Encryption, or an encoding of an
agent's own making, is not found: a secret that must not leave should not be in the sandbox.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest

from runner.core.model import Refusal
from runner.core.payload import parse_json
from runner.core.redact import MIN_LENGTH
from runner.publish.policy._decode import UnsearchableError, readings
from runner.publish.policy._forms import binary_digits, forms

PATCH = "patch"
"""The name of the text that holds all changes to files once more."""

_NOT_ALNUM = bytes(code for code in range(256) if not chr(code).isalnum() or code > 127)
_LEAST_PART = 12  # characters of a secret that give it away on their own
_LONG_PART = 200  # as many of a long one do, however long it is
_GRAM = 8  # characters by which a part is looked up
_PIECE = 20  # letters and digits of a line that is a secret by itself
_PLACES = 16  # of one gram in a secret that are compared
_REMEMBERED = 100_000  # comparisons
_PATHS = 10_000  # whose folders are put together
_ORDINAL = re.compile(r"^\d+[-_. ]+(?=.)")


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
    yield "all names together", "\n".join(_names(list(parts))).encode("utf-8", "surrogateescape")


def _names(paths: Sequence[str]) -> Iterator[str]:
    """The paths, and what the names in them make together: as they are, without ends, and for each depth."""
    yield from paths
    names = [path.rpartition("/")[2] for path in paths]
    yield "".join(names)
    for without in (names, [_ORDINAL.sub("", name) for name in names]):
        yield "".join(name.rpartition(".")[0] or name for name in without)
    for column in zip_longest(*(path.split("/")[:-1] for path in paths[:_PATHS]), fillvalue=""):
        yield "".join(dict.fromkeys(column))
        yield "".join(_ORDINAL.sub("", name) for name in dict.fromkeys(column))


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
            known: set[bytes] = set()
            for form, written in (*forms(value), *(("plain", one.encode()) for one in _pieces(value))):
                if (text := _squeeze(written)) not in known or len(text) < _LEAST_PART:
                    known.add(text)
                    self._add(name, form, written, text)
            self._short.append(_Part(name, "binary digits", binary_digits(value), 0))

    def _add(self, name: str, form: str, written: bytes, text: bytes) -> None:
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
            for name, form in self._in(reading, found):
                if name not in found:
                    found.add(name)
                    yield name, ", ".join(part for part in (how, form) if part) or "plain"
            if len(found) == len(self.values):
                return

    def _in(self, text: bytes, known: set[str]) -> Iterator[tuple[str, str]]:
        """What is found besides the known."""
        yield from ((name, form) for name, form, written in self._exact if written in text)
        squeezed = _squeeze(text)
        yield from ((part.name, _form(part)) for part in self._short if part.text in squeezed)
        yield from self._parts_in(squeezed, known)

    def _parts_in(self, text: bytes, known: set[str]) -> Iterator[tuple[str, str]]:
        """Whatever is as long as a telling part holds a gram at one of the places that are looked at.

        What stands around a place is compared once for all places that it spans.
        """
        compared: dict[
            tuple[int, int], int
        ] = {}  # up to where, of a part that is laid on the text at a place
        for at in range(0, len(text) - _GRAM + 1, self._stride):
            for part, place in self._grams.get(text[at : at + _GRAM], ()):
                laid = (id(part), at - place)
                if compared.get(laid, -1) >= at or part.name in known:
                    continue
                left, right = _shared(text, at, part, place)
                if left + right >= part.size:
                    yield part.name, _form(part)
                if len(compared) > _REMEMBERED:
                    compared.clear()
                compared[laid] = at + right


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


def _shared(text: bytes, at: int, part: _Part, place: int) -> tuple[int, int]:
    """How many characters before and after `at` in `text` stand around `place` in the part as well."""
    before = min(at, place, part.size)
    left = _common(text[at - before : at][::-1], part.text[place - before : place][::-1])
    right = _common(text[at : at + part.size], part.text[place : place + part.size])
    return left, right


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
