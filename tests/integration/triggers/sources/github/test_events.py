"""What people do on the API emulator is heard once, and nothing is paid for what has not changed.

The emulator lacks ETags, the events and comments of a whole repository, activities, an installation's list:
`tests.parts.hearing.layer` adds these.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from runner.clients.github.api import GitHubApi as Door
from runner.core.errors import RunnerError
from runner.triggers.sources import Delivery
from runner.triggers.sources.github.cursor import Cursor
from runner.triggers.sources.github.poll import poll
from runner.triggers.sources.github.repositories import Repositories
from runner.triggers.sources.github.trigger import github_triggers
from runner.triggers.sources.github.webhook import receive
from tests.parts.github import OWNER, TOKEN, GitHub
from tests.parts.hearing import Inbox, Layered, layer

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def layered(github: GitHub) -> Iterator[Layered]:
    with layer(github.url, TOKEN) as found:
        yield found


@pytest.fixture
def repository(github: GitHub) -> str:
    name = f"hearing-{os.getpid()}-{time.monotonic_ns()}"
    github.api("POST", "/user/repos", {"name": name, "auto_init": True})
    return f"{OWNER}/{name}"


class Ear:
    """Polls one repository, its cursor kept as JSON."""

    def __init__(self, layered: Layered, repository: str) -> None:
        self.layered = layered
        self.door = Door(api_url=layered.url, repository=repository, token=lambda: TOKEN)
        self.stored = "{}"
        self.inbox = Inbox()

    def poll(self) -> list[Any]:
        polled = poll(self.door, Cursor.load(json.loads(self.stored)), frozenset(github_triggers()), NOW)
        assert polled.faults == {}
        self.stored = json.dumps(polled.cursor.dump())
        assert all(self.inbox.deliver(one) for one in polled.events)
        return [(one.kind, one.payload.get("action"), one.subject) for one in polled.events]


@pytest.fixture
def ear(layered: Layered, repository: str) -> Ear:
    found = Ear(layered, repository)
    assert found.poll() == []
    return found


def test_what_people_do_is_heard_once(ear: Ear, github: GitHub, repository: str) -> None:
    here = f"/repos/{repository}"
    issue = github.api("POST", f"{here}/issues", {"title": "Broken"})["number"]
    github.api("POST", f"{here}/issues/{issue}/comments", {"body": "/docs please"})
    github.api("POST", f"{here}/labels", {"name": "bug: é", "color": "ff0000"})
    github.api("POST", f"{here}/issues/{issue}/labels", {"labels": ["bug: é"]})
    github.api("POST", f"{here}/releases", {"tag_name": "v1", "name": "One"})
    github.api("POST", f"{here}/releases", {"tag_name": "v2", "draft": True})
    main = github.api("GET", f"{here}/git/ref/heads/main")["object"]["sha"]
    github.api("POST", f"{here}/git/refs", {"ref": "refs/heads/work", "sha": main})
    pull = github.api("POST", f"{here}/pulls", {"title": "T", "head": "work", "base": "main"})["number"]
    github.api("PATCH", f"{here}/issues/{issue}", {"state": "closed"})
    line = {"body": "Why?", "path": "README.md", "line": 1, "side": "RIGHT", "commit_id": main}
    github.api("POST", f"{here}/pulls/{pull}/comments", line)
    verdict = {"body": "Please mend it.", "event": "REQUEST_CHANGES", "commit_id": main}
    github.api("POST", f"{here}/pulls/{pull}/reviews", verdict)
    assert sorted(ear.poll()) == [
        ("issue_comment", "created", str(issue)),
        ("issues", "closed", str(issue)),
        ("issues", "labeled", str(issue)),
        ("issues", "opened", str(issue)),
        ("pull_request", "opened", str(pull)),
        ("pull_request_review", "submitted", str(pull)),
        ("pull_request_review_comment", "created", str(pull)),
        ("release", "published", "v1"),
    ]
    assert ear.poll() == []
    payloads = {(one.kind, one.payload["action"]): one.payload for one in ear.inbox.taken}
    assert payloads["issues", "labeled"]["label"]["name"] == "bug: é"
    assert payloads["issue_comment", "created"]["comment"]["body"] == "/docs please"
    assert payloads["pull_request", "opened"]["pull_request"]["head"]["ref"] == "work"
    assert payloads["pull_request_review", "submitted"]["review"]["state"] == "changes_requested"
    assert payloads["pull_request_review_comment", "created"]["comment"]["body"] == "Why?"
    for payload in payloads.values():
        assert payload["repository"]["full_name"] == repository
        assert payload["sender"]["login"] == OWNER


def test_what_has_not_changed_is_asked_with_etags_and_costs_nothing(ear: Ear, layered: Layered) -> None:
    ear.poll()
    layered.asked.clear()
    assert ear.poll() == []
    assert len(layered.asked) == 9
    assert {status for _, status in layered.asked} == {304}


def test_a_push_to_a_pull_request_is_heard_with_who_pushed(
    ear: Ear, layered: Layered, github: GitHub, repository: str
) -> None:
    here = f"/repos/{repository}"
    main = github.api("GET", f"{here}/git/ref/heads/main")["object"]["sha"]
    github.api("POST", f"{here}/git/refs", {"ref": "refs/heads/work", "sha": main})
    pull = github.api("POST", f"{here}/pulls", {"title": "T", "head": "work", "base": "main"})["number"]
    ear.poll()
    github.api("PUT", f"{here}/contents/new.txt", {"message": "m", "content": "aGk=", "branch": "main"})
    github.api("PUT", f"{here}/pulls/{pull}/update-branch", {})
    sha = github.api("GET", f"{here}/pulls/{pull}")["head"]["sha"]
    layered.activity[repository] = [
        {
            "id": 1,
            "before": main,
            "after": sha,
            "ref": "refs/heads/work",
            "timestamp": github.api("GET", f"{here}/pulls/{pull}")["updated_at"],
            "activity_type": "push",
            "actor": {"login": "alice", "type": "User"},
        }
    ]
    assert sorted(ear.poll(), key=str) == [
        ("pull_request", "synchronize", str(pull)),
        ("push", None, "work"),
    ]
    assert {one.payload["sender"]["login"] for one in ear.inbox.taken[1:]} == {"alice"}
    push = next(one for one in ear.inbox.taken if one.kind == "push")
    assert push.payload["head_commit"]["id"] == sha
    assert ear.poll() == []


def test_a_webhook_and_a_poll_tell_of_one_happening_once(ear: Ear, github: GitHub, repository: str) -> None:
    here = f"/repos/{repository}"
    release = github.api("POST", f"{here}/releases", {"tag_name": "v3"})
    payload = {"action": "published", "release": release, "repository": {"full_name": repository}}
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()
    headers = {"x-github-event": "release", "x-hub-signature-256": signature}
    found = receive(headers, body, ["s"], repository.__eq__, NOW)
    assert isinstance(found, Delivery)
    polled = poll(ear.door, Cursor.load(json.loads(ear.stored)), {"release"}, NOW)
    assert [one.key for one in polled.events] == [found.event.key]


def test_repositories_of_an_owner(layered: Layered, github: GitHub, repository: str) -> None:
    door = Door(api_url=layered.url, repository="", token=lambda: TOKEN)
    found = Repositories(lambda _: door, lambda _: None)
    assert repository in found.expand([f"{OWNER}/hearing-*"])
    layered.asked.clear()
    assert repository in found.expand([f"{OWNER}/hearing-*"])
    assert {status for _, status in layered.asked} == {304}
    with pytest.raises(RunnerError):
        found.expand(["nobody-at-all/*"])


def test_repositories_of_an_installation(layered: Layered, repository: str) -> None:
    door = Door(api_url=layered.url, repository="", token=lambda: "ghs_1")
    assert repository in Repositories(lambda _: door, lambda _: None).expand([f"{OWNER}/*"])
    assert layered.asked == [("/installation/repositories?per_page=100&page=1", 200)]
