"""Skills -> the text of the GitHub workflow that runs them, with exactly what they need. Pure.

GitHub's rules stand in its "Workflow syntax for GitHub Actions" and "Events that trigger workflows".
"""

from collections.abc import Mapping

from runner.apps.action.workflow.events import add_linter_comment, events
from runner.apps.action.workflow.jobs import APP_ID, APP_KEY, jobs, secrets
from runner.apps.action.workflow.text import emit
from runner.apps.action.workflow.use import FILE, FIND_ACTION, Use, choices, header_comment
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.skills import Skill

__all__ = [
    "APP_ID",
    "APP_KEY",
    "FILE",
    "FIND_ACTION",
    "Use",
    "choices",
    "enabled_skills",
    "render",
    "secrets",
]


def render(skills: Mapping[str, Skill], use: Use) -> str:
    """The workflow for all enabled `skills`. Raises RunnerError: none is, or GitHub cannot serve one."""
    served = enabled_skills(skills)
    if not served:
        hint = f"make one with `skillrunner new NAME`, or delete {FILE}"
        raise RunnerError(Phase.LOAD, Reason.SKILL_NOT_FOUND, "there is no enabled skill to run", hint=hint)
    workflow = {
        "name": "Skillrunner",
        "on": events(served),
        "permissions": {},
        "jobs": jobs(served, use),
    }
    return header_comment(use) + add_linter_comment(emit(workflow))


def enabled_skills(skills: Mapping[str, Skill]) -> list[Skill]:
    """The skills that a workflow runs, by name."""
    return [skill for _, skill in sorted(skills.items()) if skill.options.enabled]
