"""Repositories that a sandbox reads with git: by a real git, from a real server, and nothing but reading."""

import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runner.config.network import NetworkRules, network_rules
from runner.gateway.egress.git import PATH, GitReadHandler, git_variables
from runner.gateway.egress.proxy import Attempt
from runner.gateway.model.proxy import NoModel
from runner.gateway.server import GatewayAddress, GatewayHandlers, serve_gateway
from tests.parts.github import free_port, git_http
from tests.parts.rig import Rig
from tests.parts.site import Quiet, site

URL = "https://github.com/acme/tool"
ALLOWED = network_rules(["github-read"])


class Api(Quiet):
    """Who may use git: nobody with a credential comes from a sandbox, and one repository is private."""

    heard: list[Mapping[str, str]]

    def do_GET(self) -> None:  # noqa: N802 - the name that the server calls
        self.heard.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def git(folder: Path, *argv: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    own = {"HOME": str(folder), "PATH": os.environ["PATH"], "GIT_COMMITTER_EMAIL": "a@b", **identity}
    return subprocess.run(
        ["git", *argv], cwd=folder, env={**own, **(env or {})}, capture_output=True, text=True, timeout=120
    )


class Forge:
    """A server of repositories, and gateways that lead there."""

    def __init__(self, port: int, folder: Path) -> None:
        self.place, self.folder = f"http://127.0.0.1:{port}", folder
        self.heard: list[Mapping[str, str]] = []
        self._told: list[Attempt] = []
        self._telling = threading.Condition()

    def clear(self) -> None:
        self.heard.clear()
        self._told.clear()

    def attempts(self, count: int = 1) -> list[Attempt]:
        """All of them, as soon as there are that many: one is told after its answer has gone out."""
        with self._telling:
            assert self._telling.wait_for(lambda: len(self._told) >= count, timeout=60), self._told
            return list(self._told)

    def _tell(self, attempt: Attempt) -> None:
        with self._telling:
            self._told.append(attempt)
            self._telling.notify_all()

    @contextmanager
    def gateway(self, listener: socket.socket | None = None, **changes: Any) -> Iterator[GatewayAddress]:
        reached = NetworkRules(repositories=ALLOWED.repositories, private=frozenset({"github.com"}))

        def doors(token: str) -> GatewayHandlers:
            door = {"rules": reached, "token": token, "on_attempt": self._tell}
            read = GitReadHandler(**{**door, "addresses": {"github.com": self.place}, **changes})
            return GatewayHandlers(model=NoModel(), egress=NoModel(), by_path={PATH: read})

        with serve_gateway(listener or socket.create_server(("127.0.0.1", 0)), doors) as opened:
            yield opened

    def ask(
        self, opened: GatewayAddress, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> int:
        url = urlsplit(opened.url)
        with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)) as connection:
            connection.request(method, f"{url.path}/{path}", headers=dict(headers or {}))
            return connection.getresponse().status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    folder = tmp_path_factory.mktemp("forge")
    source = folder / "server"
    bare = source / "repositories" / "acme" / "tool"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare", "-b", "main")
    git(bare, "config", "http.receivepack", "true")
    work = folder / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    (work / "large.bin").write_bytes(os.urandom(3_000_000))
    git(work, "add", "-A")
    git(work, "commit", "-qm", "first")
    git(work, "push", "-q", str(bare), "main")
    found = Forge(free_port(), folder)
    api = ThreadingHTTPServer(("127.0.0.1", 0), type("ThisApi", (Api,), {"heard": found.heard}))
    thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with git_http(source, urlsplit(found.place).port or 0, api.server_address[1]):
            yield found
    finally:
        api.shutdown()
        api.server_close()
        thread.join()


@pytest.fixture
def forge(server: Forge) -> Forge:
    """The server, as if nobody had asked it anything yet."""
    server.clear()
    return server


