"""Opening the database: WAL, checked, and brought to the version that this program knows."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from runner.errors import RunnerError
from runner.model import Phase, Reason

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

VERSION = "0001"
"""The newest revision in migrations/versions."""

_BUSY = 30_000  # milliseconds to wait for another process's write


def connect(path: Path) -> Engine:
    """The database at `path`, made where it is not there, migrated where it is older.

    Raises RunnerError STORE_FAILED when it is damaged, newer than this program, or cannot be written; what
    is in it stays as it is. DISK_FULL when there is no room.
    """
    with speaking(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(f"sqlite:///{path}")
        event.listen(engine, "connect", _prepare)
        with engine.connect() as connection:
            found = _version(connection)
        if found != VERSION:
            _migrate(engine, found, path)
        return engine


@contextmanager
def speaking(path: Path) -> Iterator[None]:
    """The database's errors inside become a RunnerError that says how to go on; broken rules stay."""
    try:
        yield
    except IntegrityError:
        raise
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise _explained(path, str(getattr(error, "orig", error))) from error
    except OSError as error:
        raise _explained(path, error.strerror or str(error)) from error


def _explained(path: Path, message: str) -> RunnerError:
    if "full" in message or "No space" in message:
        hint = "free some space, or move state_dir in skillrunner.yaml to a larger disk"
        return RunnerError(Phase.STORE, Reason.DISK_FULL, f"{path}: {message}", hint=hint, retryable=True)
    if "malformed" in message or "not a database" in message:
        hint = f"nothing was changed. Try `sqlite3 {path} .recover`, or move the file away to begin anew"
        return RunnerError(Phase.STORE, Reason.STORE_FAILED, f"{path} is damaged: {message}", hint=hint)
    hint = f"check that {path.parent} can be written, and that no other program locks the file"
    return RunnerError(Phase.STORE, Reason.STORE_FAILED, f"{path}: {message}", hint=hint, retryable=True)


def _prepare(connection: "DBAPIConnection", _: "ConnectionPoolEntry") -> None:
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _version(connection: Connection) -> str | None:
    """The revision that the database is at; asked without Alembic, which takes long to import."""
    try:
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except OperationalError as error:
        if "no such table" in str(error.orig):
            return None
        raise


def _migrate(engine: Engine, found: str | None, path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    try:
        with engine.connect() as connection:
            # Only one process migrates: the others wait here, and then find the work done.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            if _version(connection) != VERSION:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            connection.commit()
    except CommandError as error:
        raise RunnerError(
            Phase.STORE,
            Reason.STORE_FAILED,
            f"{path} was written by a newer skillrunner (revision {found}; this one knows {VERSION})",
            hint="install the newer skillrunner, or name another state_dir",
        ) from error
