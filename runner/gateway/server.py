"""The gateway of one run: whatever connects from inside its sandbox arrives here, and is handed to a door.

`open_gateway` puts the doors on a listener: the model (model_proxy.py), tools of the run itself (mcp.py) and
hosts by name (egress.py).
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
    """Hears an answer as it passes."""

    def feed(self, piece: bytes) -> None: ...

    def end(self, whole: bool = False) -> None:
        """The answer has ended, whole or cut. May be called again, which changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """What a sandbox is told: where its gateway is, and what stands for the key of its model."""

    address: str  # "127.0.0.1:40123"
    token: str

    @property
    def url(self) -> str:
        """Where the model seems to be."""
        return f"http://{self.address}/{self.token}"

    @property
    def mcp(self) -> str:
        """Where the tools of the run are, when it has any."""
        return f"{self.url}/mcp"

    @property
    def proxy(self) -> Mapping[str, str]:
        """Variables by which programs find the way to the hosts that are allowed."""
        url, none = f"http://run:{self.token}@{self.address}", "localhost,127.0.0.1,::1"
        named = {"http_proxy": url, "https_proxy": url, "no_proxy": none}
        return named | {name.upper(): value for name, value in named.items()} | {"NODE_USE_ENV_PROXY": "1"}


class GatewayHandler(Protocol):
    """One kind of request: how it is answered."""

    def serve(self, request: "Request") -> None:
        """Raises OSError or HTTPException when whoever is behind the door cannot be reached."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHandlers:
    """All doors of one run."""

    model: GatewayHandler
    egress: GatewayHandler
    below: Mapping[str, GatewayHandler] = field(
        default_factory=dict
    )  # by the first part of the path below the token
    close: Callable[[], None] = lambda: None  # at the end

    def handler_for(self, request: "Request") -> GatewayHandler:
        if not request.path.startswith("/"):
            return self.egress
        return self.below.get(request.target[1].removeprefix("/").partition("/")[0], self.model)


class Request(BaseHTTPRequestHandler):
    """One connection from the sandbox. Its path holds the token, so nothing of it is logged."""

    protocol_version = "HTTP/1.1"
    server_version = "skillrunner"
    sys_version = ""
    timeout = _CLIENT_TIMEOUT
    disable_nagle_algorithm = True  # or what follows an answer's head would wait for 40 ms
    doors: "GatewayHandlers"
    asked = "it"  # who was asked, for an error
    begun: bool

    def do_GET(self) -> None:
        self.begun = False
        try:
            self.doors.handler_for(self).serve(self)
        except (OSError, HTTPException) as error:
            self.close_connection = True  # what has begun ends here, visibly cut
            if not self.begun:
                self.answer(502, f"{self.asked} cannot be reached: {error_cause(error)}")

    do_CONNECT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = do_GET  # noqa: N815 - the protocol's

    @property
    def target(self) -> tuple[str, str, str]:
        """(token, path below it, query) of a request to the gateway itself."""
        path, _, query = self.path.partition("?")
        token, slash, rest = path.removeprefix("/").partition("/")
        return token, slash + rest, query

    def holds(self, token: str) -> bool:
        """Whether the address has this token, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(self.target[0].encode("utf-8", "replace"), token.encode())

    def unreadable(self, most: int) -> tuple[int, str] | None:
        """Why a body is not read that may have so many bytes, as a status and words; None: it can be."""
        length = self.headers["Content-Length"] or "0"
        if self.headers["Transfer-Encoding"] or not length.isascii() or not length.isdecimal():
            return 411, "the gateway needs the length of a request beforehand"
        if int(length) > most:
            return 413, f"the gateway takes requests of at most {most} bytes"
        return None

    def content(self) -> bytes:
        """The body, of a request that is not `unreadable`."""
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    @property
    def has_content(self) -> bool:
        return self.headers["Content-Length"] not in (None, "0") or "Transfer-Encoding" in self.headers

    def refuse(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer without reading what else the request holds."""
        self.close_connection = True
        self.answer(status, message, headers)

    def answer(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """The gateway's own answer, in the form in which model APIs tell errors."""
        self.send_answer(status, {"type": "error", "error": {"type": "gateway", "message": message}}, headers)

    def send_answer(
        self, status: int, told: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        """An answer in any other form."""
        self.send_content(status, "application/json", json.dumps(told).encode(), headers)

    def send_content(
        self, status: int, content_type: str, content: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """An answer of any content."""
        own = {"Content-Type": content_type, "Content-Length": str(len(content))}
        self._begin(status, {**(headers or {}), **own})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.begun = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:  # or the client would send its next request where nobody reads it
            self.send_header("Connection", "close")
        self.end_headers()

    def relay(self, body: Body, headers: Mapping[str, str], ear: AnswerListener) -> None:
        """Another's answer as it comes, piece by piece. Raises OSError, HTTPException where it is cut."""
        length = body.answer.headers["Content-Length"] or "0" if body.whole else body.length
        chunked = length is None
        framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(length)}
        self._begin(body.answer.status, {**headers, **framing})
        while piece := body.read():
            ear.feed(piece)
            if body.whole:
                ear.end(whole=True)  # before the client has it all, and asks again
            if chunked:
                _send(self.connection, b"%x\r\n" % len(piece), piece, b"\r\n")
            else:
                self.wfile.write(piece)
        ear.end(whole=True)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
        """Nothing: see above."""


def _send(line: socket.socket, *parts: bytes) -> None:
    """All of the parts, without copying them together."""
    sent = line.sendmsg(parts)
    for part in parts:
        if sent < len(part):
            line.sendall(memoryview(part)[max(sent, 0) :])
        sent -= len(part)


def end_to_end_headers(headers: Mapping[str, str], dropped: frozenset[str]) -> dict[str, str]:
    """The headers that belong to the other side: not those of one connection, and none of `dropped`."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return {
        name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | dropped | named
    }


def error_cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


@contextmanager
def serve_gateway(
    listener: socket.socket,
    doors: Callable[[str], GatewayHandlers],
    settle: Callable[[], None] = lambda: None,
) -> Iterator[GatewayAddress]:
    """A gateway that answers on `listener`, which it closes at the end.

    `doors` makes those of a token. `settle` may wait at the end for answers
    that are still to come, before they are cut.
    """
    token = secrets.token_urlsafe(32)
    with listener:
        made = doors(token)
        request = type("OfThisRun", (Request,), {"doors": made})
        with closing(made), _Server(listener, request).serving(settle):
            host, port = listener.getsockname()
            yield GatewayAddress(f"{host}:{port}", token)


class _Server(ThreadingHTTPServer):
    """Bounded in connections, silent about errors, and closed together with all that it has open."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, request: type[Request]) -> None:
        super().__init__(listener.getsockname(), request, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @contextmanager
    def serving(self, settle: Callable[[], None]) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            settle()
            self._cut()
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
        """A client that went away is no news, and a traceback may hold what must not be shown."""

    def _cut(self) -> None:
        """End the connections that are still open: the run is over, and so is its access."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # it may be closed already
                    connection.shutdown(socket.SHUT_RDWR)
