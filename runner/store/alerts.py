"""Stores what alerts are computed from, so that anybody can compute them: also when no worker runs."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from runner.scheduler.overdue import (
    Alert,
    AlertKind,
    UndecidedSlot,
    UnreadableRepository,
    overdue_alerts,
    unreadable_alerts,
)
from runner.store import rows
from runner.store.database import database_errors
from runner.store.pauses import pauses_in
from runner.store.runs import Store
from runner.store.tables import alerts, awaited, watched, workers
from runner.store.troubles import forget_unserved, present_troubles
from runner.store.workers import LIVING


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The result of reading a repository."""

    fault: str = ""  # empty: well
    next_try: datetime | None = None  # of what failed; None: with the next poll


@dataclass(frozen=True, slots=True)
class AlertStore:
    """The alerts of all repositories."""

    store: Store

    def note_read(self, worker: str, results: Mapping[str, ReadResult], now: datetime) -> None:
        """Store the results of reads by `worker`, by repository."""
        at = rows.utc_time(now)
        read = watched.c.repository.in_([name for name, one in results.items() if not one.fault])
        # All workers lock the rows in the same order, so that they cannot deadlock.
        known = select(watched.c.repository).where(read).order_by(watched.c.repository).with_for_update()
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            there = set(connection.execute(known).scalars())
            connection.execute(
                update(watched).where(read).values(read_at=at, worker=worker, fault="", next_try=None)
            )
            for name in sorted(set(results) - there):
                _note_failure(connection, name, results[name], worker, at)

    def set_expected(self, repository: str, due: Mapping[str, datetime], *, decided: bool) -> None:
        """Store the next slot of each skill of a repository; skills that are not in `due` are removed.

        A stored slot is replaced only when all slots before the new one are `decided`; else it stays.
        """
        here = awaited.c.repository == repository
        to_come = {skill: rows.utc_time(at) for skill, at in due.items()}
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            query = select(awaited.c.skill, awaited.c.due).where(here)
            known: dict[str, str] = {row.skill: row.due for row in connection.execute(query)}
            if gone := set(known) - set(due):
                connection.execute(delete(awaited).where(here, awaited.c.skill.in_(gone)))
            later = sorted(one for one in due if one in known and known[one] != to_come[one])
            if decided and later:
                change = (
                    update(awaited)
                    .where(here, awaited.c.skill == bindparam("one"))
                    .values(due=bindparam("at"))
                )
                connection.execute(change, [{"one": one, "at": to_come[one]} for one in later])
            new = [
                {"repository": repository, "skill": one, "due": to_come[one]}
                for one in sorted(set(due) - set(known))
            ]
            _add(connection, awaited, new)

    def set_served(self, worker: str, names: Collection[str]) -> None:
        """Store that `worker` serves exactly the repositories `names`; remove those that no worker serves.

        The repositories of a dead worker stay: nobody decided that they are not to be served.
        """
        others = select(workers.c.id).where(workers.c.state.in_((*LIVING, "lost")), workers.c.id != worker)
        everybody = [] if self.store.database.is_file else [watched.c.worker.not_in(others)]
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            gone = and_(watched.c.repository.not_in(list(names)), *everybody)
            connection.execute(delete(watched).where(gone))
            known = select(watched.c.repository)
            connection.execute(delete(awaited).where(awaited.c.repository.not_in(known)))
            forget_unserved(connection)

    def alerts(self, now: datetime, grace: timedelta) -> list[Alert]:
        """Every present alert, computed from the store alone."""
        late = awaited.c.due < rows.utc_time(now - grace)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return [
                *overdue_alerts(_undecided(connection, late), now, grace),
                *unreadable_alerts(_unreadable(connection), now, grace),
                *_circuits(connection),
                *(
                    one
                    for one in present_troubles(connection)
                    if not one.has_grace or now - one.since > grace
                ),
            ]

    def unreadable(self) -> list[UnreadableRepository]:
        """The repositories that could not be read when somebody last tried."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return _unreadable(connection)

    def is_served(self, repository: str) -> bool:
        """Whether some worker serves a repository."""
        query = select(watched.c.repository).where(watched.c.repository == repository)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return connection.execute(query).first() is not None

    def repositories(self, skill: str) -> list[str]:
        """The repositories in which workers have seen a skill of this name with a schedule."""
        query = select(awaited.c.repository).where(awaited.c.skill == skill).order_by(awaited.c.repository)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    # --- alerts that were sent ------------------------------------------------------------------

    def open_alerts(self) -> list[Alert]:
        """The alerts that were sent and whose end was not sent."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return [
                Alert(
                    kind=AlertKind(row.kind),
                    repository=row.repository,
                    skill=row.skill,
                    host=row.host,
                    message=row.message,
                    since=datetime.fromisoformat(row.since),
                )
                for row in connection.execute(select(alerts))
            ]

    def claim_new(self, one: Alert) -> bool:
        """Claim the sending of an alert; returns True for one of several callers."""
        row = {"message": one.message, "since": rows.utc_time(one.since)}
        try:
            with database_errors(self.store.database), self.store.engine.begin() as connection:
                connection.execute(insert(alerts).values(**_key(one), **row))
        except IntegrityError:
            return False
        return True

    def claim_resolved(self, one: Alert) -> bool:
        """Claim the sending of an alert's end; returns True for one of several callers."""
        here = and_(*(alerts.c[name] == value for name, value in _key(one).items()))
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            return bool(connection.execute(delete(alerts).where(here)).rowcount)


def _key(one: Alert) -> dict[str, str]:
    return dict(zip(("kind", "repository", "skill", "host"), one.name, strict=True))


def _note_failure(connection: Connection, name: str, result: ReadResult, worker: str, at: str | None) -> None:
    """Somebody read a repository for the first time, or in vain: when it was last read is as it was."""
    next_try = None if result.next_try is None else rows.utc_time(result.next_try)
    told = {"fault": result.fault, "worker": worker, "next_try": next_try}
    change = update(watched).where(watched.c.repository == name).values(**told)
    if not connection.execute(change).rowcount:
        _add(connection, watched, [{"repository": name, "read_at": at, **told}])


def _add(connection: Connection, table: Table, new: Sequence[Mapping[str, str | None]]) -> None:
    """Insert rows; where another worker inserts the same row at this moment, theirs stays."""
    if new:
        with suppress(IntegrityError), connection.begin_nested():
            connection.execute(insert(table), new)


def _undecided(connection: Connection, which: ColumnElement[bool]) -> list[UndecidedSlot]:
    query = select(awaited).where(which).order_by(awaited.c.repository, awaited.c.skill)
    return [
        UndecidedSlot(repository=row.repository, skill=row.skill, due=datetime.fromisoformat(row.due))
        for row in connection.execute(query)
    ]


def _unreadable(connection: Connection) -> list[UnreadableRepository]:
    query = select(watched).where(watched.c.fault != "").order_by(watched.c.repository)
    return [
        UnreadableRepository(
            repository=row.repository,
            read_at=datetime.fromisoformat(row.read_at),
            fault=row.fault,
            next_try=None if row.next_try is None else datetime.fromisoformat(row.next_try),
        )
        for row in connection.execute(query)
    ]


def _circuits(connection: Connection) -> list[Alert]:
    """An alert for each skill that its circuit breaker paused."""
    return [
        Alert(
            kind=AlertKind.CIRCUIT,
            repository=one.repository,
            skill=one.skill,
            message=f"{one.repository} {one.skill}: {one.message}",
            since=one.at,
        )
        for one in pauses_in(connection)
        if one.circuit
    ]
