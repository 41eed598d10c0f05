"""The model gateway: the key goes in on this side, and nothing but calls of the model passes."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.gateway import server
from runner.gateway.model import provider
from runner.gateway.server import GatewayAddress
from runner.harnesses import ModelAccess
from runner.harnesses.claude_code import ClaudeCode
from runner.harnesses.codex import Codex
from tests.parts.gateway import open_gateway
from tests.parts.model_server import ModelServer, Server
from tests.parts.need import require

KEY = "sk-real-key-0123456789"
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}


def access(upstream: str, **changes: Any) -> ModelAccess:
    return replace(ClaudeCode.model, upstream=upstream, **changes)


def call(
    gateway: GatewayAddress, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    url = urlsplit(gateway.url)
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)) as connection:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, url.path + path, body=data, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()


@pytest.fixture
def gateway(model_server: ModelServer) -> Iterator[GatewayAddress]:
    upstream = model_server.url("gateway", [[{"say": "Hello."}]])
    with open_gateway(access(upstream), KEY) as opened:
        yield opened


def test_the_key_is_put_in_and_the_placeholder_taken_out(
    gateway: GatewayAddress, model_server: ModelServer
) -> None:
    headers = {
        "x-api-key": gateway.token,
        "Authorization": "Bearer x",
        "Cookie": "a=b",
        "anthropic-beta": "interleaved-thinking-2025-05-14",
    }
    status, _, body = call(gateway, "POST", "/v1/messages?beta=true", ASK, headers)
    assert status == 200
    assert json.loads(body)["content"] == [{"type": "text", "text": "Hello."}]
    asked = model_server.asked("gateway")[-1]
    assert asked.path == "/gateway/v1/messages?beta=true"
    assert asked.body == ASK
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    assert asked.headers["host"] == urlsplit(model_server.address).netloc
    assert "authorization" not in asked.headers
    assert "cookie" not in asked.headers


def test_a_bearer_key(model_server: ModelServer) -> None:
    upstream = model_server.url("bearer", [[{"say": "Hello."}]])
    with open_gateway(Codex.model, f" {KEY}\n", upstream) as opened:
        assert call(opened, "POST", "/responses", {"model": "m", "input": []})[0] == 200
    assert model_server.asked("bearer")[-1].headers["authorization"] == f"Bearer {KEY}"


def test_events_are_streamed(gateway: GatewayAddress) -> None:
    status, headers, body = call(gateway, "POST", "/v1/messages", {**ASK, "stream": True})
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert body.startswith(b"event: message_start\n")
    assert body.endswith(b'{"type": "message_stop"}\n\n')


def test_a_connection_serves_several_calls(gateway: GatewayAddress) -> None:
    url = urlsplit(gateway.url)
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)) as connection:
        for method, path in (("HEAD", "/api/hello"), ("GET", "/v1/models"), ("HEAD", "/api/hello")):
            connection.request(method, url.path + path)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/organizations", 404),
        ("POST", "/v1/messages/../organizations", 404),
        ("POST", "/v1/messages/%2e%2e/organizations", 404),
        ("POST", "/v1/messages//x", 404),
        ("POST", "/v1/messagesx", 404),
        ("POST", "", 404),
        ("PUT", "/v1/messages", 404),
        ("DELETE", "/v1/messages", 404),
        ("CONNECT", "/v1/messages", 404),
    ],
)
def test_only_calls_of_the_model_pass(
    gateway: GatewayAddress, model_server: ModelServer, method: str, path: str, status: int
) -> None:
    before = len(model_server.requests)
    assert call(gateway, method, path)[0] == status
    assert len(model_server.requests) == before


@pytest.mark.parametrize("token", ["", "x", "é", "http://evil.example"])
def test_without_the_token_nothing_passes(
    gateway: GatewayAddress, model_server: ModelServer, token: str
) -> None:
    before = len(model_server.requests)
    url = urlsplit(gateway.url)
    with closing(socket.create_connection((url.hostname, url.port), timeout=10)) as connection:
        connection.sendall(f"POST /{token}/v1/messages HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode())
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 403")
    assert gateway.token.encode() not in answer
    assert len(model_server.requests) == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: -5", 411),
        ("Content-Length: 1e3", 411),
        ("Content-Length: 99999999999", 413),
    ],
)
def test_requests_are_bounded(gateway: GatewayAddress, headers: str, status: int) -> None:
    url = urlsplit(gateway.url)
    with closing(socket.create_connection((url.hostname, url.port), timeout=10)) as connection:
        connection.sendall(f"POST {url.path}/v1/messages HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(f"HTTP/1.1 {status}".encode())


def test_connections_are_bounded(gateway: GatewayAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CONNECTIONS", 2)
    url = urlsplit(gateway.url)
    opened = [socket.create_connection((url.hostname, url.port), timeout=10) for _ in range(3)]
    assert opened[2].recv(1) == b""
    opened[0].close()
    opened[1].close()
    opened[2].close()


@contextmanager
def upstream(
    answer: bytes, hold: threading.Event | None = None, certificate: Path | None = None
) -> Iterator[str]:
    """A server that answers everything with these bytes, and then hangs up or holds the line."""

    class Raw(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(answer)
            self.wfile.flush()
            if hold is not None:
                hold.wait(10)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
            pass

    server = Server(("127.0.0.1", 0), Raw)
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        scheme = "https" if certificate is not None else "http"
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(address: str, path: str = "/v1/models") -> tuple[int, dict[str, str], bytes]:
    with open_gateway(access(address), KEY) as opened:
        return call(opened, "GET", path)


def test_redirects_are_not_followed() -> None:
    with upstream(
        b"HTTP/1.1 307 x\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n"
    ) as address:
        status, headers, body = asked(address)
    assert status == 502
    assert "location" not in headers
    assert b"redirects" in body


def test_errors_and_cookies_of_the_upstream() -> None:
    answer = b"HTTP/1.1 429 x\r\nRetry-After: 7\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"
    with upstream(answer) as address:
        status, headers, body = asked(address)
    assert (status, headers["retry-after"], body) == (429, "7", b"{}")
    assert "set-cookie" not in headers


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_an_upstream_that_does_not_answer_is_a_plain_502(answer: bytes) -> None:
    with upstream(answer) as address:
        status, _, body = asked(address)
    assert status == 502
    assert json.loads(body)["error"]["message"].startswith("127.0.0.1 cannot be reached: ")
    assert KEY.encode() not in body


def test_an_upstream_that_is_not_there() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        status, _, body = asked(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert status == 502
    assert b"Connection refused" in body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_an_answer_that_is_cut_looks_cut(answer: bytes) -> None:
    with upstream(answer) as address, pytest.raises(http.client.IncompleteRead):
        asked(address)


def test_pieces_pass_before_the_answer_is_whole() -> None:
    hold = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
    with upstream(head, hold) as address, open_gateway(access(address), KEY) as opened:
        url = urlsplit(opened.url)
        with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)) as connection:
            connection.request("GET", f"{url.path}/v1/models")
            assert connection.getresponse().read1(100) == b"first"
        hold.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody vouches for."""
    require(shutil.which("openssl"), "openssl", "install openssl")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", *made, *names, "-keyout", str(path), "-out", f"{path}.crt"],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.mark.parametrize("trusted", [True, False])
