"""Which comments ask the runner for something: those of people, new and not edited."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runner.core.model.decision import Event
from runner.scheduler.comment_commands import find_command

DIGEST = "4c0e1f7ab25d"
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def _event(body: str, kind: str = "issue_comment", **changes: Any) -> Event:
    at = "2026-01-05T09:00:00Z"
    user = {"login": changes.get("login", "ada"), "type": changes.get("type", "User")}
    comment = {"id": 7, "body": body, "created_at": at, "updated_at": changes.get("updated_at", at)}
    comment |= {"user": changes.get("author", user), "html_url": "https://example.com/c7"}
    payload = {"action": changes.get("action", "created"), "comment": comment, "sender": user}
    return Event(kind=kind, key="issue_comment:7:created", at=NOW, payload=payload)


@pytest.mark.parametrize(
    ("body", "verb", "name", "text"),
    [
        (f"/approve {DIGEST}", "approve", DIGEST, ""),
        (f"Looks right.\n\n/approve {DIGEST} thanks all", "approve", DIGEST, "thanks all"),
        (f"/skillrunner approve {DIGEST}", "approve", DIGEST, ""),
        (f"/refuse {DIGEST} too bold", "refuse", DIGEST, "too bold"),
        ("/skillrunner run docs package=core", "run", "docs", ""),
        ("/Skillrunner Retry 260105-abcdefgh", "retry", "260105-abcdefgh", ""),
        ("/skillrunner stop 260105-abcdefgh", "stop", "260105-abcdefgh", ""),
    ],
)
def test_a_new_comment_of_a_person_holds_a_command(body: str, verb: str, name: str, text: str) -> None:
    found = find_command(_event(body), "our-app[bot]")
    assert found is not None
    assert (found.verb, found.name, found.text, found.login) == (verb, name, text, "ada")
    assert (found.comment, found.url) == (7, "https://example.com/c7")


@pytest.mark.parametrize(
    "body",
    [
        f"> /approve {DIGEST}",
        f"please /approve {DIGEST}",
        "/approve",
        "/approve 4c0e1f7ab25",  # eleven digits
        "/skillrunner take-over 0123456789",
        "/skillrunner",
        "/docs core",
        f"@ada approve {DIGEST}",
    ],
)
def test_other_comments_hold_none(body: str) -> None:
    assert find_command(_event(body), "") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "edited"},
        {"action": "deleted"},
        {"updated_at": "2026-01-05T09:01:00Z"},  # edited before it was read
        {"author": {"login": "eve", "type": "User"}},  # somebody else's comment
        {"login": "renovate[bot]", "type": "Bot"},
        {"login": "renovate[bot]"},
        {"type": "Organization"},
        {"login": "our-login"},
        {"login": ""},
    ],
)
def test_bots_edits_and_other_peoples_comments_command_nothing(changes: dict[str, Any]) -> None:
    assert find_command(_event(f"/approve {DIGEST}", **changes), "our-login") is None


def test_only_comments_on_issues_and_pull_requests_are_heard() -> None:
    assert find_command(_event(f"/approve {DIGEST}", kind="issues"), "") is None
