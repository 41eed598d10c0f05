"""The workflow's jobs: one that decides, and one for each skill, with what that skill needs and no more."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runner.apps.action.workflow.text import Verbatim
from runner.apps.action.workflow.use import Use
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.harnesses import model_of
from runner.publish.outputs import OUTPUTS
from runner.publish.signing import KEY_VARIABLE
from runner.skills import Skill

_CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
APP_ID, APP_KEY = "SKILLRUNNER_APP_ID", "SKILLRUNNER_APP_PRIVATE_KEY"
"""The variable and the secret by which a workflow is a GitHub App."""

_PLAN = "plan"
_SPARE = 15  # minutes, for what no limit of a skill counts: setting up and publishing
_RECORD = {"contents": "write"}
"""What every job needs of the token: decisions are recorded in a git ref of the repository."""

_SEARCH, _CHECKS = ("issues", "pull-requests"), ("checks", "statuses")
"""What conditions read."""

_IDENTITY = {"id-token": "write"}
"""What a job needs of it besides, where a secret is the job's own identity token."""

_OVERLAP: Mapping[str, Mapping[str, Any]] = {
    "skip": {},  # decided before the job starts
    "queue": {"cancel-in-progress": False, "queue": "max"},  # without `max` a third run cancels the second
    "cancel_running": {"cancel-in-progress": True},
}


_SUBJECT = "${{ needs.plan.outputs.subject }}"
"""What the event is about, so that a run on another issue is no overlap; empty for schedules."""


def jobs(skills: Sequence[Skill], use: Use) -> Mapping[str, Any]:
    """The workflow's `jobs:`. Raises RunnerError INVALID_SKILL where a secret cannot be one on GitHub."""
    return {
        _PLAN: _plan(skills, use),
        **{_id(skill): _job(skill, chain(skill, skills), use) for skill in skills},
    }


def chain(skill: Skill, skills: Sequence[Skill]) -> list[Skill]:
    """The skill, and those that run in its job because they follow it, directly or not."""
    found = [skill]
    for one in found:
        for other in skills:
            if other.follows == one.name and other not in found:
                found.append(other)
    return found


def secrets(skill: Skill, use: Use) -> list[str]:
    """The names of the secrets that a skill's job sees: its own, and the keys of its harness's model."""
    own = skill.options.environment.secrets
    for name in own:
        if name.upper().startswith("GITHUB_") or name.upper() in (APP_KEY, KEY_VARIABLE):
            message = (
                f"{skill.file}: `environment.secrets` holds {name}: no skill can have that one on GitHub"
            )
            hint = "make a secret of another name, with no more rights than the skill needs"
            raise RunnerError(Phase.LOAD, Reason.INVALID_SKILL, message, hint=hint)
    model = model_of(skill.options.harness)
    keys = [model.key_variable, *use.other_keys.get(skill.options.harness.kind, ())] if model else []
    return sorted({*own, *keys})


def _plan(skills: Sequence[Skill], use: Use) -> Mapping[str, Any]:
    return {
        "runs-on": use.runs_on,
        "timeout-minutes": 10,
        "permissions": _strongest([_RECORD, *map(_asking, skills)]),
        "outputs": {name: f"${{{{ steps.plan.outputs.{name} }}}}" for name in ("runs", "subject")},
        "steps": _steps(use, {"command": "plan"}, {"id": "plan"}, {}),
    }


def _id(skill: Skill) -> str:
    """The id of a skill's job, which must begin with a letter or `_`; no skill's name has a `_`."""
    return skill.name if skill.name[0].isalpha() and skill.name != _PLAN else f"_{skill.name}"


def _job(skill: Skill, chained: Sequence[Skill], use: Use) -> Mapping[str, Any]:
    keys = f"fromJSON(needs.plan.outputs.runs)['{skill.name}']"
    named = {name for one in chained for name in secrets(one, use)}
    env = {name: f"${{{{ secrets.{name} }}}}" for name in sorted(named - use.identities)}
    published = _strongest([*map(_publishing, chained), *map(_asking, chained)])
    identity = _IDENTITY if named & use.identities else {}
    overlap = _OVERLAP[skill.options.overlap]
    return {
        "needs": _PLAN,
        "if": keys,  # a list is true, nothing is not
        "runs-on": use.runs_on,
        "timeout-minutes": sum(_minutes(one, use) for one in chained),
        "permissions": {**_RECORD, **published, **identity},
        **({"concurrency": {"group": f"skillrunner-{skill.name}/{_SUBJECT}", **overlap}} if overlap else {}),
        "strategy": {"fail-fast": False, "matrix": {"key": f"${{{{ {keys} }}}}"}},
        "steps": _steps(use, {"command": "run", "skill": skill.name, "key": "${{ matrix.key }}"}, {}, env),
    }


def _minutes(skill: Skill, use: Use) -> int:
    limits = skill.options.limits.merge(use.limits)
    return math.ceil(limits.timeout * limits.attempts / 60) + _SPARE


def _publishing(skill: Skill) -> Mapping[str, str]:
    """What the token must be allowed for the skill's outputs; `write` includes `read`."""
    outputs = skill.outputs.items()
    return _strongest([OUTPUTS.get(kind).permissions_for(options) for kind, options in outputs])


def _asking(skill: Skill) -> Mapping[str, str]:
    """What the token must be allowed for the skill's conditions."""
    asked = (*skill.options.run_if, *skill.options.skip_if)
    rights = [right for one in asked for right in (_SEARCH if one.query is not None else _CHECKS)]
    return dict.fromkeys(rights, "read")


def _strongest(several: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """The rights of all; of two levels the last one counts: "write" comes after "read"."""
    return dict(sorted({right for one in several for right in one.items()}))


def _steps(
    use: Use, inputs: Mapping[str, str], before: Mapping[str, str], env: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    chosen = {"config": use.config, "plugins": use.plugins or None, "sandbox": use.sandbox}
    if use.app:
        chosen["app-id"] = f"${{{{ vars.{APP_ID} }}}}"
        chosen["app-private-key"] = f"${{{{ secrets.{APP_KEY} }}}}"
    if use.signed:
        env = {**env, KEY_VARIABLE: f"${{{{ secrets.{KEY_VARIABLE} }}}}"}
    step = {
        **before,
        "uses": Verbatim(use.action),
        "with": {**inputs, **{name: value for name, value in chosen.items() if value is not None}},
        **({"env": env} if env else {}),
    }
    checkout = {"uses": Verbatim(_CHECKOUT), "with": {"persist-credentials": False}}
    return [checkout, step] if use.action == "./" else [step]
