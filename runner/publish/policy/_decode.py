"""The texts that a text may stand for: encodings undone, compression undone, again and again. Pure.

Each step is linear in its input, and what one content may become in all is bounded, so an agent cannot make
the search take long. Sources: RFC 4648 (base64, base32), RFC 1952, 1950 and 1951 (gzip, zlib, deflate),
APPNOTE.TXT 4.3.7 (zip's local header), uuencode(5), Unicode UAX #15 (compatibility characters).
"""

import base64
import binascii
import bz2
import html
import lzma
import re
import unicodedata
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from runner.publish.policy._archives import archives
from runner.publish.policy._lookalikes import latin

DEPTH = 4
"""How many encodings may stand on top of each other."""

_BUDGET = 6  # times the content's size, and a little more: all that it may become
_ROOM = 32 * 1024**2
_INFLATED = 16 * 1024**2  # bytes of one compressed piece
_ATTEMPTS = 20_000  # pieces of one text that begin as something compressed does
_FED = 16  # times the size of a text, and a little more: all that is read of such pieces
_MORE_FED = 64 * 1024**2
_TASTE = 512  # bytes of such a piece that are tried first
_PIECE = 256 * 1024  # that are read at most at once
_SMALL = 4096  # bytes of a compressed piece that is put together with others
_COST = 64  # bytes that could be read in the time that a beginning takes

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
    rb"%(?:u00)?([0-9a-fA-F]{2})|=([0-9a-fA-F]{2})|\\x([0-9a-fA-F]{2})|\\[uU](?:0000)?00([0-9a-fA-F]{2})"
    rb"|\\u\{0*([0-9a-fA-F]{2})\}|\\0?([0-3][0-7]{2})|\\([\"'/\\])"
)
_READABLE = re.compile(rb"[\t\r\n\x20-\x7e]{8,}")
_MARKED_HEX = re.compile(rb"(?:0[xX]|U\+00|[$#])([0-9a-fA-F]{2})(?![0-9a-fA-F])")
_DUMP = re.compile(rb"^[ \t+>]*[0-9a-fA-F]{6,8}:?[ \t]+((?:[0-9a-fA-F]{2,4}[ \t]*){1,16})", re.MULTILINE)
_NUMBERED = re.compile(rb"^[ \t+>#*-]*\d{1,6}[.):|]?[ \t]+", re.MULTILINE)
_UU_LINE = re.compile(rb"^[+ ]?([!-M][ -`]{4,84})\r?$", re.MULTILINE)
_LONG_WORD = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
_TAGS = {0xE0000 + code: code for code in range(0x20, 0x7F)}
# RFC 1950: the method is 8, no dictionary, and the two bytes are a multiple of 31.
_ZLIB = b"|".join(
    re.escape(bytes((method, flags)))
    for method in range(0x08, 0x80, 0x10)
    for flags in range(256)
    if (method * 256 + flags) % 31 == 0 and not flags & 0x20
)
_MAGIC = re.compile(rb"\x1f\x8b\x08|PK\x03\x04|BZh[1-9]|\xfd7zXZ\x00|\x5d\x00\x00|" + _ZLIB, re.DOTALL)
_LZMA_IN_ZIP = 14  # APPNOTE.TXT 4.4.5


class Inflater(Protocol):
    """What reads compressed data piece by piece."""

    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class UnsearchableError(ValueError):
    """A content holds more encoded content than is decoded, so a part of it was not read."""


def readings(data: bytes) -> Iterator[tuple[str, bytes]]:
    """`data`, and every text that it may be an encoding of, each with how: ("base64, gzip", bytes).

    Raises UnsearchableError at the end when there was more than is decoded.
    """
    skipped = False
    waiting = deque([("", data, 0)])
    seen, room = {data}, _BUDGET * len(data) + _ROOM
    feed = _Feed(_FED * len(data) + _MORE_FED)
    while waiting:
        form, text, depth = waiting.popleft()
        yield form, text
        for name, decoded in _decoded(text, feed) if depth < DEPTH else ():
            if decoded in seen:
                continue
            if len(decoded) > min(room, _INFLATED):
                skipped = True
                continue
            seen.add(decoded)
            room -= len(decoded)
            waiting.append((f"{form}, {name}" if form else name, decoded, depth + 1))
    if skipped or feed.skipped:
        raise UnsearchableError


