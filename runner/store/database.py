"""Opens the database, in WAL mode for SQLite, and migrates it to the version that this program knows."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.redact import readable
from runner.store import tables

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

VERSION = "0010"
"""The newest revision in migrations/versions: they are numbered from 0001 on, without a gap."""

FILE = "skillrunner.db"
"""The file name of an SQLite database in a state directory."""

_BUSY = 30_000  # milliseconds to wait for another process's write


_TIMEOUTS = {
    "connect_timeout": 10,  # seconds
    "tcp_user_timeout": 15_000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""An unreachable server is noticed before other workers mark this one dead. The names are libpq's
("Connection Strings" in PostgreSQL's documentation)."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where the rows are: a file, or a PostgreSQL server that several workers share."""

    url: str  # as SQLAlchemy reads it

    @property
    def place(self) -> str:
        """The place as messages show it: a path, or a URL without its password."""
        found = make_url(self.url)
        return found.database or "" if self.is_file else found.render_as_string(hide_password=True)

    @property
    def is_file(self) -> bool:
        return self.url.startswith("sqlite:")


def file_database(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def server_database(url: str) -> Database:
    """A PostgreSQL database by its usual URL. Raises RunnerError INVALID_CONFIG when it is none."""
    try:
        found = make_url(url)
    except ArgumentError as error:
        raise _no_url(url) from error
    if found.get_backend_name() != "postgresql":
        raise _no_url(url)
    return Database(found.set(drivername="postgresql+psycopg").render_as_string(hide_password=False))


def _no_url(url: str) -> RunnerError:
    scheme = url.split(":")[0]
    message = f"the database's URL should begin with postgresql:// (value: {scheme}:...)"
    hint = "postgresql://user@host/database; the password can stand in PGPASSWORD or ~/.pgpass"
    return RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)


def connect(database: Database) -> Engine:
    """Open the database; create it when it does not exist, migrate it when it is older.

    Raises RunnerError STORE_FAILED when it is damaged, newer than this program, or not writable, and
    DISK_FULL; the database is then unchanged.
    """
    with database_errors(database):
        if database.is_file:
            Path(database.place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            engine = create_engine(database.url)
            event.listen(engine, "connect", _prepare)
        else:
            engine = create_engine(
                database.url, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=_TIMEOUTS
            )
            event.listen(engine, "connect", _limit_idle)
        event.listen(engine, "before_cursor_execute", _storable, retval=True)
        with engine.connect() as connection:
            found = _version(connection)
        if found != VERSION:
            _migrate(engine, database)
        return engine


@contextmanager
def database_errors(database: Database) -> Iterator[None]:
    """Turn database errors raised inside into RunnerError with a hint; IntegrityError passes unchanged."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, sqlite3.DatabaseError) as error:
        message = str(getattr(error, "orig", error)).strip()
        raise _store_error(database, message, passes=_may_pass(error, message)) from error
    except OSError as error:
        raise _store_error(database, error.strerror or str(error)) from error


_REFUSED = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry|permission denied"
    r'|(role|database|user) "[^"]*" (does not exist|is not permitted)|invalid (connection option|port|dsn)'
)
"""Matches a server's answers that stay the same until a human changes something."""


def _may_pass(error: Exception, message: str) -> bool:
    """Whether the database may do it at the next try: it is away, starts, is busy, or fails over."""
    kinds = (OperationalError, InterfaceError, sqlite3.OperationalError)
    passing = isinstance(error, kinds) or getattr(error, "connection_invalidated", False)
    return (passing or "read-only transaction" in message) and _REFUSED.search(message) is None


def _store_error(database: Database, message: str, *, passes: bool = True) -> RunnerError:
    where = database.place
    if "full" in message or "No space" in message:
        hint = "free some space, or move state_dir in skillrunner.yaml to a larger disk"
        return RunnerError(Phase.STORE, Reason.DISK_FULL, f"{where}: {message}", hint=hint, retryable=True)
    if "malformed" in message or "not a database" in message:
        hint = (
            "nothing was changed. Try `skillrunner worker restore BACKUP --force` or "
            f"`sqlite3 {where} .recover`, or move the file away to begin anew"
        )
        return RunnerError(Phase.STORE, Reason.STORE_FAILED, f"{where} is damaged: {message}", hint=hint)
    hint = "check that the server runs, and that this user may use the database"
    if database.is_file:
        hint = f"check that {Path(where).parent} can be written, and that no other program locks the file"
    said = f"{where}: {message}"
    return RunnerError(Phase.STORE, Reason.STORE_FAILED, said, hint=hint, retryable=passes)


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


def _limit_idle(connection: "DBAPIConnection", _: "ConnectionPoolEntry") -> None:
    """Have the server end idle transactions: a suspended process must not hold its locks for ever."""
    cursor = connection.cursor()
    cursor.execute("SET idle_in_transaction_session_timeout = '30s'")
    cursor.close()
    connection.commit()


def _storable(
    connection: Connection, cursor: object, statement: str, parameters: Any, *_: object
) -> tuple[str, Any]:
    """Texts hold names of files, whose bytes need not be UTF-8: no database takes such a text as it is."""
    del connection, cursor
    return statement, _readable(parameters)


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_readable(one) for one in value)
    return {name: _readable(one) for name, one in value.items()} if isinstance(value, dict) else value


