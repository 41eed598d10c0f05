"""What we did ourselves starts nothing; what people did with what we made does."""

from typing import Any

import pytest

from runner.publish.outputs import _marker
from runner.publish.outputs._marker import Marker
from runner.scheduler.loop_guard import OwnIdentity, own_cause

ME = OwnIdentity(login="bot[bot]", email="bot@example.com", workflow=".github/workflows/skills.yml")
BODY = _marker.write(Marker(skill="s", key="k", cause="c", head="abc", patch="p"))


def pull(head: str = "abc", author: str = "ada", sender: str = "ada", body: str = BODY) -> dict[str, Any]:
    return {
        "action": "synchronize",
        "pull_request": {"body": body, "head": {"sha": head}, "user": {"login": author}},
        "sender": {"login": sender},
    }


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"sender": {"login": "bot[bot]"}}, "bot[bot] did it"),
        ({"workflow_run": {"path": ".github/workflows/skills.yml@main"}}, "the workflow that runs"),
        ({"comment": {"body": f"x\n{BODY}"}}, "wrote the comment"),
        ({"head_commit": {"author": {"email": "bot@example.com"}}}, "pushed it"),
        (pull(), "proposed the pull request"),
    ],
)
def test_ours(payload: dict[str, Any], words: str) -> None:
    assert words in own_cause(payload, ME)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"sender": {"login": "ada"}},
        {"sender": "bot[bot]", "comment": None, "workflow_run": []},
        {"workflow_run": {"path": ".github/workflows/ci.yml"}},
        {"comment": {"body": "<!-- other: {} -->"}},
        {"head_commit": None},
        pull(head="a human's commit"),
        pull(sender="bob"),
        pull(body="no marker"),
    ],
)
def test_not_ours(payload: dict[str, Any]) -> None:
    assert own_cause(payload, ME) == ""


def test_nobody_is_nobodys() -> None:
    nameless = {
        "sender": {"login": ""},
        "head_commit": {"author": {"email": ""}},
        "workflow_run": {"path": ""},
    }
    assert own_cause(nameless, OwnIdentity()) == ""
