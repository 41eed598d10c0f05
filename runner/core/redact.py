"""Masks secrets, and makes characters visible that could deceive a reader.

Masked are the exact values of known secrets and of their lines, plain and in base64 (any alignment, both
alphabets), hexadecimal, URL and JSON escapes. An encoding of the harness's own making is not found: a
secret that must not leak should not be in the sandbox in the first place.
"""

import base64
import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

MASK = b"***"
MIN_LENGTH = 6  # bytes; a shorter value occurs by chance, and masking it would shred the text

_PICTURES = 0x2400  # where Unicode has a visible picture of each control character
_UNSAFE = re.compile(
    "\r\n|[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
"""Control characters, and what Unicode shows as nothing or uses to turn text around; emoji need U+FE0F."""


def escape_invisible(text: str) -> str:
    """`text` with terminal control sequences, invisible and bidirectional characters made visible."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_shown, text)


_COMMAND = re.compile(r"^(\s*):(?=:)|(?<=#)#(?=\[)", re.MULTILINE)


def escape_output(text: str) -> str:
    """`text` in which neither a terminal nor GitHub's runner finds anything to do.

    That runner acts on lines that begin with `::` and on `##[...]` anywhere in a line ("Workflow commands for
    GitHub Actions").
    """
    return _COMMAND.sub(_broken, escape_invisible(text))


def _broken(found: re.Match[str]) -> str:
    return f"{found[1] or ''}\u2236" if found[0].endswith(":") else "\u266f"


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\r\n":
        return "\n"
    code = ord(character)
    return chr(_PICTURES + code) if code < 0x20 else f"\\u{{{code:x}}}"


def readable(text: str) -> str:
    """The text as UTF-8 can hold it: other bytes, of a file's name perhaps, are spelled out as `\\xe5`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogatepass")
        with suppress(UnicodeEncodeError):
            raw = text.encode("utf-8", "surrogateescape")
        return raw.decode("utf-8", "backslashreplace")
    return text


def encodings(value: str) -> Iterator[tuple[str, bytes]]:
    """The forms in which a secret may appear: (name of the form, bytes). Some may be equal."""
    raw = value.encode()
    yield "plain", raw
    yield "hexadecimal", raw.hex().encode()
    yield "hexadecimal", raw.hex().upper().encode()
    yield "URL-encoded", quote(value, safe="").encode()
    yield "URL-encoded", quote_plus(value).encode()
    yield "JSON-escaped", json.dumps(value)[1:-1].encode()
    yield "JSON-escaped", json.dumps(value, ensure_ascii=False)[1:-1].encode()
    for before in range(3):
        core = _base64_core(raw, before)
        yield "base64", core
        yield "base64", core.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_core(raw: bytes, before: int) -> bytes:
    """The characters of base64 that depend on `raw` alone, when `before` bytes stand in front of it."""
    encoded = base64.b64encode(b"\0" * before + raw)
    spare = (before + len(raw)) % 3
    return encoded[(0, 2, 3)[before] : len(encoded) - (0, 3, 2)[spare]]


@dataclass(slots=True, repr=False)  # its representation would show the secrets
class Redactor:
    """Masks secrets in a stream of bytes, also where a secret is spread over several chunks.

    Only what could be the beginning of a secret is held back, so text flows on without delay.
    """

    _needles: tuple[bytes, ...]
    _by_first: dict[int, tuple[bytes, ...]] = field(init=False)
    _pattern: re.Pattern[bytes] = field(init=False)
    _reach: int = field(init=False)  # the greatest length of a secret's beginning that has to be held back
    _held: bytes = b""

    def __init__(self, secrets: Collection[str]) -> None:
        self._needles = tuple(sorted(_needles(secrets), key=len, reverse=True))
        self._by_first = {
            first: tuple(needle for needle in self._needles if needle[0] == first)
            for first in {needle[0] for needle in self._needles}
        }
        self._pattern = re.compile(b"|".join(map(re.escape, self._needles)) or b"(?!)")
        self._reach = len(self._needles[0]) - 1 if self._needles else 0
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The output that is safe after `data`."""
        data = self._held + data
        keep = self._undecided(data)
        shown, done = self._masked(data, keep)
        self._held = data[done:]
        return shown

    def redact(self, text: str) -> str:
        """Mask the secrets in a whole text, apart from the stream."""
        data = text.encode("utf-8", "surrogatepass")
        if self._pattern.search(data) is None:
            return text
        shown, _ = self._masked(data, len(data))
        return shown.decode("utf-8", "surrogatepass")

    def end(self) -> bytes:
        """The rest of the output, after the end of the stream."""
        shown, _ = self._masked(self._held, len(self._held))
        self._held = b""
        return shown

    def _undecided(self, data: bytes) -> int:
        """Where the end of `data` may be the beginning of a secret; its length when nowhere."""
        for at in range(max(0, len(data) - self._reach), len(data)):
            tail = data[at:] if data[at] in self._by_first else b""
            if tail and any(
                needle.startswith(tail) for needle in self._by_first[data[at]] if len(needle) > len(tail)
            ):
                return at
        return len(data)

    def _masked(self, data: bytes, keep: int) -> tuple[bytes, int]:
        """`data` up to `keep`, or to the end of a secret that begins before it, masked; and where that is."""
        parts = []
        done = 0
        for start, end in self._spans(data, keep):
            parts += [data[done:start], MASK]
            done = end
        if done < keep:
            parts.append(data[done:keep])
        return b"".join(parts), max(done, keep)

    def _spans(self, data: bytes, keep: int) -> Iterator[tuple[int, int]]:
        """Where secrets stand that begin before `keep`; those that overlap as one."""
        found = self._pattern.search(data)
        while found and found.start() < keep:
            start, end = found.span()
            at = start + 1
            while (inner := self._pattern.search(data, at)) and inner.start() < min(end, keep):
                end, at = max(end, inner.end()), inner.start() + 1
            yield start, end
            found = self._pattern.search(data, end)


def _needles(secrets: Collection[str]) -> set[bytes]:
    values = {part for secret in secrets for part in (secret, secret.strip(), *secret.splitlines())}
    forms = {form for value in values if len(value.encode()) >= MIN_LENGTH for _, form in encodings(value)}
    return {form for form in forms if len(form) >= MIN_LENGTH}
