"""Whether a known secret is in what would be published, plain or in disguise.

Found: the value as it is, in base64 (any alignment, both alphabets), hexadecimal, URL and JSON
escapes, reversed, spread over lines or string pieces, and with a part of it cut off at either end.
Not found: encryption, compression, or an encoding of the harness's own making. That is why a secret
should not be in the sandbox in the first place.
"""

import re
from collections.abc import Iterator, Mapping

from runner.core.model import Refusal
from runner.core.redact import SHORTEST, encodings

_NOT_ALNUM = re.compile(rb"[^A-Za-z0-9]+")
_DIFF_MARK = re.compile(rb"^[+\- ]", re.MULTILINE)
_LEAST_PART = 12  # characters of a secret that give it away on their own


def refusals(contents: Mapping[str, bytes], values: Mapping[str, str]) -> Iterator[Refusal]:
    """One refusal for every text in which a secret is found; names only, never the value."""
    for subject, content in contents.items():
        squeezed = _squeeze(_DIFF_MARK.sub(b"", content))
        for name, value in values.items():
            if form := _found(value, content, squeezed):
                yield Refusal(rule="secret", subject=subject, message=f"holds the secret {name} ({form})")


def _found(value: str, content: bytes, squeezed: bytes) -> str | None:
    if len(value) < SHORTEST:
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
    yield from encodings(value)
    yield "reversed", value.encode()[::-1]


def _squeeze(data: bytes) -> bytes:
    return _NOT_ALNUM.sub(b"", data)


def _parts_in(needle: bytes, haystack: bytes) -> bool:
    """Whether a large enough part of `needle`, wherever it begins, is in `haystack`."""
    size = max(_LEAST_PART, len(needle) * 3 // 5)
    if len(needle) < size:
        return len(needle) >= SHORTEST + 2 and needle in haystack
    return any(needle[at : at + size] in haystack for at in range(len(needle) - size + 1))
