"""What a worker polls: every source of a repository, each with its own cursor."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.apps.worker.events import EventSources
from runner.apps.worker.repository import RepositorySnapshot, place_of, read_repository
from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.model.decision import Event
from runner.store import Store
from runner.store.inbox import Inbox
from runner.triggers.sources import Feed, PollResult
from tests.parts.cli import Project, skill_files

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
YAML = "on: {manual: {}, issues: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"


@dataclass
class Counter(Feed):
    """Tells of one event with each poll, and of how many there were in its cursor."""

    kind: str
    fails: bool = False
    asked: list[frozenset[str]] = field(default_factory=list)

    def poll(self, cursor: Mapping[str, Any], wanted: Collection[str], now: datetime) -> PollResult | None:
        self.asked.append(frozenset(wanted))
        if self.fails:
            raise RunnerError(Phase.PLAN, Reason.FORGE_UNAVAILABLE, "it is down", retryable=True)
        if self.kind not in wanted:
            return None
        count = cursor.get("count", 0) + 1
        return PollResult(
            events=[Event(kind=self.kind, key=f"{self.kind}:{count}", at=now)], cursor={"count": count}
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def repository(project: Project, store: Store, tmp_path: Path) -> RepositorySnapshot:
    project.commit(skill_files("one", YAML))
    project.git("push", "-q", "origin", "HEAD")
    config = load_config(project.root, environ={}, flags={"state_dir": str(tmp_path / "state")})
    place = place_of(config, str(project.origin), lambda: "", RateLimiter(), lambda _: "")
    return read_repository(str(project.origin), place, store, None)


def test_a_source_that_fails_keeps_no_other_from_being_polled(
    repository: RepositorySnapshot, store: Store
) -> None:
    assert repository.feeds == {}  # GitHub has nothing of a folder
    feeds = {"a": Counter("issues", fails=True), "github": Counter("issues"), "z": Counter("manual")}
    polled, sources = replace(repository, feeds=feeds), EventSources(store, lambda: NOW)
    for _ in range(2):
        with pytest.raises(RunnerError, match="it is down"):
            sources.poll(polled, NOW)
    feeds["a"].fails = False
    assert sources.poll(polled, NOW) == 2  # a and github tell of an event of one key in turn
    inbox = Inbox(store)
    cursors = {name: inbox.cursor(repository.name, name) for name in feeds}
    assert cursors == {"a": {"count": 1}, "github": {"count": 3}, "z": {"count": 3}}
    keys = [event.key for _, _, event in inbox.waiting([repository.name])]
    assert keys == ["issues:1", "manual:1", "issues:2", "manual:2", "issues:3", "manual:3"]
    assert set(feeds["z"].asked) == {frozenset({"manual", "issues"})}


def test_what_no_skill_wants_is_not_heard(repository: RepositorySnapshot, store: Store) -> None:
    polled = replace(repository, feeds={"github": Counter("push")})
    assert EventSources(store, lambda: NOW).poll(polled, NOW) == 0
    assert Inbox(store).cursor(repository.name) == {}


@dataclass
class Lists(Feed):
    """Tells which of its lists could not be read, in the words of the moment."""

    faults: dict[str, str] = field(default_factory=dict)
    is_down: bool = False

    def poll(self, cursor: Mapping[str, Any], wanted: Collection[str], now: datetime) -> PollResult:
        if self.is_down:
            raise RunnerError(Phase.PLAN, Reason.FORGE_UNAVAILABLE, "it is down", retryable=True)
        failed = {
            name: RunnerError(Phase.PLAN, Reason.FORGE_DENIED, fault) for name, fault in self.faults.items()
        }
        return PollResult(events=[], cursor={}, faults=failed)


def test_the_warning_of_a_list_is_said_once_and_so_is_that_it_works_again(
    repository: RepositorySnapshot, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    own, other = Lists(), Lists({"issues": "403 of another"})
    polled = replace(repository, feeds={"github": own, "other": other})
    sources, name = EventSources(store, lambda: NOW), repository.name

    def said(**faults: str) -> list[str]:
        own.faults = faults
        caplog.clear()
        for _ in range(3):
            with suppress(RunnerError):
                sources.poll(polled, NOW)
        return [one.getMessage() for one in caplog.records]

    theirs, issues = f"{name}: its issues could not be read: ", f"{name} list of github: issues"
    assert said() == [f"{theirs}403 of another"]
    assert said(issues="403") == [f"{theirs}403"]
    assert said(issues="404") == [], "other numbers say nothing new"
    assert sources.list_faults(name) == {"issues": "403 of another"}
    assert said(issues="it moved", pulls="403") == [
        f"{theirs}it moved",
        f"{name}: its pulls could not be read: 403",
    ]
    own.is_down = True
    assert said() == [], "what cannot be asked does not work again"
    own.is_down = False
    assert said(pulls="403") == [f"{issues}: it works again"]
    sources = EventSources(store, lambda: NOW, error_log=sources.error_log)  # of the next daemon
    assert said() == [f"{name} list of github: pulls: it works again"]
