"""Removes old runs with everything that belongs to them; each skill's newest ended run stays."""

from datetime import datetime

from sqlalchemy import Select, and_, delete, exists, or_, select

from runner.store import rows, tables
from runner.store.database import database_errors
from runner.store.records import ACTIVE
from runner.store.runs import Store
from runner.store.workers import LIVING

MAX_RUNS = 100
"""How many runs one pass removes, so that it blocks nothing else for long."""


def outdated_runs(store: Store, before: datetime, place: str) -> dict[str, int]:
    """At most MAX_RUNS runs that ended before then, oldest first: run id -> number of turns.

    Runs with files in the state directory of another living worker are left out.
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
    """The workers of other state directories that a living worker uses."""
    workers = tables.workers
    used = select(workers.c.place).where(workers.c.state.in_(LIVING), workers.c.place != place)
    return select(workers.c.id).where(workers.c.place.in_(used))


def remove(store: Store, run_ids: list[str]) -> None:
    """Delete runs and all their rows; decisions stay."""
    with database_errors(store.database), store.engine.begin() as connection:
        connection.execute(delete(tables.runs).where(tables.runs.c.id.in_(run_ids)))


def forget_decisions(store: Store, before: datetime) -> None:
    """Delete decisions from before then. The last decided slot of each schedule stays for ever."""
    with database_errors(store.database), store.engine.begin() as connection:
        old = tables.decisions.c.at < rows.utc_time(before)
        connection.execute(delete(tables.decisions).where(old))
