"""The app on a real socket: what GitHub sends is stored at once, and what others send harms nobody."""

import asyncio
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import requests

from runner.apps.web.app import create_app
from runner.apps.web.server import IntakeProtocol, make_server
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.model.decision import Event
from runner.triggers.sources import MAX_BODY
from tests.parts.hearing import Inbox

SECRET = "a secret"
PATIENCE = 90.0


class Store:
    """Keeps what is delivered, as the worker's store does; more than one thread calls it."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.lock = threading.Lock()
        self.repositories: list[str] = []
        self.fault: Exception | None = None
        self.state = {"store": True}

    def deliver(self, event: Event, repository: str) -> bool:
        if self.fault:
            raise self.fault
        with self.lock:
            self.repositories.append(repository)
            return self.inbox.deliver(event)

    def health(self) -> Mapping[str, bool]:
        return self.state


@contextmanager
def served(store: Store, patience: float = 20.0) -> Iterator[str]:
    made = create_app(
        store.deliver,
        {"github": [SECRET]},
        lambda name: name.lower() == "acme/lib",
        store.health,
        patience=patience,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(made)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with served(store) as found:
        yield found


def payload(number: int = 1, repository: str = "acme/lib") -> bytes:
    release = {"id": number, "tag_name": f"v{number}"}
    found = {"action": "published", "release": release, "repository": {"full_name": repository}}
    return json.dumps({**found, "sender": {"login": "ann"}}).encode()


def headers(body: bytes, kind: str = "release", **more: str) -> dict[str, str]:
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-Hub-Signature-256": signature,
        "X-GitHub-Event": kind,
        "X-GitHub-Delivery": "guid",
        "Content-Type": "application/json",
        **more,
    }


def post(url: str, body: bytes, given: dict[str, str] | None = None) -> requests.Response:
    return requests.post(
        f"{url}/webhooks/github", data=body, headers=given or headers(body), timeout=PATIENCE
    )


def test_a_delivery_is_taken_and_its_replay_known(url: str, store: Store) -> None:
    first, again = post(url, payload()), post(url, payload())
    assert (first.status_code, first.json()) == (202, {"status": "taken", "key": "release:1:published"})
    assert (again.status_code, again.json()["status"]) == (200, "known")
    assert [event.key for event in store.inbox.taken] == ["release:1:published"]
    assert store.inbox.taken[0].delivery == "guid"
    assert store.repositories[0] == "acme/lib"


@pytest.mark.parametrize(
    ("body", "given", "status"),
    [
        (payload(), {"X-GitHub-Event": "release"}, 401),
        (payload(), {**headers(payload()), "X-Hub-Signature-256": "sha1=abc"}, 401),
        (payload(), headers(payload(2)), 401),
        (b"payload=x", headers(b"payload=x"), 400),
        (payload(1, "acme/other"), headers(payload(1, "acme/other")), 404),
        (b"{}", headers(b"{}", "ping"), 200),
        (payload(), headers(payload(), "star"), 200),
    ],
)
def test_other_answers(url: str, store: Store, body: bytes, given: dict[str, str], status: int) -> None:
    assert post(url, body, given).status_code == status
    assert store.inbox.taken == []


def test_what_cannot_be_stored_is_said_and_can_be_delivered_again(url: str, store: Store) -> None:
    store.fault = RunnerError(Phase.STORE, Reason.DISK_FULL, "the disk is full: /secret/path")
    answer = post(url, payload())
    assert answer.status_code == 503
    assert "/secret/path" not in answer.text
    store.fault = None
    assert post(url, payload()).status_code == 202


def test_alive_and_ready(url: str, store: Store) -> None:
    assert requests.get(f"{url}/healthz", timeout=PATIENCE).json() == {"status": "ok"}
    assert requests.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    store.state["store"] = False
    answer = requests.get(f"{url}/readyz", timeout=PATIENCE)
    assert (answer.status_code, answer.json()) == (503, {"store": False})
    assert requests.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/", "/webhooks/github"])
def test_nothing_else_is_served(url: str, path: str) -> None:
    assert requests.get(f"{url}{path}", timeout=PATIENCE).status_code in (404, 405)


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), PATIENCE)


def head(**more: Any) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(["POST /webhooks/github HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def until_closed(connection: socket.socket) -> bytes:
    found = b""
    while chunk := connection.recv(65536):
        found += chunk
    return found


def test_a_body_that_says_it_is_too_large_is_not_read(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(head(Content_Length=MAX_BODY + 1))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_of_unknown_length_is_read_to_the_limit_and_no_further(url: str) -> None:
    chunk = b"x" * (1 << 20)
    sent = 0
    with connected(url) as connection:
        connection.sendall(head(Transfer_Encoding="chunked"))
        try:
            for _ in range(100):
                connection.sendall(b"100000\r\n" + chunk + b"\r\n")
                sent += 1
        except OSError:
            pass
    assert sent < 100
    assert post(url, payload()).status_code == 202


def test_a_body_that_does_not_come_is_waited_for_only_so_long(store: Store) -> None:
    with served(store, patience=0.5) as url, connected(url) as slow:
        slow.sendall(head(Content_Length=1000) + b"{")
        wait_until(lambda: post(url, payload()).status_code in (200, 202))  # others are served meanwhile
        assert until_closed(slow).startswith(b"HTTP/1.1 408")


def test_bodies_share_what_memory_there_is(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What began first gives way, so that stalled bodies never shut out one that is meant."""
    monkeypatch.setattr("runner.apps.web.app._IN_HAND", 1_000_000)
    with connected(url) as first, connected(url) as second:
        for stalled in (first, second):
            stalled.sendall(head(Content_Length=500_000) + b"x" * 450_000)
        assert post(url, payload() + b" " * 800_000).status_code == 202
        assert until_closed(first).startswith(b"HTTP/1.1 503")
        assert until_closed(second).startswith(b"HTTP/1.1 503")


