"""Pauses: a skill, a repository, or everything, until a human resumes it."""

from datetime import datetime

from sqlalchemy import and_, delete, func, insert, select, true, update

from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import pauses


def pause(
    store: Store, repository: str, skill: str, reason: str, at: datetime, *, circuit: bool = False
) -> None:
    """Pause a skill; an empty repository or skill means all. `circuit`: the circuit breaker did it."""
    here = and_(pauses.c.repository == repository, pauses.c.skill == skill)
    values: dict[str, object] = {
        "repository": repository,
        "skill": skill,
        "reason": reason,
        "at": rows.utc_time(at),
    }
    values["circuit"] = int(circuit)
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


def list_pauses(store: Store) -> list[dict[str, str]]:
    """The present pauses: repository and skill (empty: all), reason, and since when."""
    columns = (pauses.c.repository, pauses.c.skill, pauses.c.reason, pauses.c.at)
    query = select(*columns).where(pauses.c.resumed_at.is_(None)).order_by(pauses.c.at)
    with database_errors(store.database), store.engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
