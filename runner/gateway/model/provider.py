"""One provider of a model: where it is, the key that it takes, and the connections to it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, RemoteDisconnected
from math import inf
from ssl import SSLError
from urllib.parse import SplitResult, urlsplit

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.gateway.http_body import Body
from runner.harnesses import ModelAccess

_CONNECT_TIMEOUT = 10.0  # seconds
_ANSWER_TIMEOUT = 600.0  # seconds without a byte of the answer: models may think for minutes
_IDLE = 15.0  # seconds that a connection is kept for the next call: less than any provider keeps it
_REST = 60.0  # seconds that one which failed is asked last
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A request to a model, as its provider is to get it but for the credential."""

    method: str
    path: str  # below the upstream
    query: str
    body: bytes
    headers: Mapping[str, str] = field(repr=False)

    @property
    def relative_path(self) -> str:
        return self.path + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Another provider, for when those before it fail. It has to speak the same API."""

    upstream: str
    key: str = field(repr=False)
    model: str = ""  # asked for there; empty: the one that the request names


class UnreachedError(OSError):
    """There was no connection, so nothing was sent and nothing can have been billed."""


@dataclass(slots=True, kw_only=True)
class Provider:
    """Threads may share it."""

    upstream: SplitResult
    credential: tuple[str, str] = field(repr=False)  # the header, and what it holds
    model: str = ""  # asked for here; empty: the one that the request names
    _idle: list[tuple[float, HTTPConnection]] = field(default_factory=list)  # since when; the newest last
    _failed: float = -inf  # when, in monotonic seconds

    @property
    def host(self) -> str:
        return self.upstream.hostname or ""

    @property
    def is_backing_off(self) -> bool:
        """Whether it failed a moment ago, so that others are asked before it."""
        return time.monotonic() - self._failed < _REST

    def note_failure(self) -> None:
        self._failed = time.monotonic()

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    @contextmanager
    def answer(self, asked: ModelRequest) -> Iterator[Body]:
        """An answer that has begun. Its connection is kept when it was heard out.

        Raises UnreachedError when nothing was sent; another OSError, HTTPException when it broke off.
        """
        connection, answer = self._answered(asked)
        body = Body(answer)
        try:
            yield body
        finally:
            answer.close()
            if body.whole and not answer.will_close:
                self._idle.append((time.monotonic(), connection))
            else:
                connection.close()

    def _answered(self, asked: ModelRequest) -> tuple[HTTPConnection, HTTPResponse]:
        """A new connection costs TLS several ways there and back, so the last one is tried first."""
        if (kept := self._kept()) is not None:
            try:
                return kept, self._ask(kept, asked)
            except (RemoteDisconnected, ConnectionError):  # it was closed while nobody used it
                kept.close()
        fresh = self._connected()
        try:
            return fresh, self._ask(fresh, asked)
        except BaseException:
            fresh.close()
            raise

    def _ask(self, connection: HTTPConnection, asked: ModelRequest) -> HTTPResponse:
        name, value = self.credential
        target = self.upstream.path.rstrip("/") + asked.relative_path
        connection.request(
            asked.method, target, body=asked.body or None, headers={**asked.headers, name: value}
        )
        return connection.getresponse()

    def _connected(self) -> HTTPConnection:
        kind = HTTPSConnection if self.upstream.scheme == "https" else HTTPConnection
        connection = kind(self.host, self.upstream.port, timeout=_CONNECT_TIMEOUT)
        try:
            connection.connect()
        except SSLError:
            raise  # it will not have another certificate in a moment
        except OSError as error:
            raise UnreachedError(error.errno, error.strerror or type(error).__name__) from error
        connection.sock.settimeout(_ANSWER_TIMEOUT)
        return connection

    def _kept(self) -> HTTPConnection | None:
        with suppress(IndexError):  # others take from it as well
            since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE:
                return connection
            connection.close()
        return None


def primary_provider(access: ModelAccess, key: str, upstream: str) -> Provider:
    """The provider that a harness is for; `upstream` is where it is when not at its usual place.

    Raises RunnerError when the address or the key cannot be right.
    """
    return Provider(
        upstream=_checked(upstream or access.upstream, access.upstream_variable, access),
        credential=_credential(access, key, access.key_variable),
    )


def fallback_provider(access: ModelAccess, fallback: Fallback) -> Provider:
    """One to fall back to. Raises RunnerError likewise."""
    where = f"the fallback {fallback.upstream}"
    return Provider(
        upstream=_checked(fallback.upstream, where, access),
        credential=_credential(access, fallback.key, f"the key of {where}"),
        model=fallback.model,
    )


def _checked(upstream: str, where: str, access: ModelAccess) -> SplitResult:
    """The upstream's address. Over the network only TLS: the key would be readable on the way."""
    url = urlsplit(upstream)
    safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
    if not safe or not url.hostname or url.username or url.query:
        raise RunnerError(
            Phase.HARNESS,
            Reason.INVALID_CONFIG,
            f"{where} is not an https address of a model (or an http one on this machine)",
            hint=f"set it to an address such as {access.upstream}, or unset it",
        )
    return url


def _credential(access: ModelAccess, key: str, name: str) -> tuple[str, str]:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise RunnerError(
            Phase.HARNESS,
            Reason.SECRET_MISSING,
            f"{name} holds no key that could be sent",
            hint=f"export {name}=..."
            if name == access.key_variable
            else "look at `secrets` in skillrunner.yaml",
        )
    return access.header, f"Bearer {key}" if access.header == "authorization" else key
