"""A proxy to the hosts that a skill names and no others: CONNECT for TLS, and plain HTTP.

The proxy resolves names itself and connects to the address that it checked. It cannot see inside TLS, so it
requires that the client's SNI names the host of the CONNECT request.
"""

import base64
import hmac
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from runner.config.network import NetworkRules
from runner.gateway.egress import tls_sni
from runner.gateway.egress.tunnel import tunnel
from runner.gateway.http_body import Body
from runner.gateway.server import GatewayRequest, end_to_end_headers, error_cause

_AUTHORITY = re.compile(r"([^:@/?#\[\]\s]+):([0-9]{1,5})")
_CONNECT_TIMEOUT = 10.0  # seconds
_IDLE = 600.0  # seconds without a byte in either direction
_READS = ("GET", "HEAD")
_PRIVATE = frozenset({"authorization", "cookie", "forwarded"})

Scheme = Literal["http", "https"]


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One connection that a program in the sandbox asked for, and its result."""

    at: datetime
    method: str
    host: str
    port: int
    refused: str = ""  # the reason; empty: it was allowed
    failed: str = ""  # why an allowed connection failed
    sent: int = 0
    received: int = 0
    seconds: float = 0.0

    def feed(self, piece: bytes) -> None:
        self.received += len(piece)

    def end(self, whole: bool = False) -> None:
        """Nothing to do: the attempt is reported when the connection has ended."""


Resolve = Callable[[str], list[str]]
"""The addresses of a host. Raises OSError when it has none."""


class _RefusedError(Exception):
    """The proxy refuses a connection; the message says why."""


def addresses_of(host: str) -> list[str]:
    return [str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressHandler:
    """Answers the proxy requests of one run. `on_attempt` gets every attempt after its end."""

    rules: NetworkRules
    token: str = field(repr=False)
    on_attempt: Callable[[Attempt], None]
    resolve: Resolve = addresses_of

    def serve(self, request: GatewayRequest) -> None:
        if not self._is_ours(request.headers["Proxy-Authorization"] or ""):
            challenge = {"Proxy-Authenticate": 'Basic realm="skillrunner"'}
            request.refuse(407, "this gateway belongs to another run", challenge)
            return
        attempt = Attempt(at=datetime.now(UTC), method=request.command, host="", port=0)
        began = time.monotonic()
        try:
            if request.command == "CONNECT":
                self._connect(request, attempt)
            else:
                self._forward(request, attempt)
        except _RefusedError as refused:
            attempt.refused = str(refused)
            if request.has_started_answer:
                request.close_connection = True
            else:
                request.refuse(403, f"{attempt.host or request.path[:100]}: {refused}")
        except (OSError, HTTPException) as error:
            request.upstream, attempt.failed = attempt.host, error_cause(error)
            raise
        finally:
            attempt.seconds = round(time.monotonic() - began, 3)
            self.on_attempt(attempt)

    def _is_ours(self, given: str) -> bool:
        wanted = base64.b64encode(f"run:{self.token}".encode()).decode()
        return hmac.compare_digest(given.encode("utf-8", "replace"), f"Basic {wanted}".encode())

    # --- TLS ------------------------------------------------------------------------------------

    def _connect(self, request: GatewayRequest, attempt: Attempt) -> None:
        found = _AUTHORITY.fullmatch(request.path)
        if found is None:
            raise _RefusedError("a connection is asked for as host:port")
        attempt.host, attempt.port = found[1].lower(), int(found[2])
        with self._connect_allowed(attempt, "https") as far:
            request.has_started_answer = True
            request.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            request.close_connection = True
            near = request.connection
            _check_name(near, attempt.host)
            attempt.sent, attempt.received = tunnel(near, far, _IDLE)

    def _connect_allowed(self, attempt: Attempt, scheme: Scheme) -> socket.socket:
        """A connection to an allowed host. Raises _RefusedError, OSError."""
        if why := self.rules.refusal(attempt.host, attempt.port, scheme):
            raise _RefusedError(why)
        addresses = self.resolve(attempt.host)
        if why := self.rules.address_refusal(attempt.host, addresses):
            raise _RefusedError(why)
        return connect(addresses, attempt.port)

    # --- plain HTTP -----------------------------------------------------------------------------

    def _forward(self, request: GatewayRequest, attempt: Attempt) -> None:
        url = _split(request.path)
        attempt.host, attempt.port = (url.hostname or "").lower(), url.port or 80
        if url.scheme != "http" or url.username is not None:
            raise _RefusedError("only http:// without a user's name goes this way, https:// by CONNECT")
        if request.command not in _READS:
            raise _RefusedError(f"{request.command} is not let through: without TLS things are only read")
        if request.has_body:
            raise _RefusedError("a request with content is not let through: without TLS things are only read")
        with self._connect_allowed(attempt, "http") as far:
            connection = HTTPConnection(attempt.host, attempt.port, timeout=_IDLE)
            connection.sock = far
            target = url.path + (f"?{url.query}" if url.query else "")
            sent = {**end_to_end_headers(dict(request.headers.items()), _PRIVATE), "Host": url.netloc}
            connection.request(request.command, target or "/", headers=sent)
            answer = connection.getresponse()
            request.relay(
                Body(answer), end_to_end_headers(dict(answer.headers.items()), frozenset()), attempt
            )


def _split(url: str) -> SplitResult:
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError as error:
        raise _RefusedError("it is no address") from error
    return found


def connect(addresses: list[str], port: int) -> socket.socket:
    """A connection to the first address that answers. Raises OSError."""
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), _CONNECT_TIMEOUT)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), _CONNECT_TIMEOUT)


def _check_name(near: socket.socket, host: str) -> None:
    """Check the host in the client's SNI: a shared server answers for the host that SNI names."""
    near.settimeout(_CONNECT_TIMEOUT)
    try:
        size = tls_sni.record_length(_peek(near, 5))
        name = tls_sni.server_name(_peek(near, size))
    except tls_sni.NotTlsError as error:
        raise _RefusedError(f"what was sent is no TLS: {error}") from error
    if name != host:
        raise _RefusedError(f"inside TLS it asked for {name or 'no host by name'}")


def _peek(near: socket.socket, size: int) -> bytes:
    """The first bytes, read without consuming them. Raises OSError when they do not come."""
    until = time.monotonic() + _CONNECT_TIMEOUT
    while len(seen := near.recv(size, socket.MSG_PEEK)) < size:
        if not seen or time.monotonic() > until:
            raise TimeoutError("nothing was said")
        time.sleep(0.001)
    return seen
