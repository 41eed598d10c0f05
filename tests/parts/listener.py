"""A URL of our own that notes what it is told."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(slots=True)
class Listener:
    url: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)  # bodies, in order
    paths: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # their `webhook-id`
    answers: list[int] = field(default_factory=list)  # the next ones; then 204

    def facts(self) -> list[tuple[str, str, str]]:
        return [(one["kind"], one["state"], one["skill"]) for one in self.heard]


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.paths.append(self.path)
            found.ids.append(self.headers.get("webhook-id", ""))
            found.heard.append(json.loads(body))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.send_header("Location", f"{found.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the server's names

        def log_message(self, *_: object) -> None:
            """Not on the screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}/secret-hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
