"""The inbox takes each event once, whichever way it comes, and keeps how far each system was polled."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.model.decision import Event
from runner.store import Store
from runner.store.inbox import Inbox

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Store(tmp_path)
    yield Inbox(made)
    made.close()


def event(key: str, *other_keys: str) -> Event:
    return Event(kind="issues", key=key, other_keys=other_keys, at=NOW)


def test_each_system_has_a_cursor_of_its_own(inbox: Inbox) -> None:
    inbox.put("acme/lib", [], "poll", {"issues": 1})
    inbox.put("acme/lib", [], "poll", {"rollouts": 1}, "rollout")
    inbox.put("acme/lib", [], "poll", {"issues": 2}, "github")
    assert inbox.cursor("acme/lib") == inbox.cursor("acme/lib", "github") == {"issues": 2}
    assert inbox.cursor("acme/lib", "rollout") == {"rollouts": 1}
    assert inbox.cursor("acme/lib", "other") == inbox.cursor("acme/site") == {}


def test_other_keys_tell_only_what_came_the_other_way(inbox: Inbox) -> None:
    assert inbox.put("acme/lib", [event("a:1", "a@full1")], "webhook") == 1
    assert inbox.put("acme/lib", [event("a:2", "a@full1")], "webhook") == 1
    assert inbox.put("acme/lib", [event("a:3", "a@full1")], "poll") == 0
    assert inbox.put("acme/lib", [event("a:1")], "poll") == 0
    assert inbox.put("acme/site", [event("a:1")], "poll") == 1
    assert [one.key for _, _, one in inbox.waiting(["acme/lib"])] == ["a:1", "a:2"]
