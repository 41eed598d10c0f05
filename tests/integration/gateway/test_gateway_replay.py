"""What the gateway keeps of the traffic with a model, and a model that answers from that."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from runner.config.network import NetworkRules
from runner.core.errors import RunnerError
from runner.gateway.factory import ModelRouteOptions, open_gateway
from runner.gateway.model import recorder as tapes
from runner.gateway.model.cassette import Exchange, Placeholders, comparable_lines, from_traffic
from runner.gateway.model.recorder import TrafficRecorder
from runner.gateway.model.replay import Replay, serve_replay
from runner.gateway.server import GatewayAddress
from runner.harnesses import ModelAccess

KEY, SECRET = "sk-the-real-key-0123456789abcdef", "s3cr3t-value-1234567890"
ACCESS = ModelAccess(
    key_variable="KEY",
    upstream_variable="URL",
    upstream="https://unused.example",
    header="x-api-key",
    endpoints=("POST /v1/messages", "GET /v1/models", "GET /v1/models/*"),
)


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def asked(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, in two pieces."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (b"data: ", body):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
        pass


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def taped(upstream: str, path: Path) -> Iterator[GatewayAddress]:
    tape = TrafficRecorder(path, {KEY, SECRET})
    door = ModelRouteOptions(access=ACCESS, key=KEY, upstream=upstream, recorder=tape)
    try:
        with open_gateway(listening(), door, NetworkRules(), lambda _: None) as opened:
            yield opened
    finally:
        tape.close()


def lines(path: Path) -> list[Any]:
    return sorted((json.loads(line) for line in path.read_text().splitlines()), key=lambda one: one["number"])


def test_requests_and_answers_are_kept_without_what_is_secret(echo: str, tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    with taped(echo, path) as opened:
        body = asked(f"{SECRET} and {opened.token}")
        answer = requests.post(
            f"{opened.url}/v1/messages?beta=true", json=body, headers={"x-api-key": opened.token}, timeout=60
        )
    assert SECRET in answer.text  # who asked gets it as it is
    (one,) = lines(path)
    assert (one["method"], one["path"], one["status"]) == ("POST", "/v1/messages?beta=true", 200)
    assert (one["content_type"], one["cut"]) == ("text/event-stream", False)
    assert json.loads(one["body"]) == asked("*** and ***")
    assert json.loads(one["answer"].removeprefix("data: ")) == asked("*** and ***")
    for secret in (SECRET, KEY, opened.token):
        assert secret not in path.read_text()


def test_many_at_once_are_kept_whole(echo: str, tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    with taped(echo, path) as opened:
        url = f"{opened.url}/v1/messages"
        threads = [
            threading.Thread(
                target=requests.post, args=(url,), kwargs={"json": asked(f"{number}" * 9999), "timeout": 60}
            )
            for number in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    kept = lines(path)
    assert [one["number"] for one in kept] == list(range(1, 21))
    assert all(one["answer"] == f"data: {one['body']}" for one in kept)


def test_large_bodies_are_cut(echo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapes, "_LARGEST", 1000)
    path = tmp_path / "traffic.jsonl"
    with taped(echo, path) as opened:
        answer = requests.post(f"{opened.url}/v1/messages", json=asked("x" * 5000), timeout=60)
    assert len(answer.text) > 5000
    (one,) = lines(path)
    assert (len(one["body"]), len(one["answer"]), one["cut"]) == (1000, 1000, True)


def test_a_model_that_is_not_there_is_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    with listening() as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with taped(address, path) as opened:
        assert requests.post(f"{opened.url}/v1/messages", json=asked("x"), timeout=60).status_code == 502
    for one in lines(path):  # each try
        assert (one["status"], one["answer"], one["cut"]) == (0, "", True)


# --- replaying -----------------------------------------------------------------------------------


def exchange(text: str, answer: str = "{}", status: int = 200) -> Exchange:
    return Exchange(
        method="POST",
        path="/v1/messages",
        asked=comparable_lines(json.dumps(asked(text)).encode(), Placeholders()),
        status=status,
        content_type="application/json",
        answer=answer,
    )


def post(url: str, text: str) -> requests.Response:
    return requests.post(f"{url}/v1/messages", json=asked(text), timeout=60)


def test_what_was_kept_is_answered_again(echo: str, tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    with taped(echo, path) as opened:
        first = post(opened.url, "one").text
        assert post(opened.url, "two").ok
    replay = Replay(from_traffic(path.read_bytes(), Placeholders()))
    with serve_replay(replay) as url:
        assert "request 2" in replay.unused_exchanges() or "requests 1, 2" in replay.unused_exchanges()
        assert post(url, "two").ok  # the order of what is asked at once is chance
        again = post(url, "one")
    assert (again.text, again.headers["Content-Type"]) == (first, "text/event-stream")
    assert replay.unused_exchanges() == ""
    replay.check()


def test_a_request_that_differs_is_refused_and_told() -> None:
    replay = Replay([exchange("one"), exchange("two")])
    with serve_replay(replay) as url:
        assert post(url, "one").ok
        assert post(url, "too").status_code == 400
    (problem,) = replay.problems
    assert problem.startswith("request 2 (/v1/messages) differs from what was recorded:")
    assert "-messages[0].content: two" in problem
    assert "+messages[0].content: too" in problem
    with pytest.raises(RunnerError, match="request 2"):
        replay.check()


def test_a_request_too_many_is_told() -> None:
    replay = Replay([exchange("one")])
    with serve_replay(replay) as url:
        assert post(url, "one").ok
        assert post(url, "one").status_code == 400
    assert "request 2 (/v1/messages) is one more than was recorded" in replay.problems


def test_what_is_only_looked_up_may_be_missing() -> None:
    replay = Replay([])
    with serve_replay(replay) as url:
        assert requests.get(f"{url}/v1/models", timeout=60).status_code == 404
    assert replay.problems == []


def test_answers_in_their_order_whatever_is_asked() -> None:
    replay = Replay([exchange("one", "1"), exchange("two", "2")], strict=False)
    with serve_replay(replay) as url:
        assert [post(url, "x").text, post(url, "y").text] == ["1", "2"]


def test_errors_and_places_are_replayed() -> None:
    recorded = [exchange("one", "<<workspace>>/a", 529), exchange("two", status=0)]
    replay = Replay(recorded, Placeholders(places={"/here": "workspace"}))
    with serve_replay(replay) as url:
        failed = post(url, "one")
        assert (failed.status_code, failed.text) == (529, "/here/a")
        assert post(url, "two").status_code == 502
