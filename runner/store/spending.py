"""Sums the cost of runs, as far as it is known."""

from datetime import datetime

from sqlalchemy import func, or_, select

from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import runs


def spending_since(store: Store, since: datetime) -> dict[tuple[str, str], float]:
    """US dollars by (repository, skill): of runs that ended since then, and of active runs."""
    counted = or_(runs.c.ended_at >= rows.utc_time(since), runs.c.ended_at.is_(None))
    query = (
        select(runs.c.repository, runs.c.skill, func.sum(runs.c.cost_usd))
        .where(counted, runs.c.cost_usd.is_not(None))
        .group_by(runs.c.repository, runs.c.skill)
    )
    with database_errors(store.database), store.engine.connect() as connection:
        return {(repository, skill): float(cost) for repository, skill, cost in connection.execute(query)}
