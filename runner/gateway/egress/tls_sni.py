"""The name of the host that a TLS client asks for, read from the first thing that it says.

Source: RFC 8446, section 4.1.2 (ClientHello), and RFC 6066, section 3 (server_name).
"""

MOST = 16 * 1024  # bytes of a record

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0


class NotTlsError(ValueError):
    """These are no bytes that a TLS client begins with."""


def length(start: bytes) -> int:
    """How many bytes the first record has with its header, of which five are enough to tell."""
    if start[0] != _HANDSHAKE or start[1] != 3:
        raise NotTlsError("no TLS handshake")
    size = 5 + int.from_bytes(start[3:5])
    if size > MOST + 5:
        raise NotTlsError("a record that is too long")
    return size


def server_name(record: bytes) -> str:
    """The name in a ClientHello; empty where it has none. Raises NotTlsError for anything else."""
    try:
        return _server_name(_Reader(record))
    except IndexError as error:
        raise NotTlsError("a ClientHello that is cut, or in pieces") from error


def _server_name(hello: "_Reader") -> str:
    length(hello.take(5))
    if hello.number(1) != _CLIENT_HELLO:
        raise NotTlsError("no ClientHello")
    hello = _Reader(hello.sized(3))
    hello.take(2 + 32)  # version, random
    hello.sized(1)  # session
    hello.sized(2)  # cipher suites
    hello.sized(1)  # compression
    extensions = _Reader(hello.sized(2))
    while extensions.left:
        kind, content = extensions.number(2), _Reader(extensions.sized(2))
        if kind == _SERVER_NAME:
            names = _Reader(content.sized(2))
            if names.number(1) == _HOST_NAME:
                return names.sized(2).decode("ascii", "replace").lower()
    return ""


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
