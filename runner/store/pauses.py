"""Pauses: a skill, a repository, or everything, until a human resumes it."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, insert, select, true, update

from runner.scheduler.obstacles import Pause
from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import pauses


def pause(store: Store, one: Pause) -> None:
    """Pause a skill, a repository or everything; a pause of the same is replaced."""
    here = and_(pauses.c.repository == one.repository, pauses.c.skill == one.skill)
    values = asdict(one) | {"at": rows.utc_time(one.at), "circuit": int(one.circuit)}
    with database_errors(store.database), store.engine.begin() as connection:
        connection.execute(delete(pauses).where(here))
        connection.execute(insert(pauses).values(**values))


def resume(store: Store, repository: str, skill: str, at: datetime) -> bool:
    """End a pause; return whether there was one. An empty repository means the skill's pause in any."""
    anywhere = true() if skill and not repository else pauses.c.repository == repository
    held = and_(anywhere, pauses.c.skill == skill, pauses.c.resumed_at.is_(None))
    with database_errors(store.database), store.engine.begin() as connection:
        ended = update(pauses).where(held).values(resumed_at=rows.utc_time(at))
        return bool(connection.execute(ended).rowcount)


def resumed_at(store: Store, repository: str, skill: str) -> datetime | None:
    """When somebody last resumed a skill."""
    concerned = and_(pauses.c.repository.in_(("", repository)), pauses.c.skill.in_(("", skill)))
    with database_errors(store.database), store.engine.connect() as connection:
        query = select(func.max(pauses.c.resumed_at)).where(concerned)
        return rows.stored_time(connection.execute(query).scalar())


def present_pauses(store: Store) -> list[Pause]:
    """The present pauses, oldest first."""
    with database_errors(store.database), store.engine.connect() as connection:
        return pauses_in(connection)


def pause_messages(connection: Connection, repository: str) -> dict[str, str]:
    """By skill of a repository, "*" for all of them: what its pause is, in a sentence."""
    found = [one for one in pauses_in(connection) if one.repository in ("", repository)]
    # What holds this repository alone says more than what holds all of them.
    return {one.skill or "*": one.message for one in sorted(found, key=lambda one: one.repository != "")}


def pauses_in(connection: Connection) -> list[Pause]:
    """The present pauses, oldest first."""
    query = select(pauses).where(pauses.c.resumed_at.is_(None)).order_by(pauses.c.at)
    return [
        Pause(
            repository=row.repository,
            skill=row.skill,
            reason=row.reason,
            at=datetime.fromisoformat(row.at),
            who=row.who,
            circuit=bool(row.circuit),
        )
        for row in connection.execute(query)
    ]
