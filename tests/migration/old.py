"""The stored databases, laid out anew for each test, and what is in a database."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect, select

from runner.store import Store
from runner.store.database import FILE, Database, file_database, server_database

FOLDER = Path(__file__).parent / "databases"
STORED = sorted(FOLDER.glob("*/*.sql"))
NEWEST = "891b129"

Rows = dict[str, list[dict[str, Any]]]
Shape = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test has its database."""

    folder: Path
    server: str  # empty: a file in the folder

    @property
    def database(self) -> Database:
        return server_database(self.server) if self.server else file_database(self.folder / FILE)

    def engine(self) -> Engine:
        """A connection that migrates nothing."""
        return create_engine(self.database.url)

    def store(self) -> Store:
        return Store(self.folder, self.server)

    def lay_out(self, name: str) -> None:
        """Put a stored database here, and nothing else."""
        self.clear()
        text = (FOLDER / ("postgresql" if self.server else "sqlite") / f"{name}.sql").read_text()
        if self.server:
            with psycopg.connect(self.server, autocommit=True) as server:
                server.execute(text.encode())
        else:
            with closing(sqlite3.connect(self.folder / FILE)) as file:
                file.executescript(text)

    def upgrade(self) -> None:
        self.store().close()

    def rows(self) -> Rows:
        engine = self.engine()
        with engine.connect() as connection:
            found = rows(connection)
        engine.dispose()
        return found

    def shape(self) -> Shape:
        engine = self.engine()
        with engine.connect() as connection:
            found = shape(connection)
        engine.dispose()
        return found

    def clear(self) -> None:
        """Have nothing here any more."""
        if self.server:
            self.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)

    def execute(self, *statements: str) -> None:
        engine = self.engine()
        with engine.begin() as connection:
            for one in statements:
                connection.exec_driver_sql(one)
        engine.dispose()


def rows(connection: Connection) -> Rows:
    """All rows of all tables, in an order of their own."""
    there = MetaData()
    there.reflect(connection)
    return {
        name: sorted((dict(row) for row in connection.execute(select(table)).mappings()), key=repr)
        for name, table in there.tables.items()
    }


def shape(connection: Connection) -> Shape:
    """The tables without the order of their columns: a new column comes last."""
    found = inspect(connection)
    return {
        table: {
            "columns": {
                one["name"]: (str(one["type"]), one["nullable"], one["default"], one.get("autoincrement"))
                for one in found.get_columns(table)
            },
            "primary key": found.get_pk_constraint(table),
            "foreign keys": found.get_foreign_keys(table),
            "unique": found.get_unique_constraints(table),
            "indexes": sorted(found.get_indexes(table), key=lambda one: str(one["name"])),
            "checks": found.get_check_constraints(table),
        }
        for table in sorted(found.get_table_names())
    }
