"""What is wrong, as the store has it, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError

from runner.scheduler.obstacles import Pause
from runner.scheduler.overdue import Alert, AlertKind, UnreadableRepository
from runner.store import Store
from runner.store.alerts import AlertStore, ReadResult
from runner.store.pauses import pause, resume
from runner.store.workers import WorkerStore
from tests.parts.racer import NOW, worker

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["sqlite", "postgres"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(tmp_path / "state", "" if request.param == "sqlite" else request.getfixturevalue("postgres"))
    WorkerStore(made).register(worker("w"))
    yield made
    made.close()


def names(watching: AlertStore, after: int) -> list[tuple[str, str, str]]:
    return [one.name[:3] for one in watching.alerts(NOW + after * MINUTE, 10 * MINUTE)]


def test_what_is_awaited_stays_until_it_is_decided(store: Store) -> None:
    watching = AlertStore(store)
    watching.set_expected("o/r", {"a": NOW, "b": NOW}, decided=False)
    watching.set_expected("o/r", {"a": NOW + 60 * MINUTE, "c": NOW + 60 * MINUTE}, decided=False)
    assert names(watching, 10) == []
    assert names(watching, 11) == [("overdue", "o/r", "a")]
    assert names(watching, 71) == [("overdue", "o/r", "a"), ("overdue", "o/r", "c")]
    assert watching.repositories("a") == ["o/r"]
    watching.set_expected("o/r", {"a": NOW + 60 * MINUTE}, decided=True)
    assert names(watching, 11) == []
    watching.set_expected("o/r", {}, decided=True)
    assert names(watching, 999) == []


def test_a_repository_is_unread_since_somebody_could_read_it(store: Store) -> None:
    watching = AlertStore(store)
    watching.note_read("w", {"o/r": ReadResult(), "o/bad": ReadResult("no such repository")}, NOW)
    watching.note_read(
        "w", {"o/r": ReadResult("timed out"), "o/bad": ReadResult("no such repository")}, NOW + 5 * MINUTE
    )
    assert names(watching, 10) == []
    assert names(watching, 11) == [("unread", "o/bad", ""), ("unread", "o/r", "")]
    watching.note_read("w", {"o/r": ReadResult()}, NOW + 12 * MINUTE)
    assert names(watching, 13) == [("unread", "o/bad", "")]
    assert watching.alerts(NOW + 13 * MINUTE, MINUTE)[0].message.endswith(": no such repository")


def test_the_next_try_of_an_unread_repository_is_kept_until_it_is_read(store: Store) -> None:
    watching, again = AlertStore(store), NOW + 7 * MINUTE
    watching.note_read("w", {"o/new": ReadResult("gone", again), "o/r": ReadResult()}, NOW)
    watching.note_read("w", {"o/r": ReadResult("away")}, NOW + MINUTE)
    assert watching.unreadable() == [
        UnreadableRepository(repository="o/new", read_at=NOW, fault="gone", next_try=again),
        UnreadableRepository(repository="o/r", read_at=NOW, fault="away", next_try=None),
    ]
    watching.note_read("w", {"o/new": ReadResult(), "o/r": ReadResult()}, NOW + 2 * MINUTE)
    watching.note_read("w", {"o/new": ReadResult("gone")}, NOW + 3 * MINUTE)
    (found,) = watching.unreadable()
    assert (found.read_at, found.next_try) == (NOW + 2 * MINUTE, None)


def test_a_broken_circuit_is_wrong_until_somebody_resumes(store: Store) -> None:
    pause(store, Pause(repository="o/r", skill="a", reason="it failed 5 times", at=NOW, circuit=True))
    pause(store, Pause(repository="o/r", skill="b", reason="holidays", at=NOW))
    (found,) = AlertStore(store).alerts(NOW, MINUTE)
    assert found.name == ("circuit", "o/r", "a", "")
    since = f"{NOW:%Y-%m-%d %H:%M} UTC"
    assert found.message == (
        f"o/r a: its circuit is open since {since}: it failed 5 times; "
        "`skillrunner worker resume a --repository o/r` closes it"
    )
    resume(store, "o/r", "a", NOW)
    assert AlertStore(store).alerts(NOW, MINUTE) == []


def test_what_was_told_is_told_by_one_and_once(store: Store) -> None:
    watching = AlertStore(store)
    one = Alert(kind=AlertKind.OVERDUE, repository="o/r", skill="a", message="m", since=NOW)
    assert [watching.claim_new(one), watching.claim_new(one)] == [True, False]
    assert watching.open_alerts() == [one]
    assert [watching.claim_resolved(one), watching.claim_resolved(one)] == [True, False]
    assert watching.open_alerts() == []


def test_what_nobody_serves_any_more_is_forgotten(store: Store) -> None:
    watching, workers = AlertStore(store), WorkerStore(store)
    for name, state in (("stopped", "stopped"), ("lost", "lost"), ("alive", "running")):
        workers.register(worker(name, state=state))
    for name in ("stopped", "lost", "alive", "w"):
        watching.note_read(name, {f"o/{name}": ReadResult()}, NOW)
        watching.set_expected(f"o/{name}", {"a": NOW}, decided=True)
    watching.set_served("w", {"o/mine"})
    others = set() if store.database.is_file else {"o/lost", "o/alive"}
    assert set(watching.repositories("a")) == others


def test_whoever_is_stopped_with_a_lock_loses_it_in_time(postgres: str, tmp_path: Path) -> None:
    """Else those that live would wait for the row for ever."""
    stopped, lives = (Store(tmp_path / name, postgres) for name in "ab")
    AlertStore(lives).note_read("w", {"o/r": ReadResult()}, NOW)
    with stopped.engine.connect() as connection:
        connection.exec_driver_sql("SET idle_in_transaction_session_timeout = '100ms'")
        connection.exec_driver_sql("UPDATE watched SET fault = 'stopped'")
        AlertStore(lives).note_read("w", {"o/r": ReadResult()}, NOW)
        with pytest.raises(DatabaseError):
            connection.exec_driver_sql("SELECT 1")
    with lives.engine.connect() as connection:
        known = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    assert known == "30s"
    stopped.close()
    lives.close()
