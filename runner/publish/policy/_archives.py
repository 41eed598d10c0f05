"""What the members of an archive hold, one after the other: a text may be split over them. Pure.

An archive may begin anywhere in a text, and its list of members is not asked: what is there is read. Sources:
APPNOTE.TXT 4.3.7 (zip's local header), POSIX pax "ustar Interchange Format".
"""

import bz2
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_SIGNATURE = re.compile(rb"PK(?:\x01\x02|\x03\x04|\x05\x06|\x07\x08)")
_BLOCK = 512
_HEADER = re.compile(rb"[^\0].{256}ustar", re.DOTALL)
_FILES = (b"0", b"\0", b"7")
_MEMBERS = 20_000
_MEMBER = 256 * 1024  # bytes of one that are unpacked
_END = 4096  # bytes at each end of a larger one: what is split continues there
_ROOM = 64 * 1024**2
_NESTED = 3  # archives that stand in each other
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12


@dataclass(slots=True)
class Members:
    """The members of one kind of archive in a text, and whether all of them were read."""

    kind: str
    contents: list[tuple[bytes, bytes]]  # name, content
    complete: bool = True

    def joined(self) -> Iterator[bytes]:
        """The contents as they stand, and in the order of their names."""
        as_they_stand = b"".join(_ends(content) for _, content in self.contents)
        by_name = b"".join(_ends(content) for _, content in sorted(self.contents))
        yield from dict.fromkeys((as_they_stand, by_name) if len(self.contents) > 1 else ())


def archives(text: bytes) -> Iterator[Members]:
    """The zip archives of a text as one, and its tar archives."""
    if b"PK\x03\x04" in text:
        yield _zip(text)
    if found := list(_tar(text)):
        yield Members("tar", found[:_MEMBERS], len(found) <= _MEMBERS)


def _ends(content: bytes) -> bytes:
    content = content.strip()
    return content if len(content) <= 2 * _END else content[:_END] + content[-_END:]


def _zip(text: bytes) -> Members:
    places = [(one.start(), one[0]) for one in _SIGNATURE.finditer(text)]
    members = Members("zip", [])
    room, packed_room = _ROOM, _NESTED * len(text)  # sizes that overlap would have us read it again and again
    for number, (start, signature) in enumerate(places):
        if signature != b"PK\x03\x04":
            continue
        if room <= 0 or packed_room <= 0 or len(members.contents) >= _MEMBERS:
            members.complete = False
            break
        following = places[number + 1][0] if number + 1 < len(places) else len(text)
        name, packed = _member(text, start, following)
        content = _unpacked(int.from_bytes(text[start + 8 : start + 10], "little"), packed)
        room, packed_room = room - len(content), packed_room - len(packed)
        members.contents.append((name, content))
    return members


def _member(text: bytes, start: int, following: int) -> tuple[bytes, bytes]:
    """The name and the packed content of the member whose header begins at `start`."""
    named, extra = (int.from_bytes(text[start + at : start + at + 2], "little") for at in (26, 28))
    name = start + 30
    begin = name + named + extra
    size = int.from_bytes(text[start + 18 : start + 22], "little")
    end = begin + size
    # A size of 0 may stand behind the content; one that leads to no signature is noise.
    if not size or not _SIGNATURE.match(text, end):
        end = following
    return text[name : name + named], text[begin:end]


def _unpacked(method: int, packed: bytes) -> bytes:
    if method == _STORED:
        return packed
    try:
        if method == _DEFLATED:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _MEMBER)
        return bz2.BZ2Decompressor().decompress(packed, _MEMBER) if method == _BZIP2 else b""
    except (zlib.error, OSError, ValueError):
        return b""


def _tar(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The files of the archives, header after header; one without the mark of ustar begins the text."""
    at = 0
    while at + _BLOCK <= len(text):
        header = text[at : at + _BLOCK]
        size = _size(header[124:136]) if _checked(header) else None
        if size is None:
            following = _HEADER.search(text, at + 1)
            at = following.start() if following else len(text)
            continue
        if header[156:157] in _FILES:
            yield header[:100].rstrip(b"\0"), text[at + _BLOCK : at + _BLOCK + size]
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _checked(header: bytes) -> bool:
    """Whether the sum in a header is the one of its bytes, with blanks in the sum's own place."""
    return _size(header[148:156]) == sum(header[:148]) + sum(b" " * 8) + sum(header[156:])


def _size(field: bytes) -> int | None:
    """A number of a header: octal digits, or of base 256 where its first bit is set."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not set(digits) - set(b"01234567") else None
