"""Lets a harness reach its model without ever holding the key.

A reverse proxy for one run. The sandbox gets a URL with a random token in it and a placeholder for the key;
the proxy lets the paths of the model's API through to the one upstream, with the real key put in, and streams
the answer back as it comes. The key is in no message, no log and no answer.
"""

import hmac
import json
import re
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

from runner.errors import RunnerError
from runner.harnesses import ModelAccess
from runner.model import Phase, Reason

_LARGEST = 32 * 1024**2  # bytes of a request: what Anthropic's API takes at most
_PIECE = 64 * 1024
_CONNECTIONS = 32
_CLIENT_TIMEOUT = 60.0  # seconds without a byte of a request that has begun, or between two requests
_UPSTREAM_TIMEOUT = 600.0  # seconds without a byte of the answer: models may think for minutes

_PATH = re.compile(r"(/[A-Za-z0-9_~:-][A-Za-z0-9_.~:-]*)+")  # no escapes, no empty or dotted segments
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CREDENTIALS = {"authorization", "x-api-key", "x-goog-api-key", "cookie", "set-cookie", "forwarded"}
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
    *("transfer-encoding", "upgrade", "host", "content-length", "expect"),
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a sandbox is told: where its model seems to be, and what stands for the key."""

    url: str
    token: str


@contextmanager
def open_gateway(access: ModelAccess, key: str, host: str, upstream: str = "") -> Iterator[Gateway]:
    """A gateway that listens on `host` while the context is open.

    `upstream` is where the model is when not at its usual place. Raises RunnerError when the address or the
    key cannot be right, or nothing can listen on `host`.
    """
    token = secrets.token_urlsafe(32)
    relay = type(
        "Relay",
        (_Relay,),
        {
            "upstream": _checked(upstream or access.upstream, access),
            "credential": _credential(access, key),
            "token": token,
            "paths": access.paths,
        },
    )
    server = _listening(host, relay)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Gateway(f"http://{host}:{server.server_address[1]}/{token}", token)
    finally:
        server.shutdown()
        server.server_close()
        server.cut()
        thread.join()


def _listening(host: str, relay: type[BaseHTTPRequestHandler]) -> "_Server":
    try:
        return _Server((host, 0), relay)
    except OSError as error:
        raise RunnerError(
            Phase.SANDBOX,
            Reason.ENGINE_FAILED,
            f"the model gateway cannot listen on {host}: {error.strerror}",
            hint="run on the machine on which the Docker engine runs",
        ) from error


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


class _Server(ThreadingHTTPServer):
    """Bounded in connections, silent about errors, and closed together with all that it has open."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._open) >= _CONNECTIONS
            self._open.add(request)
        if full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news, and a traceback may hold what must not be shown."""

    def cut(self) -> None:
        """End the connections that are still open: the run is over, and so is its access."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # it may be closed already
                    connection.shutdown(socket.SHUT_RDWR)


class _Relay(BaseHTTPRequestHandler):
    """One connection from the sandbox."""

    protocol_version = "HTTP/1.1"
    server_version = "skillrunner"
    sys_version = ""
    timeout = _CLIENT_TIMEOUT
    upstream: SplitResult
    credential: tuple[str, str]
    token: str
    paths: tuple[str, ...]

    def do_POST(self) -> None:
        self._begun = False
        refusal = self._refusal()
        if refusal is not None:
            self.close_connection = True  # its body, if any, is not read
            self._answer(*refusal)
            return
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        try:
            self._relay(body)
        except (OSError, HTTPException) as error:
            self.close_connection = True  # what has begun ends here, visibly cut
            if not self._begun:
                self._answer(502, f"{self.upstream.hostname} cannot be reached: {_cause(error)}")

    do_GET = do_POST  # noqa: N815 - the name is the protocol's
    do_HEAD = do_POST  # noqa: N815

    def _target(self) -> tuple[str, str, str]:
        """(token, path below the upstream, query) of the request."""
        path, _, query = self.path.partition("?")
        token, slash, rest = path.removeprefix("/").partition("/")
        return token, slash + rest, query

    def _refusal(self) -> tuple[int, str] | None:
        """Why the request is not let through; None when it is."""
        token, path, _ = self._target()
        length = self.headers["Content-Length"] or "0"
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return 403, "this address belongs to another run"
        if not _PATH.fullmatch(path) or not _below(path, self.paths):
            return 404, "the gateway lets only calls of the model through"
        if self.headers["Transfer-Encoding"] or not length.isascii() or not length.isdecimal():
            return 411, "the gateway needs the length of a request beforehand"
        if int(length) > _LARGEST:
            return 413, f"the gateway takes requests of at most {_LARGEST} bytes"
        return None

    def _relay(self, body: bytes) -> None:
        _, path, query = self._target()
        connection = _connect(self.upstream)
        try:
            target = self.upstream.path.rstrip("/") + path + (f"?{query}" if query else "")
            connection.request(self.command, target, body=body or None, headers=self._forwarded())
            answer = connection.getresponse()
            if 300 <= answer.status < 400:
                message = f"{self.upstream.hostname} redirects to elsewhere, and the gateway does not follow"
                self._answer(502, message)
            else:
                self._stream(answer)
        finally:
            connection.close()

    def _forwarded(self) -> dict[str, str]:
        name, value = self.credential
        return {**_passed(dict(self.headers.items())), name: value}

    def _stream(self, answer: HTTPResponse) -> None:
        """The answer as it comes, piece by piece."""
        length = answer.headers["Content-Length"]
        bare = self.command == "HEAD" or answer.status in (204, 304)
        self._begun = True
        self.send_response(answer.status)
        for name, value in _passed(dict(answer.headers.items())).items():
            self.send_header(name, value)
        if length is not None or bare:
            self.send_header("Content-Length", length or "0")
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        while not bare and (piece := answer.read1(_PIECE)):
            sent += len(piece)
            self.wfile.write(piece if length is not None else b"%x\r\n%s\r\n" % (len(piece), piece))
        if length is None and not bare:
            self.wfile.write(b"0\r\n\r\n")
        elif not bare and sent < int(length):
            self.close_connection = True

    def _answer(self, status: int, message: str) -> None:
        """The gateway's own answer, in the form in which model APIs tell errors."""
        content = json.dumps({"type": "error", "error": {"type": "gateway", "message": message}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
        """Nothing: the paths hold the token."""


def _below(path: str, allowed: tuple[str, ...]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in allowed)


def _connect(upstream: SplitResult) -> HTTPConnection:
    kind = HTTPSConnection if upstream.scheme == "https" else HTTPConnection
    return kind(upstream.hostname or "", upstream.port, timeout=_UPSTREAM_TIMEOUT)


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that belong to the other side: not those of one connection, and no credentials."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    dropped = _HOP_BY_HOP | _CREDENTIALS | named
    return {name: value for name, value in headers.items() if name.lower() not in dropped}


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