def test_unsigned_bodies_that_stall_shut_nobody_out(store: Store, url: str) -> None:
    """Five of them held all that may be held, and a signed delivery was told to come again."""
    with ExitStack() as opened:
        for _ in range(5):
            stalled = opened.enter_context(connected(url))
            stalled.sendall(head(Content_Length=MAX_BODY))
            stalled.sendall(b"x" * (MAX_BODY - 1))
        assert post(url, payload()).status_code == 202
    assert [event.key for event in store.inbox.taken] == ["release:1:published"]


def test_small_bodies_that_stall_keep_what_they_have(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only as many give way as have to."""
    monkeypatch.setattr("runner.apps.web.app._IN_HAND", 1_000_000)
    body = payload(7)
    with connected(url) as first, connected(url) as second:
        first.sendall(head(Content_Length=900_000) + b"x" * 800_000)
        given = {name.replace("-", "_"): value for name, value in headers(body).items()}
        second.sendall(head(Content_Length=len(body), Connection="close", **given) + body[:10])
        assert post(url, payload() + b" " * 900_000).status_code == 202
        assert until_closed(first).startswith(b"HTTP/1.1 503")
        second.sendall(body[10:])
        assert until_closed(second).startswith(b"HTTP/1.1 202")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"P",
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Slow:",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /",  # the second one on a line that is kept
    ],
)
def test_a_head_that_does_not_come_ends_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(IntakeProtocol, "head_timeout", 0.2)
    with connected(url) as slow:
        slow.sendall(sent)
        began = time.monotonic()
        with suppress(ConnectionResetError):
            until_closed(slow)
        assert time.monotonic() - began < 4  # uvicorn itself ends what is silent after five seconds


def is_cut(slow: socket.socket, piece: bytes) -> bool:
    """Whether the connection ends although something comes again and again."""
    for _ in range(200):
        try:
            slow.sendall(piece)
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_head_that_comes_byte_by_byte_has_the_same_limit(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IntakeProtocol, "head_timeout", 0.3)
    with connected(url) as slow:
        assert is_cut(slow, b"P")


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/webhooks/nobody"])
def test_a_body_that_nobody_reads_has_a_limit_too(
    url: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(IntakeProtocol, "body_timeout", 0.3)
    with connected(url) as slow:
        slow.sendall(head(Content_Length=1_000_000).replace(b"/webhooks/github", path.encode()))
        assert is_cut(slow, b"x")


def test_many_connections_that_say_nothing_shut_nobody_out(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would use up the files that the worker may have open."""
    monkeypatch.setattr(IntakeProtocol, "max_connections", 10)
    with ExitStack() as opened:
        silent = [opened.enter_context(connected(url)) for _ in range(40)]
        assert post(url, payload()).status_code == 202
        with suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_who_goes_away_in_the_middle_harms_nobody(url: str, store: Store) -> None:
    for _ in range(20):
        with connected(url) as connection:
            connection.sendall(head(Content_Length=1000) + b"{")
    assert post(url, payload()).status_code == 202
    assert len(store.inbox.taken) == 1


def in_parallel(work: Callable[[int], int], count: int, workers: int) -> list[int]:
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(count)))


def test_a_burst_of_a_thousand_is_taken_each_once(url: str, store: Store) -> None:
    sessions = threading.local()

    def one(number: int) -> int:
        if not hasattr(sessions, "session"):
            sessions.session = requests.Session()
        body = payload(number % 500)
        found = sessions.session.post(
            f"{url}/webhooks/github", data=body, headers=headers(body), timeout=PATIENCE
        )
        return int(found.status_code)

    statuses = in_parallel(one, 1000, 16)
    assert statuses.count(202) == 500
    assert statuses.count(200) == 500
    assert len(store.inbox.taken) == 500
