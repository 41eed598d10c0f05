"""The workflow's `on:`, the union of the skills' triggers."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.skills import Skill
from runner.triggers import TRIGGERS, SkillTrigger, action_triggers

_LAST = ("repository_dispatch", "schedule")
"""Ways to start that are no event of the repository."""


def events(skills: Sequence[Skill]) -> Mapping[str, Any]:
    """The workflow's `on:`. Raises RunnerError INVALID_SKILL where GitHub cannot serve a skill's trigger.

    Each trigger says what it listens to. Every skill can be started by hand besides.
    """
    found: dict[str, Any] = {}
    for name, trigger in TRIGGERS.all().items():
        found |= trigger.workflow_events(
            [
                SkillTrigger(skill=skill.name, file=skill.file, options=options)
                for skill in skills
                for options in skill.listeners(name)
            ]
        )
    ordered = sorted(found, key=lambda event: (event in _LAST, event))
    return {**{event: found[event] for event in ordered}, "workflow_dispatch": {"inputs": _inputs(skills)}}


def add_linter_comment(text: str) -> str:
    """The workflow with a word to a linter that calls some triggers insecure whatever a workflow does."""
    for event, trigger in action_triggers().items():
        if trigger.is_privileged:
            text = text.replace(
                f"\n  {event}:\n", f"\n  {event}: # zizmor: ignore[dangerous-triggers] {_WHY}\n"
            )
    return text


_WHY = "nothing of theirs is checked out, and what strangers wrote is data"


def _inputs(skills: Sequence[Skill]) -> Mapping[str, Any]:
    return {
        "skill": {
            "description": "The skill to run; empty, whatever is due",
            "type": "choice",
            "options": ["", *(skill.name for skill in skills)],
            "default": "",
        },
        "inputs": {
            "description": "The inputs of the skill, as a JSON object",
            "type": "string",
            "default": "",
        },
    }
