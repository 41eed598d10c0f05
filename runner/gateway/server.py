"""The gateway's HTTP server: it takes every connection from a run's sandbox and selects its handler.

`open_gateway` (factory.py) sets the handlers: the model (model/proxy.py), the run's own tools (mcp.py), and
hosts by name (egress/).
"""

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from runner.gateway.http_body import Body

_CONNECTIONS = 128
_CLIENT_TIMEOUT = 60.0  # seconds without a byte of a request that has begun, or between two requests
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
    *("transfer-encoding", "upgrade", "host", "content-length", "expect", "proxy-connection"),
}


class AnswerListener(Protocol):
    """Gets an answer's body while it is relayed."""

    def feed(self, piece: bytes) -> None: ...

    def end(self, whole: bool = False) -> None:
        """Note the end of the answer; `whole`: it was complete. Later calls change nothing."""
        ...


class AnswerFilter(Protocol):
    """Changes an answer's body while it is relayed, but not its length."""

    def feed(self, piece: bytes) -> bytes: ...

    def end(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """The gateway's address as a sandbox gets it, and the token that stands for the model's key."""

    address: str  # "127.0.0.1:40123"
    token: str

    @property
    def url(self) -> str:
        """The base URL of the model."""
        return f"http://{self.address}/{self.token}"

    @property
    def mcp(self) -> str:
        """The URL of the run's MCP server."""
        return f"{self.url}/mcp"

    @property
    def proxy(self) -> Mapping[str, str]:
        """Environment variables that make programs use the gateway as their proxy."""
        url, none = f"http://run:{self.token}@{self.address}", "localhost,127.0.0.1,::1"
        named = {"http_proxy": url, "https_proxy": url, "no_proxy": none}
        return named | {name.upper(): value for name, value in named.items()} | {"NODE_USE_ENV_PROXY": "1"}


class GatewayHandler(Protocol):
    """Answers one kind of request."""

    def serve(self, request: "GatewayRequest") -> None:
        """Answer a request. Raises OSError or HTTPException when the upstream cannot be reached."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHandlers:
    """The handlers of one run."""

    model: GatewayHandler
    egress: GatewayHandler
    by_path: Mapping[str, GatewayHandler] = field(
        default_factory=dict
    )  # by the first part of the path that follows the token
    close: Callable[[], None] = lambda: None  # called at the end

    def handler_for(self, request: "GatewayRequest") -> GatewayHandler:
        if not request.path.startswith("/"):
            return self.egress
        return self.by_path.get(request.target[1].removeprefix("/").partition("/")[0], self.model)


class GatewayRequest(BaseHTTPRequestHandler):
    """One connection from the sandbox. The path holds the token, so nothing is logged."""

    protocol_version = "HTTP/1.1"
    server_version = "skillrunner"
    sys_version = ""
    timeout = _CLIENT_TIMEOUT
    disable_nagle_algorithm = True  # otherwise an answer's body would wait for 40 ms
    handlers: "GatewayHandlers"
    upstream = "it"  # the upstream's name in error messages
    has_started_answer: bool

    def do_GET(self) -> None:
        self.has_started_answer = False
        try:
            self.handlers.handler_for(self).serve(self)
        except (OSError, HTTPException) as error:
            self.close_connection = True  # an answer that was begun ends here, visibly incomplete
            if not self.has_started_answer:
                self.send_error_answer(502, f"{self.upstream} cannot be reached: {error_cause(error)}")

    do_CONNECT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = do_GET  # noqa: N815 - the protocol's

    @property
    def target(self) -> tuple[str, str, str]:
        """(token, path after it, query) of a request to the gateway itself."""
        path, _, query = self.path.partition("?")
        token, slash, rest = path.removeprefix("/").partition("/")
        return token, slash + rest, query

    def has_token(self, token: str) -> bool:
        """Whether the request has this token, compared in constant time."""
        return hmac.compare_digest(self.target[0].encode("utf-8", "replace"), token.encode())

    def body_refusal(self, limit: int) -> tuple[int, str] | None:
        """The status and message that refuse a body of more than `limit` bytes; None: it can be read."""
        length = self.headers["Content-Length"] or "0"
        if self.headers["Transfer-Encoding"] or not length.isascii() or not length.isdecimal():
            return 411, "the gateway needs the length of a request beforehand"
        if int(length) > limit:
            return 413, f"the gateway takes requests of at most {limit} bytes"
        return None

    def read_body(self) -> bytes:
        """Read the body. Call it only when `body_refusal` is None."""
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    @property
    def has_body(self) -> bool:
        return self.headers["Content-Length"] not in (None, "0") or "Transfer-Encoding" in self.headers

    def refuse(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Send an error answer without reading the body, and close the connection."""
        self.close_connection = True
        self.send_error_answer(status, message, headers)

    def send_error_answer(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Send the gateway's own error, in the form of model APIs."""
        self.send_json(status, {"type": "error", "error": {"type": "gateway", "message": message}}, headers)

    def send_json(
        self, status: int, value: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a JSON answer."""
        self.send_content(status, "application/json", json.dumps(value).encode(), headers)

    def send_content(
        self, status: int, content_type: str, content: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send an answer with any content."""
        own = {"Content-Type": content_type, "Content-Length": str(len(content))}
        self._begin(status, {**(headers or {}), **own})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.has_started_answer = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:  # otherwise the client would send its next request on this connection
            self.send_header("Connection", "close")
        self.end_headers()

    def relay(
        self,
        body: Body,
        headers: Mapping[str, str],
        listener: AnswerListener,
        filters: "AnswerFilter | None" = None,
    ) -> None:
        """Send an upstream's answer while it comes, as `filters` changes it.

        Raises OSError, HTTPException when it breaks off.
        """
        length = body.answer.headers["Content-Length"] or "0" if body.whole else body.length
        chunked = length is None
        framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(length)}
        self._begin(body.answer.status, {**headers, **framing})
        while piece := body.read():
            listener.feed(piece)
            if body.whole:
                listener.end(whole=True)  # before the client has everything and sends its next request
            self._send_piece(piece if filters is None else filters.feed(piece), chunked)
        listener.end(whole=True)
        if filters is not None:
            self._send_piece(filters.end(), chunked)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send_piece(self, piece: bytes, chunked: bool) -> None:
        if chunked and piece:  # an empty chunk would be the last
            _send(self.connection, b"%x\r\n" % len(piece), piece, b"\r\n")
        elif piece:
            self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
        """Log nothing: the path holds the token."""


def _send(line: socket.socket, *parts: bytes) -> None:
    """Send all parts without joining them."""
    sent = line.sendmsg(parts)
    for part in parts:
        if sent < len(part):
            line.sendall(memoryview(part)[max(sent, 0) :])
        sent -= len(part)


def end_to_end_headers(headers: Mapping[str, str], dropped: frozenset[str]) -> dict[str, str]:
    """The end-to-end headers: without hop-by-hop headers and those in `dropped`."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return {
        name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | dropped | named
    }


def error_cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


@contextmanager
def serve_gateway(
    listener: socket.socket,
    make_handlers: Callable[[str], GatewayHandlers],
    before_close: Callable[[], None] = lambda: None,
) -> Iterator[GatewayAddress]:
    """Serve a gateway on `listener`, which it closes at the end.

    `make_handlers` makes the handlers for a token. `before_close` may wait at the end for answers in
    progress, before their connections are closed.
    """
    token = secrets.token_urlsafe(32)
    with listener:
        handlers = make_handlers(token)
        request = type("RunRequest", (GatewayRequest,), {"handlers": handlers})
        with closing(handlers), _Server(listener, request).serve(before_close):
            host, port = listener.getsockname()
            yield GatewayAddress(f"{host}:{port}", token)


class _Server(ThreadingHTTPServer):
    """Limits connections, logs no errors, and closes all connections at its end."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, request: type[GatewayRequest]) -> None:
        super().__init__(listener.getsockname(), request, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @contextmanager
    def serve(self, before_close: Callable[[], None]) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            before_close()
            self._close_connections()
            thread.join()

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
        """Log nothing: clients disconnect often, and a traceback may hold secrets."""

    def _close_connections(self) -> None:
        """Close all open connections: with the run its access ends."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # it may be closed already
                    connection.shutdown(socket.SHUT_RDWR)
