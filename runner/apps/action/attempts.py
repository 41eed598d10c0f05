"""What a workflow that somebody runs again decides: its own causes once more, and nobody else's. Pure.

GitHub runs all jobs again, or those that failed; the number of the attempt is part of each key then.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from runner.apps.action.event import first_key
from runner.apps.action.job_input import JobInput
from runner.core.model.decision import Decision, History, Verdict
from runner.scheduler.decide import decide_slot_again
from runner.skills import Skill


def host_of(job: JobInput) -> str:
    """The host of the decisions of one workflow run, whatever its attempt."""
    return f"action:{job.run_id}"


def without_attempts(job: JobInput, history: History) -> History:
    """The history without the active runs of this workflow run's earlier attempts, which have all ended.

    Nor do earlier starts count for a cooldown: somebody asks for it again.
    """
    if job.attempt == 1:
        return history
    active = {name: one for name, one in history.active.items() if one.host != host_of(job)}
    return replace(history, active=active, last_starts={}, actor_starts={})


def decide_again(
    job: JobInput, skills: Mapping[str, Skill], history: History, now: datetime
) -> list[Decision]:
    """One decision for each slot that an earlier attempt started: somebody asked for it again."""
    if job.attempt == 1:
        return []
    known = without_attempts(job, history)
    return [
        decide_slot_again(skills[one.skill], one, f"{key}#{job.attempt}", known, now)
        for (_, key), one in _started(job, history).items()
        if one.skill in skills
    ]


def _started(job: JobInput, history: History) -> Mapping[tuple[str, str], Decision]:
    """By skill, and the key of its first attempt: each slot that this workflow run started."""
    begun = (Verdict.STARTED, Verdict.FAILED_TO_START)
    return {
        (one.skill, first_key(job, one.key)): one
        for one in history.decisions.values()
        if one.host == host_of(job) and one.trigger == "schedule" and one.verdict in begun
    }
