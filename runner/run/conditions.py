"""Asks whether a skill's `run_if` and `skip_if` let it start: the same for every host."""

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.core.model.decision import UnmetCondition
from runner.publish.forges import Forge
from runner.skills import Condition, Skill

_PASSING = frozenset({Reason.FORGE_UNAVAILABLE, Reason.FORGE_RATE_LIMITED, Reason.STORE_FAILED})
"""Errors after which the same question is asked again, and nothing is decided."""


def unmet_condition(skill: Skill, forge: Forge, sha: str) -> UnmetCondition | None:
    """The first condition that keeps the skill from starting; None: none does. `sha` is the head.

    One that cannot be answered keeps it too. Raises RunnerError of the forge where it may answer later.
    """
    asked = [("run_if", one) for one in skill.options.run_if] + [
        ("skip_if", one) for one in skill.options.skip_if
    ]
    for key, condition in asked:
        try:
            is_met, facts = _answer(condition, forge, sha)
        except RunnerError as error:
            if error.retryable or error.reason in _PASSING:
                raise
            return UnmetCondition(f"`{key}` could not be answered: {error.message}", is_unknown=True)
        if is_met is not (key == "run_if"):
            return UnmetCondition(f"`{key}` {'is' if is_met else 'is not'} met: {facts}")
    return None


def _answer(condition: Condition, forge: Forge, sha: str) -> tuple[bool, str]:
    """(whether it is met, what was found)"""
    if condition.query is not None:
        count = forge.count_issues(condition.query)
        return condition.is_met_by_count(count), condition.count_message(count)
    results = forge.check_results(sha)
    return bool(condition.failing_checks(results)), condition.check_message(results)