@dataclass(slots=True)
class _Feed:
    """How many bytes may still be read and made of what seems to be compressed, which may begin anywhere."""

    left: int
    skipped: bool = False


def _decoded(text: bytes, feed: _Feed) -> Iterator[tuple[str, bytes]]:
    """Most of what comes of decoding all of a text is noise: what is readable in it goes on."""
    yield from _members(text, feed)
    for name, decode in _DECODERS:
        for decoded in decode(text):
            if decoded is not text:
                yield from ((f"{name}, compressed", inflated) for inflated in _compressed(decoded, feed))
                yield from ((f"{name}, {kind}", joined) for kind, joined in _members(decoded, feed))
            if readable := b"\n".join(_READABLE.findall(decoded.replace(b"\0", b""))):
                yield name, readable
    for word in islice(_LONG_WORD.finditer(text), _ATTEMPTS):
        plain = word[0].rstrip(b"=").translate(_URL_SAFE)
        raw = base64.b64decode(plain[: len(plain) // 4 * 4] + _padded(plain))
        if (inflated := _deflated(raw, feed)) is not None:
            yield "base64, compressed", inflated
    yield from (("compressed", inflated) for inflated in _compressed(text, feed))


def _members(text: bytes, feed: _Feed) -> Iterator[tuple[str, bytes]]:
    """The contents of an archive's members, as one text."""
    for archive in archives(text):
        feed.skipped |= not archive.complete
        yield from ((f"members of a {archive.kind}", joined) for joined in archive.joined())


def _padded(plain: bytes) -> bytes:
    """The last group of base64 with its padding; empty where there is none."""
    rest = plain[len(plain) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


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
    """All digits of a text; those that have a mark; those of a dump, also as words of two bytes."""
    marked = _MARKED_HEX.findall(text)
    if len(marked) > 5:
        yield binascii.unhexlify(b"".join(marked))
    dump = b"".join(_DUMP.findall(text)).translate(None, _HEX)
    if len(dump) > 10:
        raw = binascii.unhexlify(dump[: len(dump) // 4 * 4])
        yield raw
        yield b"".join(raw[at + 1 : at + 2] + raw[at : at + 1] for at in range(0, len(raw), 2))
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


def _uu(text: bytes) -> Iterator[bytes]:
    """Lines of uuencode: the first character tells how many bytes a line holds, and so how long it is."""
    lines = [line for line in _UU_LINE.findall(text) if len(line) - 1 == -(-(line[0] - 32) // 3) * 4]
    if lines:
        yield b"".join(map(_uu_line, lines))


def _uu_line(line: bytes) -> bytes:
    with suppress(binascii.Error):
        return binascii.a2b_uu(line)
    return b""


def _numbered(text: bytes) -> Iterator[bytes]:
    if len(list(islice(_NUMBERED.finditer(text), 4))) == 4:
        yield _NUMBERED.sub(b"", text)


def _compatible(text: bytes) -> Iterator[bytes]:
    """Letters that Unicode calls compatible: full-width, mathematical, and its tags."""
    if not text.isascii():
        shown = text.decode("utf-8", "replace").translate(_TAGS)
        yield unicodedata.normalize("NFKC", shown).encode("utf-8", "replace")


def _lookalikes(text: bytes) -> Iterator[bytes]:
    """Letters of other alphabets, and letters with accents, as the Latin ones."""
    if not text.isascii():
        yield latin(text.decode("utf-8", "replace")).encode("utf-8", "replace")


def _entities(text: bytes) -> Iterator[bytes]:
    if b"&" in text:
        yield html.unescape(text.decode("latin-1")).encode("utf-8", "replace")


def _compressed(text: bytes, feed: _Feed) -> Iterator[bytes]:
    """What is compressed in the text: each piece, and the small ones together; or the text as a whole."""
    small: list[bytes] = []
    if (whole := _deflated(text, feed)) is not None:
        yield whole
    for number, magic in enumerate(_MAGIC.finditer(text)):
        if number >= _ATTEMPTS:
            feed.skipped = True
            break
        start, inflater = _inflater(text, magic)
        if inflater is not None and (piece := _inflate(inflater, text, start, feed)):
            yield piece
            small += [piece] if len(piece) <= _SMALL else []
    if len(small) > 1:
        yield b"".join(small)


def _inflater(text: bytes, magic: re.Match[bytes]) -> "tuple[int, Inflater | None]":
    """Where the compressed data begins, and what reads it."""
    start, head = magic.start(), magic[0]
    if head.startswith(b"BZh"):
        return start, bz2.BZ2Decompressor()
    if head.startswith(b"\xfd7z"):
        return start, lzma.LZMADecompressor()
    if head == b"\x5d\x00\x00":
        return start, lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    if head != b"PK\x03\x04":
        return start, zlib.decompressobj(32 + zlib.MAX_WBITS)
    names = sum(int.from_bytes(text[start + at : start + at + 2], "little") for at in (26, 28))
    if int.from_bytes(text[start + 8 : start + 10], "little") == _LZMA_IN_ZIP:
        return start + 30 + names + 9, _lzma_in_zip(text[start + 30 + names + 4 : start + 30 + names + 9])
    return start + 30 + names, zlib.decompressobj(-zlib.MAX_WBITS)


def _lzma_in_zip(properties: bytes) -> lzma.LZMADecompressor | None:
    """What reads a member of this method; the properties stand before its data (APPNOTE.TXT 5.8.8)."""
    if len(properties) < 5:
        return None
    rest, first = divmod(properties[0], 9)
    size = min(int.from_bytes(properties[1:], "little"), _INFLATED)
    options = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(size, 4096),
        "lc": first,
        "lp": rest % 5,
        "pb": rest // 5,
    }
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options])
    except (lzma.LZMAError, ValueError):
        return None


def _inflate(inflater: "Inflater", text: bytes, start: int, feed: _Feed) -> bytes:
    """What is compressed from `start` on, as far as it goes; empty where nothing is."""
    made: list[bytes] = []
    room, size = _INFLATED + 1, _TASTE
    while start < len(text) and room > 0 and not inflater.eof:
        if feed.left <= 0:
            feed.skipped = True
            break
        piece = text[start : start + size]
        start, size, feed.left = start + len(piece), min(size * 2, _PIECE), feed.left - len(piece) - _COST
        try:
            out = inflater.decompress(piece, room)
        except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError, MemoryError):
            break
        made.append(out)
        room, feed.left = room - len(out), feed.left - len(out)
    return b"".join(made)


def _deflated(text: bytes, feed: _Feed) -> bytes | None:
    """What a text is as a stream of deflate without any mark; None: it is none."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = _inflate(inflater, text, 0, feed)
    return out if out and inflater.eof else None


_DECODERS: tuple[tuple[str, Callable[[bytes], Iterator[bytes]]], ...] = (
    ("UTF-16", lambda text: iter([text] if b"\0" in text else [])),
    ("escapes", _escapes),
    ("HTML entities", _entities),
    ("base64", _base64),
    ("base64 in pieces", _pieces),
    ("hexadecimal", _hex),
    ("character codes", _numbers),
    ("base32", _base32),
    ("uuencode", _uu),
    ("numbered lines", _numbered),
    ("compatibility characters", _compatible),
    ("look-alike letters", _lookalikes),
)
