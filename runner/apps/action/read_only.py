"""What is left where GitHub gives a workflow a token that can only read: forks, and Dependabot. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.apps.action.job_input import JobInput
from runner.core.model.decision import Cause, Decision, History, Verdict
from runner.core.payload import text_at, value_at
from runner.scheduler.ledger import DecideFunction
from runner.skills import Skill

READ_ONLY = (
    "GitHub lets this workflow's token only read, as it comes from a fork or from Dependabot: decisions are"
    " not recorded, and skills that publish anything are not started"
)
_PUBLISHES = "it publishes, and the token of this workflow may only read: it comes from a fork or Dependabot"


def gets_read_only_token(job: JobInput) -> bool:
    """Whether GitHub gives the job no other token, whatever its `permissions` say."""
    if text_at(job.payload, "sender", "login") == "dependabot[bot]" or job.actor == "dependabot[bot]":
        return True
    there = text_at(job.payload, "pull_request", "head", "repo", "full_name")  # none where the fork is gone
    is_pull_request = isinstance(value_at(job.payload, "pull_request"), Mapping)
    return is_pull_request and there.lower() != job.repository.lower()


def without_publishing(decide: DecideFunction, skills: Mapping[str, Skill]) -> DecideFunction:
    """The decisions without starts of skills that publish anything."""

    def decided(history: History) -> Sequence[Decision]:
        return [_refused(one) if _is_vain(one, skills) else one for one in decide(history)]

    return decided


def _is_vain(one: Decision, skills: Mapping[str, Skill]) -> bool:
    return one.verdict is Verdict.STARTED and (one.skill not in skills or skills[one.skill].publishes)


def _refused(one: Decision) -> Decision:
    return replace(one, verdict=Verdict.SKIPPED, cause=Cause.ACTOR, message=_PUBLISHES, expires=None)
