"""The texts that a text may stand for: encodings undone, compression undone, again and again. Pure.

Each step is linear in its input, and what one content may become in all is bounded, so an agent cannot make
the search take long. Sources: RFC 4648 (base64, base32), RFC 1952 and 1950 (gzip, zlib), APPNOTE.TXT 4.3.7
(zip's local header).
"""

import base64
import binascii
import bz2
import html
import lzma
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

DEPTH = 4
"""How many encodings may stand on top of each other."""

_BUDGET = 6  # times the content's size, and a little more: all that it may become
_ROOM = 32 * 1024**2
_INFLATED = 16 * 1024**2  # bytes of one compressed piece
_ATTEMPTS = 10_000  # pieces of one text that begin as something compressed does
_TASTE = 512  # bytes of such a piece that are tried first

_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_BASE32 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_BASE32_RUN = re.compile(rb"[A-Z2-7]{12}")
_WORDS = re.compile(rb"[A-Za-z0-9+/_-]{2,}={0,2}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_STRINGS = re.compile(rb"""["'`]\s*(?:\+|\.|\\)?\s*["'`]""")  # between two pieces of a text in source code
_HEX_MARKS = re.compile(rb"0[xX]|\\[xX]|\\u00|&#[xX]|%")
_NUMBERS = re.compile(rb"\b\d{1,3}(?:\b\D{1,24}?\b\d{1,3}\b){5,}")
_ESCAPE = re.compile(
    rb"%([0-9a-fA-F]{2})|=([0-9A-F]{2})|\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})|\\u\{00([0-9a-fA-F]{2})\}"
    rb"|\\([0-3][0-7]{2})|\\([\"'/\\])"
)
_READABLE = re.compile(rb"[\t\r\n\x20-\x7e]{8,}")
_MAGIC = re.compile(
    rb"\x1f\x8b\x08|[\x38\x48\x58\x68\x78][\x01\x5e\x9c\xda]|PK\x03\x04|BZh[1-9]|\xfd7zXZ\x00"
)


class UnsearchableError(ValueError):
    """A content holds more encoded content than is decoded, so a part of it was not read."""


def readings(data: bytes) -> Iterator[tuple[str, bytes]]:
    """`data`, and every text that it may be an encoding of, each with how: ("base64, gzip", bytes).

    Raises UnsearchableError at the end when there was more than is decoded.
    """
    skipped = False
    waiting = deque([("", data, 0)])
    seen, room = {data}, _BUDGET * len(data) + _ROOM
    while waiting:
        form, text, depth = waiting.popleft()
        yield form, text
        for name, decoded in _decoded(text) if depth < DEPTH else ():
            if decoded in seen:
                continue
            if len(decoded) > min(room, _INFLATED):
                skipped = True
                continue
            seen.add(decoded)
            room -= len(decoded)
            waiting.append((f"{form}, {name}" if form else name, decoded, depth + 1))
    if skipped:
        raise UnsearchableError


def _decoded(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Most of what comes of decoding all of a text is noise: what is readable in it goes on."""
    for name, decode in _DECODERS:
        for decoded in decode(text):
            yield from ((f"{name}, compressed", inflated) for inflated in _compressed(decoded))
            if readable := b"\n".join(_READABLE.findall(decoded.replace(b"\0", b""))):
                yield name, readable
    yield from (("compressed", inflated) for inflated in _compressed(text))


def _base64(text: bytes) -> Iterator[bytes]:
    """The whole text, cleaned of everything else, from each of the four places where it may begin."""
    joined = _STRINGS.sub(b"", text)
    plain = joined.translate(None, _BASE64)
    yield from _at_each(plain, 4, base64.b64decode)
    url_safe = joined.translate(_URL_SAFE, b"+/").translate(None, _BASE64)
    if url_safe != plain:
        yield from _at_each(url_safe, 4, base64.b64decode)


def _pieces(text: bytes) -> Iterator[bytes]:
    """Words that are base64 each by itself, one after the other."""
    words = [word for word in _WORDS.findall(text) if len(word) % 4 == 0]
    if len(words) > 1:
        yield b"".join(base64.b64decode(word.translate(_URL_SAFE)) for word in words)


def _base32(text: bytes) -> Iterator[bytes]:
    if _BASE32_RUN.search(text):
        yield from _at_each(text.translate(None, _BASE32), 8, base64.b32decode)


def _hex(text: bytes) -> Iterator[bytes]:
    yield from _at_each(_HEX_MARKS.sub(b"", text).translate(None, _HEX), 2, binascii.unhexlify)


def _at_each(text: bytes, size: int, decode: Callable[[bytes], bytes]) -> Iterator[bytes]:
    for start in range(size):
        whole = text[start : start + (len(text) - start) // size * size]
        if len(whole) >= 2 * size:
            yield decode(whole)


def _numbers(text: bytes) -> Iterator[bytes]:
    """Lists of character codes: `[116, 111, 107]`."""
    found = [re.findall(rb"\d+", run[0]) for run in _NUMBERS.finditer(text)]
    numbers = [number for run in found for number in run]
    if numbers:
        yield bytes(code for code in map(int, numbers) if code < 256)
        octal = [int(number, 8) for number in numbers if not set(number) - set(b"01234567")]
        yield bytes(code for code in octal if code < 256)


def _escapes(text: bytes) -> Iterator[bytes]:
    """URL, quoted-printable, JSON and source code escapes."""
    if _ESCAPE.search(text):
        yield _ESCAPE.sub(_unescaped, text.replace(b"=\r\n", b"").replace(b"=\n", b""))


def _unescaped(found: re.Match[bytes]) -> bytes:
    *hexadecimal, octal, literal = found.groups()
    if literal:
        return literal
    if octal:
        return bytes([int(octal, 8)])
    return binascii.unhexlify(next(one for one in hexadecimal if one))


def _entities(text: bytes) -> Iterator[bytes]:
    if b"&" in text:
        yield html.unescape(text.decode("latin-1")).encode("utf-8", "replace")


def _compressed(text: bytes) -> Iterator[bytes]:
    whole = memoryview(text)
    for found in islice(_MAGIC.finditer(text), _ATTEMPTS):
        start = found.start() + (_zip_header(text, found.start()) if found[0].startswith(b"PK") else 0)
        if _inflate(found[0], whole[start : start + _TASTE]) is not None:
            yield _inflate(found[0], whole[start:]) or b""


def _zip_header(text: bytes, start: int) -> int:
    names = int.from_bytes(text[start + 26 : start + 28], "little")
    return 30 + names + int.from_bytes(text[start + 28 : start + 30], "little")


def _inflate(magic: bytes, data: memoryview) -> bytes | None:
    """What is compressed at the beginning of `data`, as far as it goes; None: nothing is."""
    try:
        if magic.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(data, _INFLATED + 1)
        if magic.startswith(b"\xfd7z"):
            return lzma.LZMADecompressor().decompress(data, _INFLATED + 1)
        window = -zlib.MAX_WBITS if magic.startswith(b"PK") else 32 + zlib.MAX_WBITS
        return zlib.decompressobj(window).decompress(data, _INFLATED + 1)
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        return None


_DECODERS: tuple[tuple[str, Callable[[bytes], Iterator[bytes]]], ...] = (
    ("UTF-16", lambda text: iter([text] if b"\0" in text else [])),
    ("escapes", _escapes),
    ("HTML entities", _entities),
    ("base64", _base64),
    ("base64 in pieces", _pieces),
    ("hexadecimal", _hex),
    ("character codes", _numbers),
    ("base32", _base32),
)
