"""A provider of a model: its URL, its key, and connections to it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, RemoteDisconnected
from math import inf
from ssl import SSLError
from typing import Any
from urllib.parse import SplitResult, urlsplit

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.gateway.http_body import Body
from runner.gateway.model.request import write_request
from runner.harnesses import ModelAccess

_CONNECT_TIMEOUT = 10.0  # seconds
_ANSWER_TIMEOUT = 600.0  # seconds without a byte of the answer: models may think for minutes
_IDLE = 15.0  # seconds that an idle connection is reused: less than any provider keeps it open
_REST = 60.0  # seconds for which a failed provider is asked last
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A request to a model's provider, without the credential."""

    method: str
    path: str  # below the upstream
    query: str
    content: Mapping[str, Any] | None  # what its body says; None: it has none
    headers: Mapping[str, str] = field(repr=False)
    uses: frozenset[str] = frozenset()  # what it has the provider do besides answering

    @property
    def body(self) -> bytes:
        """Written anew, so that the provider reads in it what the gateway has read."""
        return b"" if self.content is None else write_request(self.content)

    @property
    def relative_path(self) -> str:
        return self.path + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A provider that is asked when those before it fail. It has to have the same API."""

    upstream: str
    key: str = field(repr=False)
    key_name: str = ""  # where the key comes from
    model: str = ""  # the model to request there; empty: the one that the request names


class NotSentError(OSError):
    """Nothing was sent, so nothing can have been billed."""


class NotConnectedError(NotSentError):
    """No connection could be made, which may pass."""


@dataclass(slots=True, kw_only=True)
class Provider:
    """A provider with its idle connections. Threads may share it."""

    upstream: SplitResult
    credential: tuple[str, str] = field(repr=False)  # the header's name and value
    key_name: str = ""  # where the key comes from: a variable or a secret
    model: str = ""  # the model to request; empty: the one that the request names
    _idle: list[tuple[float, HTTPConnection]] = field(
        default_factory=list
    )  # (idle since, connection), the newest last
    _failed: float = -inf  # in monotonic seconds
    _closed: bool = False

    @property
    def key(self) -> str:
        return self.credential[1].removeprefix("Bearer ")

    @property
    def host(self) -> str:
        return self.upstream.hostname or ""

    @property
    def is_backing_off(self) -> bool:
        """Whether it failed recently, so that other providers are asked first."""
        return time.monotonic() - self._failed < _REST

    def note_failure(self) -> None:
        self._failed = time.monotonic()

    def close(self) -> None:
        """Close the idle connections; one that is in use is closed when its answer ends."""
        self._closed = True
        with suppress(IndexError):  # other threads take connections as well
            while True:
                self._idle.pop()[1].close()

    @contextmanager
    def answer(self, request: ModelRequest) -> Iterator[Body]:
        """The answer to a request, when its head has come. A connection is reused after a whole body.

        Raises NotConnectedError when nothing was sent, OSError or HTTPException when the connection broke.
        """
        connection, answer = self._request(request)
        body = Body(answer)
        try:
            yield body
        finally:
            answer.close()
            if body.whole and not answer.will_close:
                self._idle.append((time.monotonic(), connection))
                if self._closed:
                    self.close()
            else:
                connection.close()

    def _request(self, asked: ModelRequest) -> tuple[HTTPConnection, HTTPResponse]:
        """Send the request, on the newest idle connection first: a new one costs round trips for TLS."""
        if (kept := self._kept()) is not None:
            try:
                return kept, self._ask(kept, asked)
            except (RemoteDisconnected, ConnectionError):  # the provider closed it while it was idle
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
        kind = {} if asked.content is None else {"Content-Type": "application/json"}
        headers = {**asked.headers, **kind, name: value}
        connection.request(asked.method, target, body=asked.body or None, headers=headers)
        return connection.getresponse()

    def _connected(self) -> HTTPConnection:
        kind = HTTPSConnection if self.upstream.scheme == "https" else HTTPConnection
        connection = kind(self.host, self.upstream.port, timeout=_CONNECT_TIMEOUT)
        try:
            connection.connect()
        except SSLError as error:  # trying again would get the same certificate
            raise NotSentError(error.errno, error.strerror or type(error).__name__) from error
        except OSError as error:
            raise NotConnectedError(error.errno, error.strerror or type(error).__name__) from error
        connection.sock.settimeout(_ANSWER_TIMEOUT)
        return connection

    def _kept(self) -> HTTPConnection | None:
        with suppress(IndexError):  # other threads take connections as well
            since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE:
                return connection
            connection.close()
        return None


def primary_provider(access: ModelAccess, key: str, upstream: str) -> Provider:
    """The provider of a harness's model; `upstream` is its URL when it is not the usual one.

    Raises RunnerError when the URL or the key is invalid.
    """
    return Provider(
        upstream=_check_upstream(upstream or access.upstream, access.upstream_variable, access),
        credential=_credential(access, key, access.key_variable),
        key_name=access.key_variable,
    )


def fallback_provider(access: ModelAccess, fallback: Fallback) -> Provider:
    """A fallback provider. Raises RunnerError when its URL or key is invalid."""
    where = f"the fallback {fallback.upstream}"
    return Provider(
        upstream=_check_upstream(fallback.upstream, where, access),
        credential=_credential(access, fallback.key, f"the key of {where}"),
        key_name=fallback.key_name or f"the key of {where}",
        model=fallback.model,
    )


def _check_upstream(upstream: str, where: str, access: ModelAccess) -> SplitResult:
    """The parsed upstream URL. Outside this machine it has to be https, so that nobody can read the key."""
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
