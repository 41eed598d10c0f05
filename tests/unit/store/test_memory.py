"""Notes of agents: kept by repository and skill, the newest only, and forgotten by people."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.store import Store, memory

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def texts(store: Store, repository: str = "acme/docs", skill: str = "page") -> list[str]:
    return [one.text for one in memory.list_notes(store, repository, skill)]


def test_notes_are_of_one_skill_in_one_repository(store: Store) -> None:
    memory.add_note(store, "acme/docs", "page", "one", "r1", NOW)
    memory.add_note(store, "acme/docs", "other", "two", "r2", NOW)
    memory.add_note(store, "acme/site", "page", "three", "r3", NOW)
    (note,) = memory.list_notes(store, "acme/docs", "page")
    assert (note.text, note.run_id, note.at) == ("one", "r1", NOW)


def test_the_newest_are_kept(store: Store) -> None:
    memory.add_note(store, "acme/docs", "other", "kept", "r", NOW)
    for number in range(memory.MAX_NOTES + 5):
        memory.add_note(store, "acme/docs", "page", str(number), "r", NOW)
    assert texts(store) == [str(number) for number in range(5, memory.MAX_NOTES + 5)]
    assert texts(store, skill="other") == ["kept"]


def test_notes_are_forgotten(store: Store) -> None:
    for text in "abc":
        memory.add_note(store, "acme/docs", "page", text, "r", NOW)
    second = memory.list_notes(store, "acme/docs", "page")[1]
    assert memory.remove_notes(store, "other", [second.id]) == 0
    assert memory.remove_notes(store, "page", [second.id, 999]) == 1
    assert texts(store) == ["a", "c"]


def test_notes_of_all_repositories(store: Store) -> None:
    for name in ("acme/docs", "acme/site"):
        memory.add_note(store, name, "page", "x", "r", NOW)
    assert [one.repository for one in memory.list_notes(store, None, "page")] == ["acme/docs", "acme/site"]
