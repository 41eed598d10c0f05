"""The door to other hosts: what gets out of a sandbox, and what does not."""

import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from runner.config.network import network_rules
from runner.gateway import factory
from runner.gateway.egress.proxy import Attempt, EgressHandler
from runner.gateway.factory import EgressLog
from runner.gateway.model.proxy import NoModel
from runner.gateway.server import GatewayAddress, GatewayHandlers, serve_gateway
from tests.parts.rig import Rig
from tests.parts.site import Quiet, site

OPEN, OTHER = "packages.example", "evil.example"


class Site(Quiet):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 - the name that the server calls
        moved = self.path == "/moved"
        content = f"{self.headers['Host']} {self.path} {self.headers.get('Authorization')}".encode()
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", f"http://{OTHER}/")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For both names, with its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    names = f"subjectAltName=DNS:{OPEN},DNS:{OTHER}"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"]
    command = [*made, "-addext", names, "-keyout", f"{file}.key", "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_bytes(Path(f"{file}.crt").read_bytes() + Path(f"{file}.key").read_bytes())
    return file


class Way:
    """A gateway whose one host is on this machine, and what it tells."""

    def __init__(self, stack: ExitStack, listener: socket.socket, addresses: Mapping[str, str]) -> None:
        self.told: list[Attempt] = []
        self.done = threading.Semaphore(0)
        allowed = network_rules([OPEN, "deb.debian.org"], [OPEN])

        def resolve(host: str) -> list[str]:
            if host not in addresses:
                raise socket.gaierror(-2, "Name or service not known")
            return [addresses[host]]

        def tell(attempt: Attempt) -> None:
            self.told.append(attempt)
            self.done.release()

        def doors(token: str) -> GatewayHandlers:
            egress = EgressHandler(rules=allowed, token=token, on_attempt=tell, resolve=resolve)
            return GatewayHandlers(model=NoModel(), egress=egress)

        self.gateway: GatewayAddress = stack.enter_context(serve_gateway(listener, doors))

    def connection(self) -> http.client.HTTPConnection:
        host, _, port = self.gateway.address.partition(":")
        return http.client.HTTPConnection(host, int(port), timeout=20)

    def ask(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        connection = self.connection()
        try:
            connection.request(method, url, headers={**self.proof, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    @property
    def proof(self) -> dict[str, str]:
        import base64

        pair = base64.b64encode(f"run:{self.gateway.token}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {pair}"}

    def last(self) -> Attempt:
        assert self.done.acquire(timeout=60)
        return self.told[-1]


@pytest.fixture
def way() -> Iterator[Way]:
    with ExitStack() as stack:
        addresses = {OPEN: "127.0.0.1", OTHER: "127.0.0.1", "deb.debian.org": "169.254.169.254"}
        yield Way(stack, socket.create_server(("127.0.0.1", 0)), addresses)


def test_plain_http_is_read(way: Way) -> None:
    with site(Site, None) as port:
        cookies = {"Authorization": "Bearer x", "Cookie": "a=b"}
        status, body = way.ask("GET", f"http://{OPEN}:{port}/a?b=c", cookies)
    assert (status, body) == (200, f"{OPEN}:{port} /a?b=c None")
    told = way.last()
    assert (told.host, told.port, told.refused, told.received) == (OPEN, port, "", len(body))


def test_a_redirect_is_the_clients_to_follow_and_is_looked_at_anew(way: Way) -> None:
    with site(Site, None) as port:
        assert way.ask("GET", f"http://{OPEN}:{port}/moved")[0] == 302
    way.last()
    status, body = way.ask("GET", f"http://{OTHER}/")
    assert status == 403
    assert f"{OTHER}: it is not in `environment.network.allow`" in body
    assert way.last().refused == "it is not in `environment.network.allow`"


@pytest.mark.parametrize(
    ("method", "url", "status", "said"),
    [
        ("POST", f"http://{OPEN}/", 403, "only read"),
        ("PUT", f"http://{OPEN}/", 403, "only read"),
        ("DELETE", f"http://{OPEN}/", 403, "only read"),
        ("GET", f"https://{OPEN}/", 403, "by CONNECT"),
        ("GET", f"ftp://{OPEN}/", 403, "only http://"),
        ("GET", f"http://{OPEN}@{OTHER}/", 403, "without a user's name"),
        ("GET", "http://127.0.0.1/", 403, "exact name"),
        ("GET", "http://169.254.169.254/latest/meta-data/", 403, "exact name"),
        ("GET", "http://a.example:b/", 403, "no address"),
        ("GET", f"http://{OPEN}.{OTHER}/", 403, "not in"),
        ("GET", f"http://{OPEN}./", 403, "exact name"),
        ("GET", "http://deb.debian.org/", 403, "169.254.169.254 is not on the public internet"),
        ("GET", "http://deb.debian.org:8080/", 403, "only port 80"),
        ("CONNECT", "deb.debian.org:443", 403, "169.254.169.254 is not on the public internet"),
        ("CONNECT", "deb.debian.org:22", 403, "only port 443"),
        ("CONNECT", f"{OTHER}:443", 403, "not in"),
        ("CONNECT", f"{OPEN}@{OTHER}:443", 403, "host:port"),
        ("CONNECT", OPEN, 403, "host:port"),
        ("CONNECT", "[::1]:443", 403, "host:port"),
    ],
)
def test_what_is_not_let_through(way: Way, method: str, url: str, status: int, said: str) -> None:
    got, body = way.ask(method, url)
    assert got == status
    assert said in json.loads(body)["error"]["message"]
    assert said in way.last().refused


def test_a_request_with_content_is_no_reading(way: Way) -> None:
    got, body = way.ask("GET", f"http://{OPEN}/", {"Content-Length": "3"})
    assert (got, "with content" in body) == (403, True)


@pytest.mark.parametrize("given", ["", "Basic eDp5", "Bearer x"])
def test_who_is_not_of_this_run_is_sent_back(way: Way, given: str) -> None:
    status, _ = way.ask("CONNECT", f"{OPEN}:443", {"Proxy-Authorization": given})
    assert status == 407
    assert way.told == []


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_who_does_not_answer_is_told(way: Way, method: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        where = f"{OPEN}:{taken.getsockname()[1]}"
        status, body = way.ask(method, where if method == "CONNECT" else f"http://{where}/")
    assert (status, f"{OPEN} cannot be reached: Connection refused" in body) == (502, True)
    assert way.last().failed == "Connection refused"


def tls(way: Way, port: int, name: str | None) -> ssl.SSLSocket:
    """A TLS connection through the gateway to what it lets through, that asks inside for `name`."""
    host, _, at = way.gateway.address.partition(":")
    line = socket.create_connection((host, int(at)), timeout=20)
    asked = (
        f"CONNECT {OPEN}:{port} HTTP/1.1\r\nProxy-Authorization: {way.proof['Proxy-Authorization']}\r\n\r\n"
    )
    line.sendall(asked.encode())
    assert line.recv(1000).startswith(b"HTTP/1.1 200 ")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(line, server_hostname=name)


def test_tls_goes_through_untouched(way: Way, certificate: Path) -> None:
    with site(Site, certificate) as port:
        with tls(way, port, OPEN) as line:
            line.sendall(f"GET /x HTTP/1.1\r\nHost: {OPEN}\r\nConnection: close\r\n\r\n".encode())
            assert b"200 OK" in line.recv(4096)
        told = way.last()
    assert (told.host, told.refused, told.sent > 0, told.received > 0) == (OPEN, "", True, True)


@pytest.mark.parametrize("name", [OTHER, None])
def test_another_host_behind_the_same_door(way: Way, certificate: Path, name: str | None) -> None:
    """Many hosts share a server: who may talk to one must not get another from it."""
    with site(Site, certificate) as port:
        with pytest.raises((ssl.SSLError, OSError)):
            tls(way, port, name)
        assert way.last().refused == f"inside TLS it asked for {name or 'no host by name'}"


def test_what_is_no_tls_does_not_pass_as_such(way: Way, certificate: Path) -> None:
    with site(Site, certificate) as port:
        host, _, at = way.gateway.address.partition(":")
        with socket.create_connection((host, int(at)), timeout=20) as line:
            proof = way.proof["Proxy-Authorization"]
            line.sendall(f"CONNECT {OPEN}:{port} HTTP/1.1\r\nProxy-Authorization: {proof}\r\n\r\n".encode())
            line.recv(1000)
            line.sendall(b"SSH-2.0-x\r\n")
            with suppress(ConnectionResetError):
                assert line.recv(10) == b""
        assert way.last().refused == "what was sent is no TLS: no TLS handshake"


ASK = """
import json, os, sys, urllib.request, ssl
context = ssl.create_default_context(cafile="/skillrunner/ca.crt")
https = urllib.request.HTTPSHandler(context=context)
opener = urllib.request.build_opener(urllib.request.ProxyHandler(), https)
for url in sys.argv[1:]:
    try:
        print(opener.open(url, timeout=20).read().decode())
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.docker
def test_from_a_container_only_what_is_named_is_reached(container: Rig, certificate: Path) -> None:
    sandbox: Any = container.open(gateway=True)
    sandbox.put("ca.crt", Path(f"{certificate}.crt").read_bytes())
    sandbox.put("ask.py", ASK.encode())
    with site(Site, certificate) as port, ExitStack() as stack:
        way = Way(stack, sandbox.listener(), {OPEN: "127.0.0.1", OTHER: "127.0.0.1"})
        urls = f"https://{OPEN}:{port}/in https://{OTHER}:{port}/out"
        container.run(sandbox, f"python3 /skillrunner/ask.py {urls}", variables=way.gateway.proxy)
        container.run(sandbox, f"python3 /skillrunner/ask.py {urls}")
    lines = container.printed().decode().splitlines()
    assert lines[0] == f"{OPEN}:{port} /in None"
    assert "403" in lines[1]
    assert all("URLError" in line for line in lines[2:])
    for _ in range(2):
        way.last()  # is there a moment after the answer
    # Each is told when its connection has ended: which ends first is chance.
    assert sorted((one.host, bool(one.refused)) for one in way.told) == sorted([(OPEN, False), (OTHER, True)])


def test_attempts_are_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime

    monkeypatch.setattr(factory, "_MAX_ATTEMPTS", 2)
    log = EgressLog(tmp_path / "egress.jsonl")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for refused in ("no", "", "no"):
        log.note_attempt(Attempt(at=at, method="GET", host=OPEN, port=80, refused=refused))
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["refused"] for line in lines] == ["no", ""]
    assert log.refusals == {f"{OPEN}: no": 2}
