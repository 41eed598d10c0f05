"""What tells that something is wrong, kept so that anybody can ask: also when no worker lives."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from runner.store import rows
from runner.store.database import speaking
from runner.store.runs import Store
from runner.store.tables import alerts, awaited, pauses, watched, workers
from runner.store.workers import LIVING
from runner.trouble import Awaited, Kind, Trouble, Unread, overdue, unread


@dataclass(frozen=True, slots=True)
class Watching:
    """Of all repositories."""

    store: Store

    def looked(self, worker: str, faults: Mapping[str, str], now: datetime) -> None:
        """`worker` looked at repositories: each with what went wrong, or with nothing."""
        at = rows.instant(now)
        read = [name for name, fault in faults.items() if not fault]
        seen = {"read_at": at, "fault": "", "worker": worker}
        known = update(watched).where(watched.c.repository.in_(read)).values(**seen)
        with speaking(self.store.database), self.store.engine.begin() as connection:
            there = set(connection.execute(known.returning(watched.c.repository)).scalars())
            for name in sorted(set(faults) - there):
                told = {"fault": faults[name], "worker": worker}
                _put(connection, watched, {"repository": name}, told, {"read_at": at})

    def expect(self, repository: str, due: Mapping[str, datetime], *, decided: bool) -> None:
        """By skill the first slot to come. Unless all before it is `decided`, what is awaited stays."""
        here = awaited.c.repository == repository
        with speaking(self.store.database), self.store.engine.begin() as connection:
            connection.execute(delete(awaited).where(here, awaited.c.skill.not_in(list(due))))
            for skill, at in sorted(due.items()):
                to_come = {"due": rows.instant(at)}
                key = {"repository": repository, "skill": skill}
                _put(connection, awaited, key, to_come if decided else {}, to_come)

    def serve(self, worker: str, names: Collection[str]) -> None:
        """Forget the repositories that nobody serves any more, when `worker` serves just these.

        Those of a worker that died are not forgotten: nobody said that they should not be served.
        """
        others = select(workers.c.id).where(workers.c.state.in_((*LIVING, "lost")), workers.c.id != worker)
        everybody = [] if self.store.database.is_file else [watched.c.worker.not_in(others)]
        with speaking(self.store.database), self.store.engine.begin() as connection:
            gone = and_(watched.c.repository.not_in(list(names)), *everybody)
            connection.execute(delete(watched).where(gone))
            known = select(watched.c.repository)
            connection.execute(delete(awaited).where(awaited.c.repository.not_in(known)))

    def troubles(self, now: datetime, grace: timedelta) -> list[Trouble]:
        """All that is wrong, from the store alone."""
        late = awaited.c.due < rows.instant(now - grace)
        with speaking(self.store.database), self.store.engine.connect() as connection:
            return [
                *overdue(_awaited(connection, late), now, grace),
                *unread(_unread(connection), now, grace),
                *_broken(connection),
            ]

    def is_served(self, repository: str) -> bool:
        """Whether a worker looked at it, and none has forgotten it since."""
        query = select(watched.c.repository).where(watched.c.repository == repository)
        with speaking(self.store.database), self.store.engine.connect() as connection:
            return connection.execute(query).first() is not None

    def repositories(self, skill: str) -> list[str]:
        """Where a skill of that name has a schedule, as far as workers have seen."""
        query = select(awaited.c.repository).where(awaited.c.skill == skill).order_by(awaited.c.repository)
        with speaking(self.store.database), self.store.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    # --- what was told --------------------------------------------------------------------------

    def told(self) -> list[Trouble]:
        """What was told, and is not told to be over."""
        with speaking(self.store.database), self.store.engine.connect() as connection:
            return [
                Trouble(
                    kind=Kind(row.kind),
                    repository=row.repository,
                    skill=row.skill,
                    message=row.message,
                    since=datetime.fromisoformat(row.since),
                )
                for row in connection.execute(select(alerts))
            ]

    def tell(self, one: Trouble) -> bool:
        """Whether it is for the caller to tell of it: of several at once one hears so."""
        row = {"message": one.message, "since": rows.instant(one.since)}
        try:
            with speaking(self.store.database), self.store.engine.begin() as connection:
                connection.execute(insert(alerts).values(**_key(one), **row))
        except IntegrityError:
            return False
        return True

    def mend(self, one: Trouble) -> bool:
        """Whether it is for the caller to tell that it is over."""
        here = and_(*(alerts.c[name] == value for name, value in _key(one).items()))
        with speaking(self.store.database), self.store.engine.begin() as connection:
            return bool(connection.execute(delete(alerts).where(here)).rowcount)


def _key(one: Trouble) -> dict[str, str]:
    return dict(zip(("kind", "repository", "skill"), one.name, strict=True))


def _put(
    connection: Connection,
    table: Table,
    key: Mapping[str, str],
    changed: Mapping[str, str | None],
    new: Mapping[str, str | None],
) -> None:
    """Change a row, or make it with what is `new` as well."""
    here = and_(*(table.c[name] == value for name, value in key.items()))
    if changed and connection.execute(update(table).where(here).values(**changed)).rowcount:
        return
    if not changed and connection.execute(select(table.c[next(iter(key))]).where(here)).first():
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**{**key, **new, **changed}))
    except IntegrityError:  # somebody else made it at this very moment, from the same facts
        return


def _awaited(connection: Connection, which: ColumnElement[bool]) -> list[Awaited]:
    query = select(awaited).where(which).order_by(awaited.c.repository, awaited.c.skill)
    return [
        Awaited(repository=row.repository, skill=row.skill, due=datetime.fromisoformat(row.due))
        for row in connection.execute(query)
    ]


def _unread(connection: Connection) -> list[Unread]:
    query = select(watched).where(watched.c.fault != "").order_by(watched.c.repository)
    return [
        Unread(
            repository=row.repository,
            read_at=datetime.fromisoformat(row.read_at),
            fault=row.fault,
        )
        for row in connection.execute(query)
    ]


def _broken(connection: Connection) -> list[Trouble]:
    """The skills that failed so often that they are paused."""
    held = and_(pauses.c.circuit == 1, pauses.c.resumed_at.is_(None))
    return [
        Trouble(
            kind=Kind.CIRCUIT,
            repository=row.repository,
            skill=row.skill,
            message=f"{row.repository} {row.skill} is paused: {row.reason}",
            since=datetime.fromisoformat(row.at),
        )
        for row in connection.execute(select(pauses).where(held))
    ]
