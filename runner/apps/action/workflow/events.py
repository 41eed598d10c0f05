"""What starts the workflow: the union of what starts the skills."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.apps.action.workflow.cron import cron_lines
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.skills import Skill
from runner.triggers.github import KINDS

_ALL = ("**",)
_SAME = re.compile(r"[A-Za-z0-9_*.#@-][A-Za-z0-9_*.#@/-]*")
"""Globs that mean the same in GitHub's filter patterns, which read `?`, `+`, `[]` and `!` in another way."""


def events(skills: Sequence[Skill]) -> Mapping[str, Any]:
    """The workflow's `on:`. Raises RunnerError INVALID_SKILL where GitHub cannot serve a skill's trigger.

    Finer filters are decided when the workflow runs, and `run_completed` and `manual` need nothing here:
    every skill can be started by hand.
    """
    found: dict[str, Any] = {}
    for kind in sorted(KINDS):
        if asking := [skill for skill in skills if kind in skill.triggers]:
            found[kind] = _event(kind, asking)
    if hooked := [skill.name for skill in skills if "webhook" in skill.triggers]:
        found["repository_dispatch"] = {"types": hooked}
    if crons := sorted({line for skill in skills for line in _crons(skill)}):
        found["schedule"] = [{"cron": line} for line in crons]
    return {**found, "workflow_dispatch": {"inputs": _inputs(skills)}}


def add_linter_comment(text: str) -> str:
    """The workflow with a word to a linter that calls two triggers insecure whatever a workflow does."""
    for kind in ("issue_comment", "workflow_run"):
        text = text.replace(f"\n  {kind}:\n", f"\n  {kind}: # zizmor: ignore[dangerous-triggers] {_WHY}\n")
    return text


_WHY = "nothing of theirs is checked out, and what strangers wrote is data"


def _crons(skill: Skill) -> list[str]:
    timetable = skill.triggers.get("schedule")
    return [line for schedule in timetable.root for line in cron_lines(schedule)] if timetable else []


def _event(kind: str, skills: Sequence[Skill]) -> Mapping[str, Any] | None:
    asked = [skill.triggers[kind] for skill in skills]
    if kind == "push":
        return _push(asked)
    types = {"types": sorted({one for options in asked for one in options.types})}
    if kind == "workflow_run":
        return {"workflows": _workflows(skills), **types}
    if kind == "pull_request":
        branches = _union(options.branches or _ALL for options in asked)
        return types if branches == [*_ALL] else {**types, "branches": branches}
    return types


def _push(asked: Sequence[Any]) -> Mapping[str, Any] | None:
    sides = [_sides(push) for push in asked]
    branches, tags = (_union(side[place] for side in sides) for place in (0, 1))
    if branches == tags == [*_ALL]:
        return None
    return {name: globs for name, globs in (("branches", branches), ("tags", tags)) if globs}


def _sides(push: Any) -> tuple[Sequence[str], Sequence[str]]:
    """The branches and tags that a trigger asks for: who names only the one means none of the other."""
    if push.branches is not None or push.branches_ignore is not None:
        return push.branches or _ALL, push.tags or ()
    return (_ALL, _ALL) if push.tags is None else ((), push.tags)


def _union(globs: Iterable[Sequence[str]]) -> list[str]:
    """All of the globs, or only `**` where one of them is that."""
    found = {_on_github(glob) for those in globs for glob in those}
    return [*_ALL] if "**" in found else sorted(found)


def _on_github(glob: str) -> str:
    whole = f"{glob}**" if glob.endswith("/") else glob
    return whole if _SAME.fullmatch(whole) else "**"


def _workflows(skills: Sequence[Skill]) -> list[str]:
    for skill in skills:
        if skill.triggers["workflow_run"].workflows is None:
            message = f"{skill.file}: `on.workflow_run` names no workflow, and GitHub needs their names"
            hint = "name them: workflow_run: {workflows: [CI]}"
            raise RunnerError(Phase.LOAD, Reason.INVALID_SKILL, message, hint=hint)
    return sorted({name for skill in skills for name in skill.triggers["workflow_run"].workflows})


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