def _version(connection: Connection) -> str | None:
    """The database's revision, read without Alembic, which takes long to import."""
    try:
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except (OperationalError, ProgrammingError) as error:
        connection.rollback()
        if "no such table" in str(error.orig) or "does not exist" in str(error.orig):
            return None
        raise


_MIGRATION = 0x736B696C  # the number of the lock that a PostgreSQL server keeps for us
_MARK = "alembic_version"  # the table in which Alembic keeps the revision


def _migrate(engine: Engine, database: Database) -> None:
    """Bring the database to our revision in one transaction: a failure leaves it as it was."""
    alone = "BEGIN IMMEDIATE" if database.is_file else f"SELECT pg_advisory_xact_lock({_MIGRATION})"
    with engine.connect() as connection:
        connection.detach()  # nobody else gets it with the setting that follows
        if database.is_file:
            # SQLite changes a table by making it anew: sqlite.org/lang_altertable.html. To drop the old one
            # would delete what refers to its rows. Inside a transaction this pragma does nothing.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        # Only one process migrates: the others wait here, and then find the work done.
        connection.exec_driver_sql(alone)
        # Asked first: a table that is absent must not end the transaction.
        there = set(inspect(connection).get_table_names())
        found = _version(connection) if _MARK in there else None
        if found is None and not there & {_MARK, *tables.metadata.tables}:
            _make(connection)
        elif found != VERSION:
            check_version(found, database.place)
            if "runs" not in there or not _columns(connection, "runs") >= _OURS:
                raise _not_ours(database.place, f"revision {found!r}, and no table `runs` of ours")
            _upgrade(connection)
        connection.commit()


def check_version(found: str | None, place: str) -> None:
    """Raises RunnerError STORE_FAILED when the revision `found` is none that this program can upgrade."""
    if found is not None and re.fullmatch(r"\d{4}", found):
        if "0001" <= found <= VERSION:
            return
        if found > VERSION:
            message = f"{place} is of a newer skillrunner (revision {found}; this one knows {VERSION})"
            hint = "install the newer skillrunner, or go back to the backup that was made before the upgrade"
            raise RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint)
    what = f"revision {found!r}" if found else "tables of these names, and no revision"
    raise _not_ours(place, what)


_OURS = frozenset({"id", "repository", "skill", "trigger", "base_sha", "state"})
"""Columns of `runs` in every revision."""


def _columns(connection: Connection, table: str) -> set[str]:
    return {str(column["name"]) for column in inspect(connection).get_columns(table)}


def _not_ours(place: str, what: str) -> RunnerError:
    message = f"{place} is no database of skillrunner: it has {what} (known: 0001 to {VERSION})"
    hint = "name a database of its own for skillrunner, or go back to a backup"
    return RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint)


def _make(connection: Connection) -> None:
    """Create all tables as they are now, with the version table that Alembic would write.

    As in Alembic's cookbook, "Building an Up to Date Database from Scratch".
    """
    tables.metadata.create_all(connection)
    key = PrimaryKeyConstraint("version_num", name=f"{_MARK}_pkc")
    mark = Table(_MARK, MetaData(), Column("version_num", String(32)), key)
    mark.create(connection)
    connection.execute(insert(mark).values(version_num=VERSION))


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, VERSION)
