"""The limits on what a skill may publish, asked before anything is paid for: the same for every host."""

from collections.abc import Sequence
from datetime import datetime

from runner.core.errors import RunnerError
from runner.core.model import OutputSpec, Phase, Reason, Repository, RunSpec, Trigger
from runner.publish.forges import Forge
from runner.publish.outputs import OUTPUTS, Start
from runner.run.plan import rendered_outputs
from runner.skills import Skill


def reached_limit(skill: Skill, trigger: Trigger, repository: Repository, forge: Forge, now: datetime) -> str:
    """Which limit keeps the skill from starting, in a sentence; empty: none does.

    Where the outputs cannot be rendered, the run itself tells why. Raises RunnerError of the forge.
    """
    try:
        outputs = rendered_outputs(skill, trigger, repository, "", now)
    except RunnerError:
        return ""
    return _reached(outputs, Start(skill=skill.name, trigger=trigger, now=now), forge)


def refuse_beyond_limits(spec: RunSpec, forge: Forge, now: datetime) -> None:
    """Raises RunnerError LIMIT_REACHED where the run may not start now, and what the forge raises."""
    start = Start(skill=spec.skill.name, trigger=spec.trigger, now=now)
    if reached := _reached(spec.outputs, start, forge):
        hint = "nothing was paid for; run it again when there is room"
        raise RunnerError(Phase.PLAN, Reason.LIMIT_REACHED, reached, hint=hint)


def _reached(outputs: Sequence[OutputSpec], start: Start, forge: Forge) -> str:
    return next(filter(None, (OUTPUTS.get(one.kind).hold(one, start, forge) for one in outputs)), "")