def test_the_upstream_must_prove_who_it_is(
    certificate: Path, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    with upstream(answer, certificate=certificate) as address:
        status, _, body = asked(address)
    if trusted:
        assert (status, body) == (200, b"hi")
    else:
        assert status == 502
        assert b"certificate" in body.lower()


def test_when_the_run_is_over_so_is_its_access(model_server: ModelServer) -> None:
    with open_gateway(access(model_server.address), KEY) as opened:
        url = urlsplit(opened.url)
        idle = socket.create_connection((url.hostname, url.port), timeout=10)
        call(opened, "HEAD", "/api/hello")
    with closing(idle):
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionError):
        call(opened, "HEAD", "/api/hello")


@pytest.mark.parametrize(
    "address",
    [
        "http://models.example",
        "ftp://127.0.0.1",
        "https://",
        "https://me:pw@models.example",
        "https://m.example?a=b",
        "",
        "models.example",
    ],
)
def test_addresses_that_would_show_the_key_are_refused(address: str) -> None:
    with pytest.raises(RunnerError) as caught, open_gateway(access(address), KEY):
        pass
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert "ANTHROPIC_BASE_URL" in caught.value.message
    assert "pw" not in caught.value.message


@pytest.mark.parametrize("key", ["", " \n", "two\nlines", "smörgås"])
def test_keys_that_cannot_be_sent_are_refused(key: str) -> None:
    with pytest.raises(RunnerError) as caught, open_gateway(ClaudeCode.model, key):
        pass
    assert caught.value.reason is Reason.SECRET_MISSING
    assert "lines" not in caught.value.message


def test_the_key_does_not_show(gateway: GatewayAddress, capfd: pytest.CaptureFixture[str]) -> None:
    call(gateway, "POST", "/v1/messages", ASK)
    call(gateway, "POST", "/elsewhere", ASK)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""
    assert KEY not in repr(gateway) + gateway.url


@contextmanager
def counting(answers: int) -> Iterator[tuple[str, list[int]]]:
    """A model that hangs up after some answers, and does not say so; how many each connection got."""
    got: list[int] = []

    class Silent(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            got.append(0)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            got[-1] += 1
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            self.close_connection = got[-1] == answers

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
            """Nothing."""

    server = Server(("127.0.0.1", 0), Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask_until(opened: GatewayAddress, true: Callable[[], bool]) -> None:
    """A client may ask again before the connection of its last answer is there for the next call."""
    until = time.monotonic() + 60
    while not true():
        assert call(opened, "POST", "/v1/messages", ASK)[0] == 200
        assert time.monotonic() < until


def test_calls_share_a_connection_to_the_model() -> None:
    with counting(100) as (address, got), open_gateway(access(address), KEY) as opened:
        ask_until(opened, lambda: 5 in got)


def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    with counting(2) as (address, got), open_gateway(access(address), KEY) as opened:
        ask_until(opened, lambda: got.count(2) == 3)


def test_a_connection_is_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_IDLE", 0.0)
    with counting(100) as (address, got), open_gateway(access(address), KEY) as opened:
        for _ in range(3):
            assert call(opened, "POST", "/v1/messages", ASK)[0] == 200
    assert got == [1, 1, 1]


def test_what_follows_a_head_does_not_wait(gateway: GatewayAddress) -> None:
    """With Nagle's algorithm it would wait for the client's delayed acknowledgement, 40 ms."""
    assert server.GatewayRequest.disable_nagle_algorithm
    host, port = gateway.address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 403")
