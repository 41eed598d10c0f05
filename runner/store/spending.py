"""Sums the cost of runs, as far as it is known."""

from datetime import datetime

from sqlalchemy import func, or_, select

from runner.config.worker import BudgetOptions
from runner.core.model.decision import Budget
from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import runs


def spending_since(store: Store, since: datetime) -> dict[tuple[str, str], float]:
    """US dollars by (repository, skill): of runs that ended since then, and of active runs."""
    counted = or_(runs.c.ended_at >= rows.utc_time(since), runs.c.ended_at.is_(None))
    known = func.coalesce(runs.c.cost_usd, runs.c.cost_at_least)
    query = (
        select(runs.c.repository, runs.c.skill, func.sum(known))
        .where(counted, known.is_not(None))
        .group_by(runs.c.repository, runs.c.skill)
    )
    with database_errors(store.database), store.engine.connect() as connection:
        return {(repository, skill): float(cost) for repository, skill, cost in connection.execute(query)}


def budget_of(store: Store, limits: BudgetOptions, repository: str, now: datetime) -> Budget:
    """What the skills of a repository may spend today."""
    if limits.daily_usd is None and limits.skill_daily_usd is None:
        return Budget()
    costs = spending_since(store, now.replace(hour=0, minute=0, second=0, microsecond=0))
    return Budget(
        daily=limits.daily_usd,
        skill_daily=limits.skill_daily_usd,
        spent=sum(costs.values()),
        spent_by_skill={skill: cost for (where, skill), cost in costs.items() if where == repository},
    )
