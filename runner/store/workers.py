"""The workers that share a store: which are alive, and which were marked dead."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import queue, workers

LIVING = ("running", "draining")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker process, from its start to its end."""

    id: str
    host: str
    place: str  # the id of its state directory
    pid: int
    version: str
    capacity: int
    silence: float  # seconds without a heartbeat after which others take over its runs
    state: str  # "running", "draining", "stopped" or "lost"
    beats: int = 0
    asked: int = 0  # the stop level: 1 when its runs have ended, 2 now
    started_at: datetime
    seen_at: datetime

    @property
    def is_alive(self) -> bool:
        """Whether it neither stopped nor was marked dead."""
        return self.state in LIVING


@dataclass(frozen=True, slots=True)
class WorkerStore:
    """The workers of one store."""

    store: Store

    def register(self, worker: Worker) -> None:
        row = {one.name: getattr(worker, one.name) for one in fields(worker)}
        times = {name: rows.utc_time(row[name]) for name in ("started_at", "seen_at")}
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(insert(workers).values(**row | times))

    def renew(self, worker: str, now: datetime, state: str = "running") -> bool:
        """Store a heartbeat; returns False when the worker was marked dead and has lost its runs."""
        alive = and_(workers.c.id == worker, workers.c.state.in_(LIVING))
        said = {"seen_at": rows.utc_time(now), "state": state, "beats": workers.c.beats + 1}
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            return bool(connection.execute(update(workers).where(alive).values(**said)).rowcount)

    def request_stop(self, ids: Collection[str], level: int = 1) -> None:
        """Ask living workers to stop: level 1 when their runs have ended, 2 now. A level never decreases."""
        here = and_(workers.c.id.in_(ids), workers.c.state.in_(LIVING), workers.c.asked < level)
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(update(workers).where(here).values(asked=level))

    def stop_level(self, worker: str) -> int:
        """The stop level that somebody requested of `worker`: see `request_stop`; 0: none."""
        query = select(workers.c.asked).where(workers.c.id == worker)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return connection.execute(query).scalar() or 0

    def mark_ended(self, worker: str, now: datetime) -> None:
        """Store that the worker stopped in order."""
        self.renew(worker, now, "stopped")

    def list_living(self) -> list[Worker]:
        """The workers that neither stopped nor were marked dead."""
        return self._all(workers.c.state.in_(LIVING))

    def find_lost(self, some: Collection[str]) -> list[str]:
        """Those of `some` that were marked dead."""
        query = select(workers.c.id).where(workers.c.id.in_(some), workers.c.state == "lost")
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def mark_dead(self, dead: Iterable[Worker]) -> list[str]:
        """Mark workers dead, and return those that this call marked: each is returned to one caller only.

        A worker that has sent a heartbeat since `dead` was read stays alive.
        """
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            return [one.id for one in dead if self._mark_dead(connection, one)]

    def _mark_dead(self, connection: Connection, one: Worker) -> bool:
        as_seen = and_(workers.c.id == one.id, workers.c.beats == one.beats, workers.c.state.in_(LIVING))
        return bool(connection.execute(update(workers).where(as_seen).values(state="lost")).rowcount)

    def all(self, since: datetime) -> list[Worker]:
        """Workers with a heartbeat since then, newest first."""
        return self._all(workers.c.seen_at >= rows.utc_time(since))

    def forget(self, before: datetime, place: str) -> list[str]:
        """Delete workers of a state directory that ended before then and have no run; return their ids."""
        old = and_(workers.c.state.not_in(LIVING), workers.c.seen_at < rows.utc_time(before))
        unused = workers.c.id.not_in(select(queue.c.owner))
        gone = delete(workers).where(old, unused, workers.c.place == place).returning(workers.c.id)
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            return list(connection.execute(gone).scalars())

    def _all(self, where: ColumnElement[bool]) -> list[Worker]:
        query = select(workers).where(where).order_by(workers.c.started_at.desc())
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]


def _record(row: Any) -> Worker:
    with rows.row_errors("workers", id=row["id"]):
        times = {name: datetime.fromisoformat(row[name]) for name in ("started_at", "seen_at")}
        return Worker(**{**row, **times})