def test_a_repository_is_cloned_and_fetched_by_its_usual_address(forge: Forge, tmp_path: Path) -> None:
    with forge.gateway() as opened:
        env = git_variables(opened.url, ALLOWED, {})
        cloned = git(tmp_path, "clone", "-q", f"{URL}.git".removesuffix(".git"), "copy", env=env)
        assert cloned.returncode == 0, cloned.stderr
        copy = tmp_path / "copy"
        assert (copy / "large.bin").read_bytes() == (forge.folder / "work" / "large.bin").read_bytes()
        assert git(copy, "remote", "get-url", "origin").stdout.strip() == URL
        (forge.folder / "work" / "more.txt").write_text("more")
        for argv in (("add", "-A"), ("commit", "-qm", "second")):
            git(forge.folder / "work", *argv)
        git(forge.folder / "work", "push", "-q", str(forge.folder / "server/repositories/acme/tool"), "main")
        assert git(copy, "fetch", "-q", "git@github.com:acme/tool", "main", env=env).returncode == 0
        assert git(copy, "show", "FETCH_HEAD:more.txt").stdout == "more"
    attempts = forge.attempts(len(forge.heard))
    assert {(one.host, one.refused, one.failed) for one in attempts} == {("github.com", "", "")}
    assert sum(one.received for one in attempts) > 3_000_000
    assert not any("authorization" in headers for headers in forge.heard)


def test_a_push_does_not_pass(forge: Forge, tmp_path: Path) -> None:
    with forge.gateway() as opened:
        env = git_variables(opened.url, ALLOWED, {})
        pushed = git(forge.folder / "work", "push", URL, "main:evil", env=env)
    assert pushed.returncode != 0
    assert "403" in pushed.stderr
    assert forge.attempts()[-1].refused == "repositories are only read: git fetch and git clone, and no push"
    assert "evil" not in git(forge.folder / "server/repositories/acme/tool", "branch").stdout


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "github.com/acme/tool/info/refs?service=git-upload-pack", 200),
        ("GET", "github.com/acme/tool/info/refs?service=git-receive-pack", 403),
        ("GET", "github.com/acme/tool/info/refs", 403),
        ("GET", "github.com/acme/tool/info/refs?service=git-upload-pack&x=1", 403),
        ("POST", "github.com/acme/tool/git-receive-pack", 403),
        ("POST", "github.com/acme/tool/info/refs?service=git-upload-pack", 403),
        ("GET", "github.com/acme/tool/git-upload-pack", 403),
        ("PUT", "github.com/acme/tool/git-upload-pack", 403),
        ("GET", "github.com/acme/tool/HEAD", 403),
        ("GET", "github.com/acme/../tool/info/refs?service=git-upload-pack", 403),
        ("GET", "github.com/acme/%2e%2e/info/refs?service=git-upload-pack", 403),
        ("GET", "github.com/acme/./info/refs?service=git-upload-pack", 403),
        ("GET", "github.com/login/oauth/authorize", 403),
        ("GET", "gist.github.com/acme/tool/info/refs?service=git-upload-pack", 403),
        ("GET", "127.0.0.1/acme/tool/info/refs?service=git-upload-pack", 403),
        ("GET", "", 403),
    ],
)
def test_what_passes(forge: Forge, method: str, path: str, status: int) -> None:
    with forge.gateway() as opened:
        assert forge.ask(opened, method, f"{PATH}/{path}") == status
    assert bool(forge.attempts()[-1].refused) is (status != 200)
    assert len(forge.heard) == (status == 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "99999999"}, 413),
    ],
)
def test_requests_are_bounded(forge: Forge, headers: dict[str, str], status: int) -> None:
    with forge.gateway() as opened:
        assert forge.ask(opened, "POST", f"{PATH}/github.com/acme/tool/git-upload-pack", headers) == status


def test_no_credential_goes_along(forge: Forge) -> None:
    path = f"{PATH}/github.com/acme/tool/info/refs?service=git-upload-pack"
    with forge.gateway() as opened:
        assert forge.ask(opened, "GET", path, {"Authorization": "Basic eA==", "Cookie": "a=b"}) == 200
        assert forge.ask(GatewayAddress(opened.address, "another"), "GET", path) == 403
    assert len(forge.heard) == 1
    assert not {"authorization", "cookie"} & forge.heard[0].keys()


