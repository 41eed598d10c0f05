"""Backs up the database to a file and restores it, with SQLite's online backup: sqlite.org/backup.html."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.store.database import check_version, database_errors, file_database
from runner.store.process_lock import is_held

_BESIDE = ("", "-wal", "-shm")  # a database in WAL mode is three files: sqlite.org/walformat.html


def back_up(database: Path, target: Path, *, force: bool = False) -> int:
    """Copy the database into the new file `target` while others use it; return the copy's size in bytes.

    Raises RunnerError: there is no database, `target` is there and `force` is not given, or the copy is
    damaged.
    """
    _require_file(database, "there is nothing to back up")
    if target.exists() and not force:
        raise _invalid(f"{target} is there already", "name another file, or use --force")
    with _new(target) as copy:
        _copy(database, copy)
        _check(copy)
    return target.stat().st_size


def restore(source: Path, database: Path, now: datetime, *, force: bool = False) -> Path | None:
    """Replace the database by the backup `source`; return the path that the old database now has, if any.

    Raises RunnerError, and changes nothing, when `source` is damaged or of a newer version, when there is a
    database and `force` is not given, or when a process uses the database.
    """
    _require_file(source, "there is nothing to restore")
    _check(source)
    there = database.exists()
    if there and not force:
        raise _invalid(f"{database} is there already", "use --force: it is kept under another name")
    _refuse_where_used(database)
    with _new(database) as copy:
        _copy(source, copy)
        _check(copy)
        return _move_aside(database, f"{now:%Y%m%dT%H%M%SZ}") if there else None


@contextmanager
def _new(target: Path) -> Iterator[Path]:
    """A temporary file that is renamed to `target` when the context ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = target.with_name(f".{target.name}.{os.getpid()}")
    with database_errors(file_database(target)):
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield made
        with database_errors(file_database(target)):
            made.replace(target)
    finally:
        for ending in _BESIDE:
            made.with_name(made.name + ending).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy all pages in one step: in WAL mode this blocks no writer."""
    with (
        database_errors(file_database(source)),
        closing(_reading(source)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # one file, that can be carried away


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _check(path: Path) -> None:
    """Raises RunnerError unless the file is an undamaged database that this program can read."""
    with database_errors(file_database(path)), closing(_reading(path)) as found:
        faults = [str(row[0]) for row in found.execute("PRAGMA integrity_check(3)")]
        if faults != ["ok"]:
            raise _failed(f"{path} is damaged: {'; '.join(faults)}", f"sqlite3 {path} .recover")
        known = found.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        version = known and found.execute("SELECT version_num FROM alembic_version").fetchone()
    if not version:
        raise _invalid(f"{path} is no database of skillrunner", "skillrunner worker backup FILE makes one")
    check_version(version[0], str(path))


def _refuse_where_used(database: Path) -> None:
    """Raises RunnerError when a process uses the database: replacing it would lose that process's writes."""
    for lock in database.parent.glob("*/*/lock"):
        if is_held(lock.parent):
            message = f"{lock.parent.name} works with {database}"
            raise _failed(message, "end the worker and the runs first: systemctl stop skillrunner-worker")
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # refuses readers as well
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                hint = f"end it first; `fuser {database}` tells which process it is"
                raise _failed(f"some process uses {database}", hint) from error
        except sqlite3.DatabaseError:
            return  # it is damaged, which may be the reason for the restore


def _move_aside(database: Path, when: str) -> Path:
    aside = database.with_name(f"{database.name}.{when}")
    for ending in _BESIDE:
        part = database.with_name(database.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    return aside


def _require_file(path: Path, otherwise: str) -> None:
    if not path.is_file():
        raise _invalid(f"{path} is not there: {otherwise}", f"ls -l {path.parent}")


def _invalid(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)


def _failed(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint)
