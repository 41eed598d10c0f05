"""Old runs go, with all that belongs to them; the newest that ended stays of every skill."""

from datetime import datetime

from sqlalchemy import Select, and_, delete, exists, or_, select

from runner.store import rows, tables
from runner.store.database import database_errors
from runner.store.records import ACTIVE
from runner.store.runs import Store
from runner.store.workers import LIVING

MAX_RUNS = 100
"""Runs that one pass removes, so that nothing else has to wait for long."""


def outdated_runs(store: Store, before: datetime, place: str) -> dict[str, int]:
    """At most MOST runs that ended before then, the oldest first, each with the number of its turns.

    None of those whose files a living worker has elsewhere than in the state directory `place`.
    """
    runs, later, queue = tables.runs, tables.runs.alias("later"), tables.queue
    newer = or_(
        later.c.created_at > runs.c.created_at,
        and_(later.c.created_at == runs.c.created_at, later.c.id > runs.c.id),
    )
    same = and_(later.c.repository == runs.c.repository, later.c.skill == runs.c.skill)
    query = (
        select(runs.c.id, queue.c.turn)
        .outerjoin(queue)
        .where(runs.c.ended_at < rows.utc_time(before), runs.c.state.not_in(ACTIVE))
        .where(or_(queue.c.told.is_(None), queue.c.told == 1))
        .where(or_(queue.c.owner.is_(None), queue.c.owner.not_in(_elsewhere(place))))
        .where(exists().where(same, newer, later.c.state.not_in(ACTIVE)))
        .order_by(runs.c.ended_at)
        .limit(MAX_RUNS)
    )
    with database_errors(store.database), store.engine.connect() as connection:
        return {run_id: turn or 0 for run_id, turn in connection.execute(query)}


def _elsewhere(place: str) -> Select[tuple[str]]:
    """The workers of other state directories in which somebody works."""
    workers = tables.workers
    used = select(workers.c.place).where(workers.c.state.in_(LIVING), workers.c.place != place)
    return select(workers.c.id).where(workers.c.place.in_(used))


def remove(store: Store, run_ids: list[str]) -> None:
    """Drop runs and all rows that belong to them; decisions stay, for what they say was decided."""
    with database_errors(store.database), store.engine.begin() as connection:
        connection.execute(delete(tables.runs).where(tables.runs.c.id.in_(run_ids)))


def forget_decisions(store: Store, before: datetime) -> None:
    """Drop decisions older than that. How far each schedule was decided is kept for ever."""
    with database_errors(store.database), store.engine.begin() as connection:
        old = tables.decisions.c.at < rows.utc_time(before)
        connection.execute(delete(tables.decisions).where(old))
