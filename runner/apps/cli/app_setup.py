"""A page on this machine that sends a person to GitHub with an App's manifest, and hears what comes back.

Only the loopback device is listened on. Neither page has an address that somebody else could know: one begins
with a secret, and the other is answered for GitHub's echo of another secret alone, once.
"""

import hmac
import html
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
CALLBACK = "/callback"
_TIMEOUT = 10.0  # seconds that a browser may take for its request
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(slots=True)
class Setup:
    """One creation of an App: it hears one good answer, and is over."""

    make: Callable[[str, str], tuple[str, Mapping[str, Any]]]
    """Gets the state and the callback's address; returns the form's address and the manifest."""

    finish: Callable[[str], str]
    """Gets the code; returns what the browser shows. Called once. It raises nothing."""

    path: str = field(default_factory=lambda: f"/{secrets.token_urlsafe(32)}")
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    port: int = 0
    answered: threading.Event = field(default_factory=threading.Event)
    _used: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where the person begins."""
        return f"http://{HOST}:{self.port}{self.path}"

    def answer(self, host: str, target: str) -> tuple[int, str]:
        """The status and the page for a request. A name that leads here, of another site, gets nothing."""
        parts = urlsplit(target)
        if host != f"{HOST}:{self.port}":
            return 421, _page("This is not the address of this page.")
        if hmac.compare_digest(parts.path.encode(), self.path.encode()):
            return 200, self._form()
        if parts.path == CALLBACK:
            return self._hear(parse_qs(parts.query))
        return 404, _page("There is no such page.")

    def _form(self) -> str:
        address, manifest = self.make(self.state, f"http://{HOST}:{self.port}{CALLBACK}")
        told = html.escape(json.dumps(manifest))
        shown = html.escape(json.dumps(manifest, indent=2))
        return _page(
            f'<form action="{html.escape(address)}" method="post">'
            f'<input type="hidden" name="manifest" value="{told}">'
            f"<p>GitHub is asked to make this App:</p><pre>{shown}</pre>"
            "<button>Go to GitHub</button></form>"
        )

    def _hear(self, query: Mapping[str, list[str]]) -> tuple[int, str]:
        state, code = (query.get(name, [""])[-1] for name in ("state", "code"))
        if not hmac.compare_digest(state.encode("utf-8", "replace"), self.state.encode()):
            return 403, _page("This answer belongs to another request. Nothing was done.")
        if not self._used.acquire(blocking=False):
            return 410, _page("This answer was heard already.")
        try:
            return 200, _page(f"<p>{html.escape(self.finish(code))}</p><p>You can close this page.</p>")
        finally:
            self.answered.set()


@contextmanager
def serving(setup: Setup) -> Iterator[None]:
    """Serve the pages of a setup, as long as this lasts."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT

        def do_GET(self) -> None:
            status, page = setup.answer(self.headers.get("Host", ""), self.path)
            body = page.encode()
            self.send_response(status)
            for name, value in (*_HEADERS.items(), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
            """Nothing: an address holds a secret."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    setup.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wait(setup: Setup, seconds: float) -> bool:
    """Whether an answer came in that time. A signal is heard meanwhile."""
    end = time.monotonic() + seconds
    while not setup.answered.is_set() and time.monotonic() < end:
        setup.answered.wait(min(0.5, max(0.0, end - time.monotonic())))
    return setup.answered.is_set()


def _page(body: str) -> str:
    return f'<!doctype html><html lang="en"><title>Skillrunner</title><body>{body}</body></html>\n'
