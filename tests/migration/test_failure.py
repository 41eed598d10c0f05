"""An upgrade that fails, or that several want at once, does no harm; a database of others is not touched."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.store import tables
from runner.store.database import VERSION
from tests.migration.old import FOLDER, NEWEST, Place

ROOT = FOLDER.parents[2]
OPEN = """
import pathlib, sys
from runner.store import Store

Store(pathlib.Path(sys.argv[1]), sys.argv[2]).close()
"""
KILLED = """
import os, pathlib, signal, sys
from sqlalchemy import Engine, event
from runner.store import Store

@event.listens_for(Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *_):
    if sys.argv[3] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

Store(pathlib.Path(sys.argv[1]), sys.argv[2])
"""


@contextmanager
def failing(number: int) -> Iterator[list[str]]:
    """The statement of this number that changes anything fails after it was carried out; tells all so far."""
    seen: list[str] = []

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().startswith(("PRAGMA", "SELECT")):
            seen.append(statement)
        if len(seen) == number:
            raise OperationalError(statement, None, Exception("the disk is gone"))

    event.listen(Engine, "after_cursor_execute", fail)
    try:
        yield seen
    finally:
        event.remove(Engine, "after_cursor_execute", fail)


def test_a_failure_at_any_statement_leaves_the_database_as_it_was(place: Place) -> None:
    place.lay_out("d350475")
    before = place.rows(), place.shape()
    for number in count(1):
        with failing(number) as seen, suppress(RunnerError):
            place.upgrade()
        if len(seen) < number:
            break
        assert (place.rows(), place.shape()) == before, seen[-1]
    assert len(seen) > 20
    assert place.rows()["alembic_version"] == [{"version_num": VERSION}]


@pytest.mark.parametrize("statement", ["UPDATE runs", "DROP ", "UPDATE alembic_version"])
def test_a_process_that_is_killed_leaves_the_database_as_it_was(place: Place, statement: str) -> None:
    place.lay_out("d350475")
    before = place.rows(), place.shape()
    command = [sys.executable, "-c", KILLED, str(place.folder), place.server, statement]
    assert subprocess.run(command, check=False, env={**os.environ}, cwd=ROOT).returncode == -signal.SIGKILL
    assert (place.rows(), place.shape()) == before
    place.upgrade()
    assert place.rows()["alembic_version"] == [{"version_num": VERSION}]


def test_several_processes_may_upgrade_at_once(place: Place) -> None:
    place.lay_out("d350475")
    command = [sys.executable, "-c", OPEN, str(place.folder), place.server]
    several = [subprocess.Popen(command, env={**os.environ}, cwd=ROOT) for _ in range(4)]
    assert [one.wait(timeout=60) for one in several] == [0] * 4
    assert place.rows()["alembic_version"] == [{"version_num": VERSION}]
    assert len(place.rows()["runs"]) == 7


# --- databases that are not ours to upgrade ---------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "message", "hint"),
    [
        ("9999", f"is of a newer skillrunner (revision 9999; this one knows {VERSION})", "newer skillrunner"),
        ("0000", f"has revision '0000' (known: 0001 to {VERSION})", "of its own"),
        ("1a2b3c4d5e6f", f"has revision '1a2b3c4d5e6f' (known: 0001 to {VERSION})", "of its own"),
        (None, f"has tables of these names, and no revision (known: 0001 to {VERSION})", "of its own"),
    ],
)
def test_a_database_of_an_unknown_revision_is_named(
    place: Place, mark: str | None, message: str, hint: str
) -> None:
    place.lay_out(NEWEST)
    place.execute("DELETE FROM alembic_version")
    if mark:
        place.execute(f"INSERT INTO alembic_version VALUES ('{mark}')")
    before = place.rows(), place.shape()
    with pytest.raises(RunnerError) as caught:
        place.upgrade()
    assert place.database.place in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.reason is Reason.STORE_FAILED
    assert (place.rows(), place.shape()) == before


def test_tables_of_our_names_without_a_revision_are_not_taken_for_ours(place: Place) -> None:
    place.execute("CREATE TABLE runs (id INTEGER)")
    with pytest.raises(RunnerError, match="tables of these names, and no revision"):
        place.upgrade()
    assert place.rows() == {"runs": []}


@pytest.mark.parametrize("table", ["users (id INTEGER)", "runs (id INTEGER, name TEXT)"])
@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
def test_somebody_elses_numbered_revisions_are_not_taken_for_ours(
    place: Place, revision: str, table: str
) -> None:
    place.execute(f"CREATE TABLE {table}")
    place.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    place.execute(f"INSERT INTO alembic_version VALUES ('{revision}')")
    before = place.rows()
    with pytest.raises(RunnerError, match=f"revision '{revision}', and no table `runs` of ours"):
        place.upgrade()
    assert place.rows() == before


def test_tables_of_other_names_are_no_hindrance(place: Place) -> None:
    place.execute("CREATE TABLE invoices (id INTEGER)")
    place.upgrade()
    assert set(place.rows()) == {"invoices", "alembic_version", *tables.metadata.tables}
