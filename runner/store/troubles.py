"""Stores what keeps runs from starting on a machine, what is wrong in a repository, and its valid skills."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from runner.scheduler.obstacles import SkillFacts, Surroundings
from runner.scheduler.overdue import Alert, AlertKind
from runner.store import rows
from runner.store.database import database_errors
from runner.store.pauses import present_pauses
from runner.store.runs import Store
from runner.store.tables import awaited, skills, troubles, watched, workers
from runner.store.workers import LIVING

_OF_MACHINE = (AlertKind.DISK, AlertKind.ENGINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleScope:
    """Whose troubles of one kind are meant: those of a machine, or those of a repository."""

    kind: AlertKind
    repository: str = ""  # empty: of the machine
    place: str = ""  # of the machine's state directory; empty: of the repository
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSkill:
    """A valid skill of a repository's default branch."""

    name: str
    triggers: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, slots=True)
class TroubleStore:
    """The present troubles, and the valid skills, of all workers."""

    store: Store

    def replace(self, scope: TroubleScope, present: Mapping[str, str], now: datetime) -> None:
        """Store the present troubles of a scope, as message by subject; those it had before are over."""
        here = _is(scope)
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            before = set(connection.execute(select(troubles.c.subject).where(here)).scalars())
            gone = sorted(before - set(present))
            connection.execute(delete(troubles).where(here, troubles.c.subject.in_(gone)))
            for subject in sorted(before & set(present)):
                changed = update(troubles).where(here, troubles.c.subject == subject)
                connection.execute(changed.values(message=present[subject]))
            new = [_row(scope, subject, present[subject], now) for subject in sorted(set(present) - before)]
            if new:
                connection.execute(insert(troubles), new)

    def set_known(self, repository: str, valid: Iterable[KnownSkill]) -> None:
        """Store the valid skills of a repository."""
        values = [
            {
                "repository": repository,
                "skill": one.name,
                "triggers": " ".join(one.triggers),
                "enabled": int(one.enabled),
            }
            for one in valid
        ]
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(delete(skills).where(skills.c.repository == repository))
            if values:
                connection.execute(insert(skills), values)

    def surroundings(self) -> Surroundings:
        """What the store knows of the workers, their machines and repositories."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            places = set(
                connection.execute(select(workers.c.place).where(workers.c.state.in_(LIVING))).scalars()
            )
            found = [one for one in _machine(connection) if one[1] in places]
            read = {row.repository: row.fault for row in connection.execute(select(watched))}
        return Surroundings(
            has_worker=bool(places),
            served=frozenset(read),
            unread={name: fault for name, fault in read.items() if fault},
            disk=_common(AlertKind.DISK, found, places),
            engine=_common(AlertKind.ENGINE, found, places),
        )

    def skills(self, name: str, repository: str | None = None) -> list[SkillFacts]:
        """What is known of the skills of this name, by repository."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            valid = {
                row.repository: row
                for row in connection.execute(select(skills).where(skills.c.skill == name))
            }
            query = select(awaited).where(awaited.c.skill == name)
            due = {row.repository: datetime.fromisoformat(row.due) for row in connection.execute(query)}
            invalid = and_(troubles.c.kind == AlertKind.INVALID_SKILL.value, troubles.c.subject == name)
            faults = {
                row.repository: row.message for row in connection.execute(select(troubles).where(invalid))
            }
        pauses = present_pauses(self.store)
        return [
            SkillFacts(
                repository=where,
                skill=name,
                triggers=valid[where].triggers.split() if where in valid else (),
                enabled=bool(valid[where].enabled) if where in valid else True,
                fault=faults.get(where, ""),
                next_due=due.get(where),
                pauses=[one for one in pauses if one.repository in ("", where) and one.skill in ("", name)],
            )
            for where in sorted({*valid, *due, *faults})
            if repository in (None, where)
        ]

    def names(self) -> list[str]:
        """The names of all skills that are known, the invalid ones too."""
        invalid = select(troubles.c.subject).where(troubles.c.kind == AlertKind.INVALID_SKILL.value)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found = connection.execute(select(skills.c.skill).union(invalid)).scalars()
            return sorted(set(found))


def present_troubles(connection: Connection) -> list[Alert]:
    """The stored troubles; those of a machine only while a worker of it lives, or none lives at all."""
    living = set(connection.execute(select(workers.c.place).where(workers.c.state.in_(LIVING))).scalars())
    query = select(troubles).order_by(troubles.c.repository, troubles.c.subject, troubles.c.host)
    return [
        Alert(
            kind=AlertKind(row.kind),
            repository=row.repository,
            skill=row.subject,
            host=row.host,
            message=row.message,
            since=datetime.fromisoformat(row.since),
        )
        for row in connection.execute(query)
        if not row.place or not living or row.place in living
    ]


def forget_unserved(connection: Connection) -> None:
    """Delete what belongs to repositories that no worker serves, and to machines that no worker is of."""
    served = select(watched.c.repository)
    connection.execute(delete(skills).where(skills.c.repository.not_in(served)))
    of_repository = and_(troubles.c.repository != "", troubles.c.kind == AlertKind.INVALID_SKILL.value)
    of_list = and_(troubles.c.repository.not_like("%*%"), troubles.c.kind == AlertKind.UNHEARD_LIST.value)
    gone = and_(or_(of_repository, of_list), troubles.c.repository.not_in(served))
    machine = and_(troubles.c.place != "", troubles.c.place.not_in(select(workers.c.place)))
    connection.execute(delete(troubles).where(or_(gone, machine)))


def _is(scope: TroubleScope) -> ColumnElement[bool]:
    return and_(
        troubles.c.kind == scope.kind.value,
        troubles.c.place == scope.place,
        troubles.c.repository == scope.repository,
    )


def _row(scope: TroubleScope, subject: str, message: str, now: datetime) -> dict[str, str | None]:
    return {
        "kind": scope.kind.value,
        "place": scope.place,
        "repository": scope.repository,
        "subject": subject,
        "host": scope.host,
        "message": message,
        "since": rows.utc_time(now),
    }


def _machine(connection: Connection) -> list[tuple[str, str, str]]:
    query = select(troubles.c.kind, troubles.c.place, troubles.c.message)
    kinds = [kind.value for kind in _OF_MACHINE]
    return [
        (kind, place, message)
        for kind, place, message in connection.execute(query.where(troubles.c.kind.in_(kinds)))
    ]


def _common(kind: AlertKind, found: list[tuple[str, str, str]], places: set[str]) -> str:
    """The trouble that all machines have; empty where one of them has none."""
    messages = {place: message for name, place, message in found if name == kind.value}
    return min(messages.values()) if places and set(messages) == places else ""
