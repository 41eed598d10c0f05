"""A model whose answers a test writes down, in each API of `tests.parts.protocols`, plain and as a stream.

A script is a list of turns, a turn a list of steps:

    {"say": "text"}                                     the model speaks
    {"write": {"path": "docs/a.md", "content": "x"}}    it calls whatever tool the client has for that
    {"shell": "make docs"}                              likewise
    {"tool": "server/tool", "with": {"text": "x"}}      it calls a tool of an MCP server
    {"error": 429, "message": "...", "retry_after": 1, "times": 2}   an HTTP error; `times`: only so often
    {"delay": 30}                                       seconds before anything is sent
    {"cut": 1}                                          the stream breaks off after so many events

A step with `heard: TEXT` counts only if the request holds that text, one with `unheard: TEXT` only if not.

The script is the first part of the request's path, so one server serves many tests. The turn is the number of
the model's turns that the request's history holds: nothing is remembered between requests but `times`. A
client's side question, such as one for a title, is answered outside of the script.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any

import pytest

from tests.parts.protocols import chat, gemini, messages, responses
from tests.parts.protocols.steps import Script, Step, Steps


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: Any


@dataclass(slots=True)
class ModelServer:
    """Where it listens, and what it was asked."""

    address: str
    requests: list[Request] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str, script: Script) -> str:
        """The base URL under which `script` is played."""
        self.scripts[name] = script
        return f"{self.address}/{name}"

    def asked(self, name: str) -> list[Request]:
        """The model calls of one script."""
        return [one for one in self.requests if one.path.startswith(f"/{name}/") and one.method == "POST"]


PROTOCOLS = {
    "messages": messages,
    "responses": responses,
    "completions": chat,
    "generateContent": gemini,
    "streamGenerateContent": gemini,
}


def _counting(turn: Steps, asked: str) -> Iterator[Step]:
    for step in turn:
        if step.get("heard", "") in asked and not ("unheard" in step and step["unheard"] in asked):
            yield step


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed, or that have read enough, are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ModelServer

    def do_HEAD(self) -> None:
        self.model.requests.append(Request("HEAD", self.path, self._headers(), None))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815 - the name is the protocol's

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.model.requests.append(Request("POST", self.path, self._headers(), body))
        name, _, rest = self.path.lstrip("/").partition("/")
        call = re.split("[/:]", rest.partition("?")[0])[-1]
        protocol = PROTOCOLS.get(call)
        if protocol is None or name not in self.model.scripts:
            return self._json(404, messages.error(404, f"no such place: {self.path}"))
        index = protocol.turn(body)
        turn = list(_counting(self._turn(name, index, protocol.aside(body)), json.dumps(body)))
        if (error := self._obstacle(name, index, turn)) is not None:
            after = {"retry-after": str(error["retry_after"])} if "retry_after" in error else {}
            message = error.get("message", "scripted error")
            return self._json(error["error"], protocol.error(error["error"], message), after)
        answer = protocol.answer(body, turn, len(self.model.requests))
        if not body.get("stream") and call != "streamGenerateContent":
            return self._json(200, answer)
        return self._events(
            protocol.events(answer), next((step["cut"] for step in turn if "cut" in step), None)
        )

    def _turn(self, name: str, index: int, aside: bool) -> Steps:
        script = self.model.scripts[name]
        if aside:
            return [{"say": "A title"}]
        return script[index] if index < len(script) else [{"say": "The script is over."}]

    def _obstacle(self, name: str, index: int, turn: Steps) -> Step | None:
        """The error that this turn begins with, if it does; a delay is waited for here."""
        for step in turn:
            self.model.stopping.wait(step.get("delay", 0))
            key = f"{name}/{index}"
            if "error" in step and self.model.failures[key] < step.get("times", 1_000_000):
                self.model.failures[key] += 1
                return step
        return None

    def _json(self, status: int, data: Any, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _events(self, events: Iterator[bytes], cut: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in islice(events, cut):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.close_connection = cut is not None
        if cut is None:
            self.wfile.write(b"0\r\n\r\n")

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
        pass


@contextmanager
def serving() -> Iterator[ModelServer]:
    """On this machine's loopback: what runs in a sandbox reaches it through the gateway alone."""
    server = Server(("127.0.0.1", 0), Handler)
    model = ModelServer(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (Handler,), {"model": model})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    with serving() as model:
        yield model
