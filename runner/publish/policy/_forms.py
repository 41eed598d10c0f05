"""The ways to write a secret down that are looked for in a text as they are. Pure.

Base64 and its kin depend on what stands before the secret, so each is made for every place where a secret can
begin in a group. What a text is decoded from is in `_decode`; this is for what would decode any text.
"""

import base64
import codecs
from collections.abc import Callable, Iterator

from runner.core.redact import encodings

_SMALL = 2048  # characters of a secret that is looked for in the rarer writings too
_NUMBER = 1024  # bytes of one that is looked for as one number
_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_UPPER, _LOWER, _DIGITS = _STANDARD[:26], _STANDARD[26:52], _STANDARD[52:62]
_ALPHABETS = {
    "base64 of bcrypt": bytes.maketrans(_STANDARD, b"./" + _UPPER + _LOWER + _DIGITS),
    "base64 of crypt": bytes.maketrans(_STANDARD, b"./" + _DIGITS + _UPPER + _LOWER),
    "xxencode": bytes.maketrans(_STANDARD, b"+-" + _DIGITS + _UPPER + _LOWER),
    "uuencode": bytes.maketrans(_STANDARD, b"`" + bytes(range(33, 96))),
}


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """What a secret may look like: (name of the form, bytes). Some may be equal."""
    raw = value.encode()
    for form, written in encodings(value):
        yield form, written
        if len(raw) <= _SMALL or form == "plain":
            yield ("reversed" if form == "plain" else f"{form}, reversed"), written[::-1]
    if len(raw) <= _SMALL:
        yield from _rare(value, raw)


def _rare(value: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    yield "ROT13", codecs.encode(value, "rot13").encode()
    yield from (("in other case", one.encode()) for one in (value.upper(), value.lower(), value.swapcase()))
    if len(raw) <= _NUMBER:
        yield "one number", str(int.from_bytes(raw, "big")).encode()
    yield from (("hexadecimal", _swapped(raw, start).hex().encode()) for start in range(2))
    yield from _base32(raw)
    cores = [written for form, written in encodings(value) if form == "base64"]
    yield from ((name, core.translate(table)) for name, table in _ALPHABETS.items() for core in cores)
    for form, encode in (("base85", base64.b85encode), ("ascii85", base64.a85encode)):
        yield from ((form, written) for written in _in_groups(raw, encode))


def _base32(raw: bytes) -> Iterator[tuple[str, bytes]]:
    for encode in (base64.b32encode, base64.b32hexencode):
        for before in range(5):
            written = encode(b"\0" * before + raw).rstrip(b"=")
            core = written[(before * 8 + 4) // 5 : len(written) - 1]
            for one in (core, core.lower()):
                yield "base32", one
                yield "base32, reversed", one[::-1]


def binary_digits(value: str) -> bytes:
    """The bits of a secret."""
    return "".join(f"{byte:08b}" for byte in value.encode()[:_SMALL]).encode()


def _swapped(raw: bytes, start: int) -> bytes:
    """The bytes as words of two in the order of most processors, as hexdump and od print them."""
    whole = raw[start : start + (len(raw) - start) // 2 * 2]
    return b"".join(whole[at : at + 2][::-1] for at in range(0, len(whole), 2))


def _in_groups(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """What groups of four bytes become, in five characters, that hold nothing but the secret."""
    for before in range(4):
        whole = (before + len(raw)) // 4 * 4
        yield encode((b"\0" * before + raw)[4 if before else 0 : whole])
