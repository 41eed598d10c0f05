"""Whether a known secret is in what would be published, plain or in disguise.

Found: the value as it is, in base64 (any alignment, both alphabets), hexadecimal, URL and JSON
escapes, reversed, spread over lines or string pieces, and with a part of it cut off at either end.
Not found: encryption, compression, or an encoding of the harness's own making. That is why a secret
should not be in the sandbox in the first place.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

from runner.model import Refusal

_NOT_ALNUM = re.compile(rb"[^A-Za-z0-9]+")
_DIFF_MARK = re.compile(rb"^[+\- ]", re.MULTILINE)
_SHORTEST = 6  # a shorter value occurs by chance
_LEAST_PART = 12  # characters of a secret that give it away on their own


def refusals(contents: Mapping[str, bytes], values: Mapping[str, str]) -> Iterator[Refusal]:
    """One refusal for every text in which a secret is found; names only, never the value."""
    for subject, content in contents.items():
        squeezed = _squeeze(_DIFF_MARK.sub(b"", content))
        for name, value in values.items():
            if form := _found(value, content, squeezed):
                yield Refusal(rule="secret", subject=subject, message=f"holds the secret {name} ({form})")


def _found(value: str, content: bytes, squeezed: bytes) -> str | None:
    if len(value) < _SHORTEST:
        return None
    if value.encode() in content:
        return "plain"
    for form, encoded in _encoded(value):
        if encoded in content:
            return form
        if _parts_in(_squeeze(encoded), squeezed):
            return f"{form}, split or cut"
    return None


def _encoded(value: str) -> Iterator[tuple[str, bytes]]:
    raw = value.encode()
    yield "plain", raw
    yield "reversed", raw[::-1]
    yield "hexadecimal", raw.hex().encode()
    yield "hexadecimal", raw.hex().upper().encode()
    yield "URL-encoded", quote(value, safe="").encode()
    yield "URL-encoded", quote_plus(value).encode()
    yield "JSON-escaped", json.dumps(value)[1:-1].encode()
    for shift in range(3):
        yield "base64", _base64_core(raw, shift)
        yield "base64", _base64_core(raw, shift).translate(bytes.maketrans(b"+/", b"-_"))


def _base64_core(raw: bytes, shift: int) -> bytes:
    """The characters of base64 that depend on `raw` alone, when `shift` bytes stand before it."""
    encoded = base64.b64encode(b"\0" * shift + raw)
    start = (0, 2, 3)[shift]
    spare = (shift + len(raw)) % 3
    end = len(encoded) - (0, 3, 2)[spare]
    return encoded[start:end]


def _squeeze(data: bytes) -> bytes:
    return _NOT_ALNUM.sub(b"", data)


def _parts_in(needle: bytes, haystack: bytes) -> bool:
    """Whether a large enough part of `needle`, wherever it begins, is in `haystack`."""
    size = max(_LEAST_PART, len(needle) * 3 // 5)
    if len(needle) < size:
        return len(needle) >= _SHORTEST + 2 and needle in haystack
    return any(needle[at : at + size] in haystack for at in range(len(needle) - size + 1))
