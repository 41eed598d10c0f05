"""The door to the model: a harness reaches it without ever holding the key.

The sandbox gets an address with a random token in it and a placeholder for the key; the door lets the paths
of the model's API through to the one upstream, with the real key put in, and streams the answer back as it
comes. The key is in no message, no log and no answer.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, RemoteDisconnected
from urllib.parse import SplitResult, urlsplit

from runner.errors import RunnerError
from runner.gateway import budget
from runner.gateway.body import Body
from runner.gateway.budget import Account, BudgetError
from runner.gateway.server import Request, passed
from runner.gateway.tape import Tape
from runner.gateway.usage import prepared
from runner.harnesses import ModelAccess
from runner.model import Phase, Reason

_LARGEST = 32 * 1024**2  # bytes of a request: what Anthropic's API takes at most
_IDLE = 15.0  # seconds that a connection is kept for the next call: less than any provider keeps it
_UPSTREAM_TIMEOUT = 600.0  # seconds without a byte of the answer: models may think for minutes

_PATH = re.compile(r"(/[A-Za-z0-9_~:-][A-Za-z0-9_.~:-]*)+")  # no escapes, no empty or dotted segments
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_METHODS = ("GET", "HEAD", "POST")
_CREDENTIALS = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "cookie", "set-cookie", "forwarded"}
)
_NOT_ASKED = _CREDENTIALS | {"accept-encoding"}
"""Without it `http.client` asks for the plain answer: the meter reads no compressed one."""


Ask = Callable[[HTTPConnection], HTTPResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProxy:
    """The door of one run."""

    upstream: SplitResult
    credential: tuple[str, str] = field(repr=False)  # the header, and what it holds
    paths: tuple[str, ...]
    token: str = field(repr=False)
    account: Account
    tape: Tape | None = None  # where the traffic is kept
    _idle: list[tuple[float, HTTPConnection]] = field(default_factory=list)  # since when; the newest last

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def serve(self, request: Request) -> None:
        if (refusal := self._refusal(request)) is not None:
            request.refuse(*refusal)
            return
        body = request.rfile.read(int(request.headers["Content-Length"] or 0))
        request.asked = self.upstream.hostname or ""
        try:
            self._relay(request, body)
        except BudgetError as error:
            request.tell(*budget.refusal(request.target[1], error.message))

    def _relay(self, request: Request, sent: bytes) -> None:
        _, path, query = request.target
        below = path + (f"?{query}" if query else "")
        call = self.account.begin(request.command, path, sent)
        take = self.tape.begin(request.command, below, sent, call) if self.tape else None
        target = self.upstream.path.rstrip("/") + below
        ask = partial(_asked, request.command, target, prepared(path, sent) or None, self._headers(request))
        try:
            with self._answer(ask) as body:
                answer = body.answer
                call.status = answer.status
                if take is not None:
                    take.begins(answer.status, answer.headers["Content-Type"] or "")
                if 300 <= answer.status < 400:
                    host = self.upstream.hostname
                    request.answer(502, f"{host} redirects to elsewhere, and the gateway does not follow")
                else:
                    with call.heard_out(body.read):
                        headers = passed(dict(answer.headers.items()), _CREDENTIALS)
                        request.pass_on(body, headers, take or call)
        finally:
            (take or call).end()

    @contextmanager
    def _answer(self, ask: Ask) -> Iterator[Body]:
        """An answer that has begun. Its connection is kept when it was heard out."""
        connection, answer = self._answered(ask)
        body = Body(answer)
        try:
            yield body
        finally:
            answer.close()
            if body.whole and not answer.will_close:
                self._idle.append((time.monotonic(), connection))
            else:
                connection.close()

    def _answered(self, ask: Ask) -> tuple[HTTPConnection, HTTPResponse]:
        """A new connection costs TLS several ways there and back, so the last one is tried first."""
        if (kept := self._kept()) is not None:
            try:
                return kept, ask(kept)
            except (RemoteDisconnected, ConnectionError):  # it was closed while nobody used it
                kept.close()
        fresh = _connect(self.upstream)
        try:
            return fresh, ask(fresh)
        except BaseException:
            fresh.close()
            raise

    def _kept(self) -> HTTPConnection | None:
        with suppress(IndexError):  # others take from it as well
            since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE:
                return connection
            connection.close()
        return None

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """Why the request is not let through; None when it is."""
        _, path, _ = request.target
        length = request.headers["Content-Length"] or "0"
        if not request.holds(self.token):
            return 403, "this address belongs to another run"
        if request.command not in _METHODS or not _PATH.fullmatch(path) or not _below(path, self.paths):
            return 404, "the gateway lets only calls of the model through"
        if request.headers["Transfer-Encoding"] or not length.isascii() or not length.isdecimal():
            return 411, "the gateway needs the length of a request beforehand"
        if int(length) > _LARGEST:
            return 413, f"the gateway takes requests of at most {_LARGEST} bytes"
        return None

    def _headers(self, request: Request) -> dict[str, str]:
        name, value = self.credential
        return {**passed(dict(request.headers.items()), _NOT_ASKED), name: value}


class NoModel:
    """The door where a harness has no model."""

    def serve(self, request: Request) -> None:
        request.refuse(404, "this harness has no model")

    def close(self) -> None:
        """There is nothing to close."""


def model_proxy(
    access: ModelAccess, key: str, upstream: str, token: str, account: Account, tape: Tape | None = None
) -> ModelProxy:
    """`upstream` is where the model is when not at its usual place; empty: there.

    Raises RunnerError when the address or the key cannot be right.
    """
    return ModelProxy(
        upstream=_checked(upstream or access.upstream, access),
        credential=_credential(access, key),
        paths=access.paths,
        token=token,
        account=account,
        tape=tape,
    )


def _checked(upstream: str, access: ModelAccess) -> SplitResult:
    """The upstream's address. Over the network only TLS: the key would be readable on the way."""
    url = urlsplit(upstream)
    safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
    if not safe or not url.hostname or url.username or url.query:
        raise RunnerError(
            Phase.HARNESS,
            Reason.INVALID_CONFIG,
            f"{access.upstream_variable} is not an https address of a model (or an http one on this machine)",
            hint=f"set it to an address such as {access.upstream}, or unset it",
        )
    return url


def _credential(access: ModelAccess, key: str) -> tuple[str, str]:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise RunnerError(
            Phase.HARNESS,
            Reason.SECRET_MISSING,
            f"{access.key_variable} holds no key that could be sent",
            hint=f"export {access.key_variable}=...",
        )
    return access.header, f"Bearer {key}" if access.header == "authorization" else key


def _asked(
    command: str, target: str, body: bytes | None, headers: Mapping[str, str], connection: HTTPConnection
) -> HTTPResponse:
    connection.request(command, target, body=body, headers=headers)
    return connection.getresponse()


def _below(path: str, allowed: tuple[str, ...]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in allowed)


def _connect(upstream: SplitResult) -> HTTPConnection:
    kind = HTTPSConnection if upstream.scheme == "https" else HTTPConnection
    return kind(upstream.hostname or "", upstream.port, timeout=_UPSTREAM_TIMEOUT)
