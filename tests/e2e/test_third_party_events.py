"""A third party's trigger and event source in a real worker: heard on every way, and each event once."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from runner.apps.action.workflow import FILE
from tests.e2e.test_worker import PATIENCE, commit, ended, runs, until, worker
from tests.e2e.test_worker_github import SECRET, post
from tests.parts.act import ACTION
from tests.parts.cli import Project
from tests.parts.github import OWNER, TOKEN, GitHub, free_port, repository


def configure(project: Project, served: object, port: int, secrets: str, plugins: Path) -> None:
    folder = project.home / "worker"
    folder.mkdir()
    (folder / "skillrunner.yaml").write_text(
        f"sandbox: process\nworker:\n  repositories: ['{served}']\n  poll: 1s\n  drain: 20s\n"
        f"  listen: 127.0.0.1:{port}\n  {secrets}\n"
    )
    project.variables.update(HOOK_SECRET=SECRET, PYTHONPATH=str(plugins))


def why(project: Project, skill: str, key: str) -> str:
    return project.skillrunner("why", skill, "--event", key).out


def milestone(project: Project, github: GitHub, title: str) -> dict[str, Any]:
    """A milestone that is there from now on, in the payload of its webhook."""
    made = github.api("POST", f"/repos/{repository(project)}/milestones", {"title": title})
    owner = {"login": OWNER, "type": "User"}
    there = {"full_name": repository(project).upper()}  # GitHub's names have no case
    return {"action": "created", "milestone": made, "repository": there, "sender": owner}


@pytest.mark.emulator
@pytest.mark.git_http
def test_a_milestone_is_heard_by_webhook_by_polling_and_in_the_action_once(
    github_project: Project, github: GitHub, third_parties: Path
) -> None:
    port = free_port()
    configure(
        github_project, repository(github_project), port, "webhook_secrets: [HOOK_SECRET]", third_parties
    )
    commit(github_project, "planned", "{milestone: {titles: ['v*']}}")
    with worker(github_project) as (_, log):
        until(lambda: "1 skills" in log.read_text(), log)
        until(lambda: any("/milestones" in one.path for one in github.calls), log)  # polling has begun
        polled = milestone(github_project, github, "v1")
        until(lambda: len(ended(github_project, "planned")) == 1, log)
        assert post(port, "milestone", polled) == 200  # known
        told = milestone(github_project, github, "v2")
        statuses = [post(port, "milestone", told) for _ in range(2)]
        assert statuses[1] == 200
        until(lambda: len(ended(github_project, "planned")) == 2, log)
        other = milestone(github_project, github, "other")
        key = f"milestone:{other['milestone']['id']}:created"
        until(lambda: "and this is `other`" in why(github_project, "planned", key), log)
    assert len(runs(github_project)) == 2
    for one in (polled, told):
        key = f"milestone:{one['milestone']['id']}:created"
        title = one["milestone"]["title"]
        assert f"planned: started: milestone {title} by octocat" in why(github_project, "planned", key)

    decided = in_the_action(github_project, github, told)
    assert "skipped: duplicate" in decided
    told["milestone"]["id"] += 1000
    assert "started: milestone v2 by octocat" in in_the_action(github_project, github, told)


def in_the_action(project: Project, github: GitHub, payload: dict[str, Any]) -> str:
    """What the Action would do of an event, in a workflow that `workflow sync` wrote."""
    synced = project.process("workflow", "sync", "--action", ACTION)
    assert synced.code == 0, synced.err
    workflow = YAML(typ="safe").load((project.root / FILE).read_text())
    assert workflow["on"]["milestone"] == {"types": ["created"]}
    file = project.home / "event.json"
    file.write_text(json.dumps(payload))
    project.variables.update(
        GITHUB_REPOSITORY=repository(project),
        GITHUB_EVENT_NAME="milestone",
        GITHUB_EVENT_PATH=str(file),
        GITHUB_SERVER_URL=github.url,
        GITHUB_API_URL=github.url,
        GITHUB_WORKSPACE=str(project.root),
        INPUT_TOKEN=TOKEN,
        INPUT_DRY_RUN="true",
        RUNNER_TEMP=str(project.home),
    )
    done = project.process("action", "plan")
    assert done.code == 0, done.out + done.err
    return done.out


def roll_out(port: int, payload: dict[str, Any], secret: str = SECRET, name: str = "rollout") -> int:
    at, body = str(int(time.time())), json.dumps(payload).encode()
    signature = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha512).hexdigest()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/webhooks/{name}",
        data=body,
        headers={"X-Rollout-At": at, "X-Rollout-Signature": signature},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_another_system_starts_a_skill_by_its_own_webhook(project: Project, third_parties: Path) -> None:
    port = free_port()
    configure(project, project.origin, port, "source_secrets: {rollout: [HOOK_SECRET]}", third_parties)
    commit(project, "after", "{rollout: {environments: [production]}}")
    rollout = {"id": "r-1", "repository": str(project.origin), "version": "1.2"}
    with worker(project) as (_, log):
        until(lambda: "1 skills" in log.read_text(), log)
        live = {**rollout, "environment": "production"}
        assert roll_out(port, live, "wrong") == 401
        assert roll_out(port, live, name="github") == 401
        assert roll_out(port, live, name="nobody") == 404
        assert roll_out(port, {**live, "repository": "/elsewhere"}) == 404
        assert roll_out(port, {**live, "notes": "x" * 70_000}) == 413
        assert roll_out(port, {**rollout, "id": "r-0", "environment": "test"}) == 202
        assert roll_out(port, live) == 202
        assert roll_out(port, live) == 200
        until(lambda: bool(ended(project, "after")), log)
    assert len(runs(project)) == 1
    assert "after: started: rollout 1.2" in why(project, "after", "rollout:r-1")
    refused = "after: skipped: filter: `environments` holds production, and this is `test`"
    assert refused in why(project, "after", "rollout:r-0")