def test_addresses_inside_are_not_read(forge: Forge) -> None:
    path = f"{PATH}/github.com/acme/tool/info/refs?service=git-upload-pack"
    with forge.gateway(rules=ALLOWED) as opened:
        assert forge.ask(opened, "GET", path) == 403
    assert "not on the public internet" in forge.attempts()[-1].refused


def test_a_forge_that_is_not_there(forge: Forge) -> None:
    path = f"{PATH}/github.com/acme/tool/info/refs?service=git-upload-pack"
    place = {"github.com": f"http://127.0.0.1:{free_port()}"}
    with forge.gateway(addresses=place) as opened:
        assert forge.ask(opened, "GET", path) == 502
    assert forge.attempts()[-1].failed == "Connection refused"


class Answering(Quiet):
    """One repository is private, all others were renamed."""

    def do_GET(self) -> None:  # noqa: N802 - the name that the server calls
        moved = (301, "https://github.com/acme/tool/info/refs")
        status, location = (401, "") if "/private/" in self.path else moved
        self.send_response(status)
        self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Location", f"{location}?service=git-upload-pack")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_a_repository_that_moved_is_asked_for_here_again(forge: Forge) -> None:
    with (
        site(Answering) as port,
        forge.gateway(addresses={"github.com": f"http://127.0.0.1:{port}"}) as opened,
    ):
        url = urlsplit(opened.url)
        with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)) as connection:
            connection.request("GET", f"{url.path}/git/github.com/old/tool/info/refs?service=git-upload-pack")
            answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (
        301,
        f"/{opened.token}/git/github.com/acme/tool/info/refs?service=git-upload-pack",
    )
    assert answer.headers["WWW-Authenticate"] is None


def test_what_is_private_is_not_there(forge: Forge, tmp_path: Path) -> None:
    with (
        site(Answering) as port,
        forge.gateway(addresses={"github.com": f"http://127.0.0.1:{port}"}) as opened,
    ):
        env = git_variables(opened.url, ALLOWED, {})
        cloned = git(tmp_path, "clone", "https://github.com/private/tool", env=env)
    assert "not found" in cloned.stderr


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "site.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"]
    named = [*made, "-addext", "subjectAltName=DNS:packages.example"]
    subprocess.run([*named, "-keyout", f"{file}.key", "-out", f"{file}.crt"], check=True, capture_output=True)
    file.write_bytes(Path(f"{file}.crt").read_bytes() + Path(f"{file}.key").read_bytes())
    return file


@pytest.mark.parametrize("trusted", [True, False])
def test_the_forge_must_prove_who_it_is(
    forge: Forge,
    certificate: Path,
    trusted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    with site(Answering, certificate) as port, ExitStack() as stack:
        place = {"github.com": f"https://packages.example:{port}"}
        opened = stack.enter_context(forge.gateway(addresses=place, resolve=lambda _: ["127.0.0.1"]))
        path = f"{PATH}/github.com/private/tool/info/refs?service=git-upload-pack"
        assert forge.ask(opened, "GET", path) == (404 if trusted else 502)


def test_settings_come_after_those_that_are_there() -> None:
    given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
    told = {**given, **git_variables("http://127.0.0.1:1/token", ALLOWED, given)}
    assert told["GIT_CONFIG_COUNT"] == "5"
    assert told["GIT_CONFIG_KEY_0"] == "a.b"
    assert told["GIT_CONFIG_KEY_1"] == "url.http://127.0.0.1:1/token/git/github.com/.insteadOf"
    assert [told[f"GIT_CONFIG_VALUE_{number}"] for number in (1, 2, 3)] == [
        "https://github.com/",
        "git@github.com:",
        "ssh://git@github.com/",
    ]
    assert git_variables("http://127.0.0.1:1/token", network_rules(["pypi"]), given) == {}


@pytest.mark.docker
def test_from_a_container_without_a_network(container: Rig, forge: Forge) -> None:
    sandbox: Any = container.open(gateway=True)
    with forge.gateway(sandbox.listener()) as opened:
        ask = f"git clone -q {URL} /tmp/copy && wc -c < /tmp/copy/large.bin"
        env = {**opened.proxy, **git_variables(opened.url, ALLOWED, {})}
        container.run(sandbox, ask, variables=env)
    assert container.printed().split() == [b"3000000"], container.printed("stderr")
