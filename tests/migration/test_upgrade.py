"""What old programs left behind is upgraded with nothing lost, and is as a new database then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert

from runner.core.model import RunState
from runner.scheduler.admission import AdmissionLimits, admit
from runner.store import LocalPullRequests, memory, messages, tables
from runner.store.alerts import AlertStore
from runner.store.database import VERSION
from runner.store.decisions import DecisionStore
from runner.store.queue import RunQueue
from runner.store.work import VERSION as VERSION_OF_WORK
from runner.store.workers import WorkerStore
from tests.migration.old import NEWEST, STORED, Place, Rows, Shape
from tests.parts.plans import WORK
from tests.parts.racer import NOW, enqueue, run, worker

GIVEN: Mapping[str, Mapping[str, Any]] = {
    "decisions": {"continues": ""},
    "workers": {"asked": 0},
    "pauses": {"who": ""},
    "runs": {"cost_at_least": None},
}
"""What rows hold in a column that their program did not know, where all of them hold the same."""


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is in a database before it is upgraded, and after."""

    before: Rows
    after: Rows
    shape: Shape
    new: Shape  # of a database made anew
    again: tuple[Rows, Shape]  # when it is opened once more


@pytest.fixture(params=STORED, ids=name_of, scope="module")
def upgrade(request: pytest.FixtureRequest) -> Upgrade:
    place: Place = request.getfixturevalue(f"{request.param.parent.name}_place")
    place.clear()
    place.upgrade()
    new = place.shape()
    place.lay_out(request.param.stem)
    before = place.rows()
    place.upgrade()
    after, shape = place.rows(), place.shape()
    place.upgrade()
    return Upgrade(before, after, shape, new, (place.rows(), place.shape()))


@pytest.fixture(scope="module")
def newest(sqlite_place: Place) -> Rows:
    """What a program that knew all columns wrote into them."""
    sqlite_place.lay_out(NEWEST)
    return sqlite_place.rows()


@pytest.fixture(params=STORED, ids=name_of)
def old(request: pytest.FixtureRequest) -> Place:
    """A place with a stored database."""
    place: Place = request.getfixturevalue(f"{request.param.parent.name}_place")
    place.lay_out(request.param.stem)
    return place


def test_every_row_is_still_there_with_its_values(upgrade: Upgrade) -> None:
    assert upgrade.before["runs"]
    assert upgrade.after["alembic_version"] == [{"version_num": VERSION}]
    for table in set(upgrade.before) - {"alembic_version"}:
        found = upgrade.before[table]
        known = set(found[0]) - {"stop"} if found else set()
        after = _only(known, upgrade.after[table])
        assert sorted(after, key=repr) == sorted(_only(known, found), key=repr), table
    assert not [table for table, found in upgrade.after.items() if found and table not in upgrade.before]


def _only(names: set[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in sorted(names)} for row in rows]


def test_new_columns_hold_what_the_program_would_have_written(upgrade: Upgrade, newest: Rows) -> None:
    about = {one["id"]: f"issue:{one['subject']}" for one in upgrade.after["runs"] if one["subject"]}
    for table in ("runs", "queue", "pauses", "messages", "decisions", "workers"):
        wanted, given = _keyed(newest, table), GIVEN.get(table, {})
        for row in upgrade.after.get(table, []):
            known = upgrade.before[table][0]
            new = {name: value for name, value in given.items() if name not in known}
            if table == "decisions" and "subject_key" not in known:
                new["subject_key"] = about.get(row["run_id"], "")
            if table == "decisions" and "actor" not in known:
                new["actor"] = ""  # nobody told whose event it was
            assert row == wanted[_key(table, row)] | new
    assert {row["subject"] for row in upgrade.after["runs"]} == {"", "issue 7"}


def _keyed(rows: Rows, table: str) -> dict[Any, dict[str, Any]]:
    return {_key(table, row): row for row in rows[table]}


def _key(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in tables.metadata.tables[table].primary_key)


def test_an_upgraded_database_has_the_shape_of_a_new_one(upgrade: Upgrade) -> None:
    assert upgrade.shape == upgrade.new


def test_an_upgraded_database_is_left_alone(upgrade: Upgrade) -> None:
    assert upgrade.again == (upgrade.after, upgrade.shape)


def test_the_store_works_on_an_upgraded_database(old: Place) -> None:
    store = old.store()
    later = NOW + timedelta(days=1)
    WorkerStore(store).register(worker("new"))
    enqueue(store, "261122-new")
    queued = {row["run_id"] for row in old.rows()["queue"]}
    waiting = [one.run_id for one in RunQueue(store).state(later).waiting]
    urgent, normal = (["261121-eeeeeeee"], ["261121-dddddddd"]) if len(queued) > 1 else ([], [])
    assert waiting == [*urgent, "261122-new", *normal]  # the new one is the older of two that are normal
    choose = lambda scene: admit(scene, 9, AdmissionLimits(skill=None, repository=None))  # noqa: E731
    assert set(RunQueue(store).admit("new", 9, choose, later)) <= set(waiting)
    assert RunQueue(store).work("261122-new") == WORK

    assert {one.id for one in store.runs(limit=99)} >= {"261121-aaaaaaaa", "261121-cccccccc"}
    assert store.runs(limit=99, state=RunState.SUCCEEDED)[0].subject == "issue 7"
    assert len(store.events("261121-aaaaaaaa")) == 2
    assert DecisionStore(store, "acme/app").history().latest_runs["docs issue 7"] == "261121-aaaaaaaa"
    store.create_run(run("261122-other"))
    messages.send(store, "261121-cccccccc", "go on", NOW, "resume")
    assert [one.act for one in messages.undelivered(store, "261121-cccccccc")][-1] == "resume"
    memory.add_note(store, "acme/app", "docs", "a new note", "261121-cccccccc", NOW)
    assert memory.list_notes(store, "acme/app", "docs")[-1].text == "a new note"
    circuits = [one for one in AlertStore(store).alerts(NOW, timedelta(days=9)) if one.kind == "circuit"]
    assert len(circuits) == (1 if queued - {"261122-new"} else 0)
    pulls = LocalPullRequests(store.engine, store.database, "acme/app")
    assert [one.number for one in pulls.all()] == [2, 1]
    assert pulls.comment(1, "new", "another marker")
    store.close()


def test_the_work_that_waits_is_still_read(old: Place) -> None:
    store = old.store()
    queued = {row["run_id"]: row["skill"] for row in old.rows()["queue"]}
    for run_id, skill in queued.items():
        found = RunQueue(store).work(run_id)
        assert (found.version, found.commit, found.path) == (VERSION_OF_WORK, "b" * 40, f"skills/{skill}")
        assert (found.kind, found.key, found.subject) == ("issues", f"issues:{run_id}", "issue 7")
        assert (found.event, found.inputs) == ({"action": "opened"}, {})
        assert found.continues == "261121-aaaaaaaa"
    assert all(store.spec(run_id) is None for run_id in queued)
    store.close()


def test_what_belongs_to_a_run_still_goes_with_it(old: Place) -> None:
    store = old.store()
    with store.engine.begin() as connection:
        values = {"run_id": "261121-cccccccc", "text": "t", "act": "say", "at": "2026"}
        connection.execute(insert(tables.messages).values(**values))
        connection.execute(delete(tables.runs))
    store.close()
    found = old.rows()
    of_runs = [name for name, table in tables.metadata.tables.items() if table.foreign_keys]
    assert [name for name in of_runs if found[name]] == []
