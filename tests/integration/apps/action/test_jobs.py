"""Jobs of a workflow against git over HTTP: a token that may only read, and two that come at once."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.parts.cli import Done, Project, clean_environment, skill_files

NAME = "acme/app"
SENSES = """
on: {issues: {types: [opened]}, pull_request: {types: [opened], actor: {bots: ["dependabot[bot]"]}}}
harness: {kind: command, command: [sh, -c, "echo seen"]}
output: {none: {}}
"""
WRITES = SENSES.replace("none: {}", 'pull_request: {title: t, paths: ["docs/**"]}')


@dataclass
class Host:
    """A GitHub that knows one repository, and whose git takes pushes only where the token may write."""

    url: str
    writable: bool = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: Host
    folder: Path

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if f"/{NAME}.git/" in path:
            return self._git(path, query, b"")
        known: dict[str, Any] = {
            f"/api/repos/{NAME}": {"default_branch": "main", "name": "app"},
            f"/api/repos/{NAME}/collaborators/ada/permission": {"permission": "write", "role_name": "write"},
        }
        found = known.get(path)
        body = json.dumps(found if found is not None else {"message": "Not Found"}).encode()
        return self._answer(200 if found is not None else 404, "application/json", body)

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return self._git(path, query, body)

    def _git(self, path: str, query: str, body: bytes) -> None:
        if "git-receive-pack" in path + query and not self.host.writable:
            said = b"remote: Write access to repository not granted.\n"
            return self._answer(403, "text/plain", said)
        variables = {
            **clean_environment(self.folder),
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "job",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=variables, capture_output=True, check=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.get("Status", "200").split()[0])
        return self._answer(status, fields.get("Content-Type", "text/plain"), content)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def served(folder: Path) -> Iterator[Host]:
    handler = type("Handler", (_Handler,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    host = Host(f"http://127.0.0.1:{server.server_address[1]}")
    handler.host = host  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def host(project: Project, tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "served" / "acme").mkdir(parents=True)
    (tmp_path / "served" / f"{NAME}.git").symlink_to(project.origin)
    with served(tmp_path / "served") as made:
        yield made


def start(
    project: Project, host: Host, tmp_path: Path, event: str, payload: dict[str, Any], number: int = 1
) -> "subprocess.Popen[str]":
    """One job: the Action's program, as its step starts it."""
    folder = tmp_path / f"job-{number}"
    (folder / "temp").mkdir(parents=True)
    (folder / "event.json").write_text(json.dumps(payload))
    variables = {
        **clean_environment(project.home),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "GITHUB_REPOSITORY": NAME,
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_SERVER_URL": host.url,
        "GITHUB_API_URL": f"{host.url}/api",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_RUN_ID": str(number),
        "GITHUB_ACTOR": payload["sender"]["login"],
        "GITHUB_OUTPUT": str(folder / "outputs"),
        "RUNNER_TEMP": str(folder / "temp"),
        "INPUT_TOKEN": "a-token",
        "INPUT_SANDBOX": "process",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "action", "run"],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> Done:
    out, err = process.communicate(timeout=120)
    return Done(process.returncode, out, err)


def ledger(project: Project) -> list[dict[str, Any]]:
    ref = "refs/skillrunner/state"
    names = project.git("ls-tree", "-r", "--name-only", ref, cwd=project.origin).split()
    texts = [project.git("show", f"{ref}:{name}", cwd=project.origin) for name in names if ".jsonl" in name]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def pull_request_of_dependabot(project: Project) -> dict[str, Any]:
    project.git("push", "-q", "origin", "HEAD:refs/heads/dependabot/x", "HEAD:refs/pull/7/head")
    repository = {"id": 1, "full_name": NAME}
    sha = project.git("rev-parse", "HEAD").strip()
    return {
        "action": "opened",
        "number": 7,
        "repository": repository,
        "sender": {"login": "dependabot[bot]", "type": "Bot"},
        "pull_request": {
            "id": 70,
            "number": 7,
            "user": {"login": "dependabot[bot]"},
            "body": "",
            "labels": [],
            "base": {"ref": "main", "sha": sha, "repo": repository},
            "head": {"ref": "dependabot/x", "sha": sha, "repo": repository},
        },
    }


def test_a_push_that_is_refused_with_403_records_nothing_and_runs_what_publishes_nothing(
    project: Project, host: Host, tmp_path: Path
) -> None:
    """The token of a workflow that Dependabot, or a fork, started may only read."""
    project.commit({**skill_files("senses", SENSES), **skill_files("writes", WRITES)})
    project.git("push", "-q", "origin", "HEAD:main")
    payload = pull_request_of_dependabot(project)
    before = project.git("for-each-ref", cwd=project.origin)
    host.writable = False
    done = ended(start(project, host, tmp_path, "pull_request", payload))
    assert done.code == 0, done.out + done.err
    assert "decisions are not recorded" in done.out
    told = (tmp_path / "job-1" / "outputs").read_text()
    decided = json.loads(told.partition("decisions<<")[2].splitlines()[1])
    assert {one["skill"]: (one["verdict"], one.get("cause") or "") for one in decided} == {
        "senses": ("started", ""),
        "writes": ("skipped", "actor"),
    }
    assert told.partition("\nstate<<")[2].splitlines()[1] == "succeeded", "what publishes nothing has run"
    assert project.git("for-each-ref", cwd=project.origin) == before, "nothing was pushed"


def test_a_token_that_should_write_and_may_not_is_an_error(
    project: Project, host: Host, tmp_path: Path
) -> None:
    project.commit(skill_files("senses", SENSES))
    project.git("push", "-q", "origin", "HEAD:main")
    host.writable = False
    done = ended(start(project, host, tmp_path, "issues", issue(7)))
    assert done.code != 0
    assert "`contents: write`" in done.out + done.err


def issue(number: int) -> dict[str, Any]:
    return {
        "action": "opened",
        "repository": {"id": 1, "full_name": NAME},
        "sender": {"login": "ada", "type": "User"},
        "issue": {
            "id": number * 10,
            "number": number,
            "title": f"Issue {number}",
            "body": "",
            "labels": [],
            "user": {"login": "ada"},
            "created_at": "2026-11-21T09:00:00Z",
            "updated_at": "2026-11-21T09:00:00Z",
        },
    }


def test_two_issues_that_open_in_the_same_second_are_both_triaged(
    project: Project, host: Host, tmp_path: Path
) -> None:
    """Two jobs start at once, each with its own event, and race for one ledger."""
    project.commit(skill_files("senses", SENSES))
    project.git("push", "-q", "origin", "HEAD:main")
    jobs = [start(project, host, tmp_path, "issues", issue(number), number) for number in (7, 8)]
    done = [ended(job) for job in jobs]
    assert [one.code for one in done] == [0, 0], done
    lines = ledger(project)
    decided = {one["subject_key"]: one["verdict"] for one in lines if "verdict" in one}
    assert decided == {"issue:7": "started", "issue:8": "started"}
    assert [one["state"] for one in lines if "state" in one] == ["succeeded", "succeeded"]
