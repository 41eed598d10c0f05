"""Reads what the scheduler's `obstacles` need, for queued runs and for skills without a run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from runner.config.worker import WorkerConfig
from runner.scheduler.admission import WaitingRun, limits_of
from runner.scheduler.obstacles import Obstacle, QueueFacts, SkillFacts, why_idle, why_queued, why_waiting
from runner.store.approvals import WaitingApproval
from runner.store.queue import RunQueue
from runner.store.runs import Store
from runner.store.spending import budget_of
from runner.store.troubles import TroubleStore


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run in the queue, and why it is not running."""

    run: WaitingRun
    obstacle: Obstacle

    def document(self) -> dict[str, Any]:
        """The same as `--json` shows it."""
        return {**asdict(self.run), **obstacle_document(self.obstacle)}


def obstacle_document(obstacle: Obstacle) -> dict[str, Any]:
    """An obstacle as `--json` shows it."""
    return {"kind": obstacle.kind.value, "why": obstacle.message, "until": obstacle.until}


def approval_document(waiting: WaitingApproval) -> dict[str, Any]:
    """A run that waits for a person, as `--json` shows it."""
    approval = waiting.approval
    facts = {"run_id": approval.run_id, "repository": waiting.repository, "skill": waiting.skill}
    return {**facts, "digest": approval.digest, **obstacle_document(why_waiting(approval))}


def held_runs(store: Store, worker: WorkerConfig, now: datetime) -> list[HeldRun]:
    """Every run that no worker has taken, in their order, each with its reason."""
    found = RunQueue(store).waiting()
    if not found:
        return []
    limits = limits_of(worker)
    names = {one.repository for one, _ in found}
    facts = QueueFacts(
        surroundings=TroubleStore(store).surroundings(),
        state=RunQueue(store).state(now, limits.rate_window),
        limits=limits,
        budgets={name: budget_of(store, worker.budget, name, now) for name in names},
    )
    why = why_queued([queued for _, queued in found], facts)
    return [HeldRun(one, why[one.run_id]) for one, _ in found]


def idle_skills(
    store: Store, name: str, repository: str | None, now: datetime
) -> Sequence[tuple[SkillFacts, Obstacle]]:
    """Why nothing runs for the skills of this name, by repository; empty: nobody knows one."""
    around = TroubleStore(store).surroundings()
    return [(one, why_idle(one, around, now)) for one in TroubleStore(store).skills(name, repository)]
