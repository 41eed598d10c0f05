"""A worker and GitHub: what is heard by polling and by webhook runs once, also beside the Action."""

import hashlib
import hmac
import json
import signal
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.scheduler.ledger import REF
from tests.e2e.test_worker import PATIENCE, commit, ended, runs, until, worker
from tests.parts.act import Act, example, happened_in
from tests.parts.cli import Project
from tests.parts.github import GitHub, free_port, repository

pytestmark = [pytest.mark.emulator, pytest.mark.git_http, pytest.mark.measured]

SECRET = "a-webhook-secret"


@pytest.fixture
def served(github_project: Project) -> Project:
    folder = github_project.home / "worker"
    folder.mkdir()
    (folder / "skillrunner.yaml").write_text(
        "sandbox: process\n"
        f"worker: {{repositories: ['{repository(github_project)}'], poll: 1s, drain: 20s}}\n"
    )
    return github_project


def titles(project: Project, github: GitHub) -> list[str]:
    found = github.api("GET", f"/repos/{repository(project)}/pulls?state=all")
    return sorted(pull["title"] for pull in found)


@pytest.mark.parametrize("sandbox", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_slot_and_a_release_open_their_pull_requests(
    served: Project, github: GitHub, sandbox: str, request: pytest.FixtureRequest
) -> None:
    if sandbox == "docker":
        served.variables["SKILLRUNNER_IMAGE"] = request.getfixturevalue("local_image")
        file = served.home / "worker/skillrunner.yaml"
        file.write_text(file.read_text().replace("sandbox: process", "sandbox: docker"))
    commit(served, "often", "{schedule: [{cron: '* * * * *'}]}", ago=90)
    commit(served, "released", "{release: {types: [published]}}")
    with worker(served) as (process, log):
        until(lambda: bool(ended(served, "often")), log)
        github.api("POST", f"/repos/{repository(served)}/releases", {"tag_name": "v1", "name": "One"})
        until(lambda: bool(ended(served, "released")), log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    assert titles(served, github) == ["docs: often", "docs: released"]
    ledger = served.git("show", f"{REF}:{datetime.now(UTC):%Y-%m-%d}.jsonl", cwd=served.origin)
    lines = [json.loads(line) for line in ledger.splitlines()]
    assert [line["verdict"] for line in lines if line.get("skill") == "released"] == ["started"]
    why = served.skillrunner("why", "released")
    assert "released: started: release v1 by octocat" in why.out


def post(port: int, event: str, payload: dict[str, Any], secret: str = SECRET) -> int:
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/webhooks/github",
        data=body,
        headers={
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": "1",
            "X-Hub-Signature-256": signature,
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_webhook_starts_it_at_once_and_once(served: Project, github: GitHub) -> None:
    port = free_port()
    (served.home / "worker/skillrunner.yaml").write_text(
        "sandbox: process\nworker:\n"
        f"  repositories: ['{repository(served)}']\n  poll: 1h\n  drain: 20s\n"
        f"  listen: 127.0.0.1:{port}\n  webhook_secrets: [HOOK_SECRET]\n"
    )
    served.variables["HOOK_SECRET"] = SECRET
    commit(served, "answers", "{issue_comment: {command: /docs}}")
    payload = happened_in(example("issue_comment", "created"), served)
    payload["comment"]["body"] = "/docs please"
    with worker(served) as (_, log):
        until(lambda: "1 skills" in log.read_text(), log)
        assert post(port, "issue_comment", payload, "wrong") == 401
        assert post(port, "issue_comment", payload) == 202
        assert post(port, "issue_comment", payload) == 200
        until(lambda: bool(ended(served, "answers")), log)
    assert len(runs(served)) == 1
    assert titles(served, github) == ["docs: answers"]


def test_what_a_worker_decided_an_action_does_not_decide_again(act: Act, served: Project) -> None:
    """The same event reaches both; the worker is first, the Action in the real `act` second."""
    port = free_port()
    (served.home / "worker/skillrunner.yaml").write_text(
        "sandbox: process\nworker:\n"
        f"  repositories: ['{repository(served)}']\n  poll: 1h\n  drain: 20s\n"
        f"  listen: 127.0.0.1:{port}\n  webhook_secrets: [HOOK_SECRET]\n"
    )
    served.variables["HOOK_SECRET"] = SECRET
    long_ago = 3600
    commit(served, "note", "{release: {}, schedule: [{cron: '0 * * * *', catch_up: 2h}]}", ago=long_ago)
    payload = happened_in(example("release", "published"), served)
    with worker(served) as (_, log):
        until(lambda: bool(ended(served, "note")), log)
        assert post(port, "release", payload) == 202
        until(lambda: len(ended(served, "note")) == 2, log)
    assert act("release", payload).verdicts == {"note": "skipped: duplicate"}
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    poked = act("schedule", {})
    assert "started" not in poked.verdicts.values() or datetime.now(UTC) > hour + timedelta(hours=1)
