"""The revisions make today's tables, and tables that change without a revision are noticed.

Usage, after a new revision: python -m tests.migration.test_revisions; it writes `schemas/VERSION.sql`.
"""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from runner.store import database, tables
from runner.store.database import VERSION
from tests.migration.old import Place, shape

MIGRATIONS = Path(database.__file__).with_name("migrations")
REVISIONS = [path.name.split("_")[0] for path in sorted(MIGRATIONS.glob("versions/*.py"))]
SCHEMA = Path(__file__).parent / "schemas" / f"{VERSION}.sql"
WRITE = "python -m tests.migration.test_revisions"
ADVICE = f"add a revision, raise VERSION in runner/store/database.py, and run {WRITE}"


def config(connection: Connection | None = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.attributes["connection"] = connection
    return made


@contextmanager
def revised(place: Place, revision: str) -> Iterator[Connection]:
    """An empty database, brought to a revision by all revisions up to it."""
    engine = place.engine()
    with engine.begin() as connection:
        command.upgrade(config(connection), revision)
        yield connection
    engine.dispose()


def schema() -> str:
    """Today's tables in PostgreSQL's words, by name."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    made = []
    for table in sorted(tables.metadata.tables.values(), key=lambda one: one.name):
        indexes = sorted(table.indexes, key=lambda one: str(one.name))
        for element in (CreateTable(table), *map(CreateIndex, indexes)):
            lines = str(element.compile(dialect=dialect)).strip().splitlines()
            made.append("\n".join(line.rstrip() for line in lines) + ";\n")
    return "".join(made)


def test_revisions_are_numbered_and_plain() -> None:
    expected = [f"{number:04}" for number in range(1, int(VERSION) + 1)]
    assert expected == REVISIONS
    script = ScriptDirectory.from_config(config())
    assert [one.revision for one in script.walk_revisions()] == REVISIONS[::-1]
    assert script.get_heads() == [VERSION]


def test_no_revision_knows_todays_program() -> None:
    for path in MIGRATIONS.glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "runner"], path


def test_all_revisions_together_make_todays_tables(place: Place) -> None:
    with revised(place, "head") as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == [], ADVICE


@pytest.mark.parametrize(
    ("engine", "revision", "commit"),
    [("sqlite", "0001", "a5751d8"), ("sqlite", "0002", "d350475"), ("postgresql", "0002", "d350475")],
)
def test_a_revision_makes_what_its_program_made(
    engine: str, revision: str, commit: str, request: pytest.FixtureRequest
) -> None:
    place: Place = request.getfixturevalue(f"{engine}_place")
    place.clear()
    with revised(place, revision) as connection:
        made = shape(connection)
    place.lay_out(commit)
    assert made == place.shape()


def test_the_tables_are_those_of_the_version() -> None:
    assert SCHEMA.exists(), ADVICE
    assert schema() == SCHEMA.read_text(), f"the tables changed: {ADVICE}"


if __name__ == "__main__":
    SCHEMA.parent.mkdir(exist_ok=True)
    with SCHEMA.open("x") as file:  # what a version means never changes
        file.write(schema())
