"""Reads the host name that a TLS client asks for from its first message (SNI).

Source: RFC 8446, section 4.1.2 (ClientHello), and RFC 6066, section 3 (server_name).
"""

from collections.abc import Iterator

MAX_RECORD = 16 * 1024  # bytes of a record

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0
_ENCRYPTED_HELLO = 0xFE0D  # RFC 9849, section 5


class NotTlsError(ValueError):
    """The bytes are not the beginning of a TLS connection."""


def record_length(start: bytes) -> int:
    """The length of the first record with its header in bytes; `start` holds at least five bytes."""
    if start[0] != _HANDSHAKE or start[1] != 3:
        raise NotTlsError("no TLS handshake")
    size = 5 + int.from_bytes(start[3:5])
    if size > MAX_RECORD + 5:
        raise NotTlsError("a record that is too long")
    return size


def server_name(record: bytes) -> str:
    """The name in a ClientHello; empty where it has none. Raises NotTlsError for anything else."""
    try:
        return _server_name(_Reader(record))
    except IndexError as error:
        raise NotTlsError("a ClientHello that is cut, or in pieces") from error


def _server_name(hello: "_Reader") -> str:
    record_length(hello.take(5))
    if hello.number(1) != _CLIENT_HELLO:
        raise NotTlsError("no ClientHello")
    hello = _Reader(hello.sized(3))
    hello.take(2 + 32)  # version, random
    hello.sized(1)  # session
    hello.sized(2)  # cipher suites
    hello.sized(1)  # compression
    extensions = dict(_extensions(_Reader(hello.sized(2))))
    if _ENCRYPTED_HELLO in extensions:
        raise NotTlsError("an encrypted ClientHello, which hides the host that is really asked for")
    if _SERVER_NAME not in extensions:
        return ""
    names = _Reader(_Reader(extensions[_SERVER_NAME]).sized(2))
    if names.number(1) != _HOST_NAME:
        return ""
    name = names.sized(2).decode("ascii", "replace").lower()
    if names.left:
        raise NotTlsError("a ClientHello with more than one host's name")
    return name


def _extensions(content: "_Reader") -> Iterator[tuple[int, bytes]]:
    """Each extension's number and content. Raises NotTlsError where one is there twice."""
    seen: set[int] = set()
    while content.left:
        kind, data = content.number(2), content.sized(2)
        if kind in seen:
            raise NotTlsError("a ClientHello that has an extension twice")
        seen.add(kind)
        yield kind, data


class _Reader:
    """Raises IndexError where there is less than is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    @property
    def left(self) -> int:
        return len(self._data)

    def take(self, count: int) -> bytes:
        if len(self._data) < count:
            raise IndexError
        taken, self._data = self._data[:count], self._data[count:]
        return bytes(taken)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def sized(self, size: int) -> bytes:
        return self.take(self.number(size))
