"""The checks of `skillrunner doctor --action`: workflows that use the Action, their secrets, the token."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.apps.action.preflight import (
    Danger,
    action_steps,
    dangers,
    overrides,
    uses_action,
    uses_default_token,
)
from runner.apps.action.workflow_file import (
    MAX_FILE,
    TokenPermissions,
    UnreadableFile,
    WorkflowJob,
    WorkflowStep,
    read_workflow,
)
from runner.core.model import DoctorLine
from runner.harnesses import model_of
from runner.publish.outputs import OUTPUTS

if TYPE_CHECKING:
    from runner.run.place import LocalPlace
    from runner.skills import Skill

FOLDER = Path(".github/workflows")
_OURS = re.compile(rb"^name:\s*[\"']?skillrunner\b", re.IGNORECASE | re.MULTILINE)


def check_workflows(place: "LocalPlace") -> Iterator[DoctorLine]:
    """Every danger in every workflow that uses the Action."""
    files = _files(place.local.root)
    if not files:
        message = f"no workflow in {FOLDER} uses the Action: nothing runs in GitHub"
        yield DoctorLine(ok=True, subject="workflow", message=message, hint="skillrunner workflow sync")
    for file, raw in files.items():
        found = dangers(file, raw, _action(place.local.root))
        allowed = {name for _, step in _steps({file: raw}, place) for name in _allowed(step)}
        yield from (_finding(danger, allowed) for danger in found)
        if not any(danger.fatal for danger in found):
            yield DoctorLine(ok=True, subject="workflow", message=f"{file}: the Action runs from it")


def check_secrets(place: "LocalPlace") -> Iterator[DoctorLine]:
    """Which secrets the skills need, and whether a workflow hands them to the Action."""
    steps = [step for _, step in _steps(_files(place.local.root), place)]
    handed = {name for step in steps for name in (*step.env, *step.inputs)}
    needed = _needed(place)
    for name, skills in sorted(needed.items()):
        there = name in handed or _input(name) in handed
        message = (
            f"{name}, for {', '.join(sorted(skills))}: {'handed' if there else 'not handed'} to the Action"
        )
        line = f"`env: {{{name}: ${{{{ secrets.{name} }}}}}}`"
        hint = "" if there else f"gh secret set {name}, and in the Action's step: {line}"
        yield DoctorLine(ok=there or not steps, subject="secret", message=message, hint=hint)
    if not needed:
        yield DoctorLine(ok=True, subject="secret", message="the skills need none")


def check_token(place: "LocalPlace") -> Iterator[DoctorLine]:
    """What the token needs, and which jobs state less than what they do needs."""
    skills = _skills(place)
    wanted = _words(_rights(skills.values()))
    message = (
        f"it needs {wanted}; a GitHub App also metadata: read; neither needs workflows or administration"
    )
    yield DoctorLine(ok=True, subject="token", message=message)
    for job, step in _steps(_files(place.local.root), place):
        needed = _rights(_skills_of(step, skills))
        lacking = {
            scope: level for scope, level in needed.items() if not _allows(job.permissions, scope, level)
        }
        if lacking and uses_default_token(step):
            message = f"the job `{job.name}` uses GitHub's default token, which lacks {_words(lacking)}"
            hint = f"`permissions: {{{_words(needed)}}}`"
            yield DoctorLine(ok=False, subject="token", message=message, hint=hint)


def _skills_of(step: WorkflowStep, skills: Mapping[str, "Skill"]) -> Collection["Skill"]:
    """The skills that a step may run: none where it only decides, one where it names it, else all."""
    if "command" in step.inputs and step.inputs["command"].value in ("plan", "doctor"):
        return ()
    named = step.inputs["skill"].value if "skill" in step.inputs else ""
    return (skills[named],) if named in skills else skills.values()


def _rights(skills: Iterable["Skill"]) -> Mapping[str, str]:
    """What the token must be allowed: to keep decisions, and for each output; `write` includes `read`."""
    rights = {"contents": "write"}
    outputs = [(OUTPUTS.get(kind), options) for skill in skills for kind, options in skill.outputs.items()]
    for one in (output.permissions_for(options) for output, options in outputs):
        rights |= {scope: level for scope, level in one.items() if rights.get(scope) != "write"}
    return dict(sorted(rights.items()))


def _words(rights: Mapping[str, str]) -> str:
    return ", ".join(f"{scope}: {level}" for scope, level in rights.items())


def _allows(stated: TokenPermissions | None, scope: str, level: str) -> bool:
    if stated is None or stated.everything == "write-all":
        return True
    found = stated.scopes[scope].value if scope in stated.scopes else ""
    return found in ("write", level)


CHECKS = (check_workflows, check_secrets, check_token)


def _finding(danger: Danger, allowed: set[str]) -> DoctorLine:
    if not danger.fatal:
        return DoctorLine(ok=True, subject="workflow", message=str(danger), hint=danger.hint)
    if danger.rule in allowed:
        return DoctorLine(ok=True, subject="workflow", message=f"{danger} (allowed there)", hint=danger.hint)
    hint = f"{danger.hint}; or, where you know better, the input `allow: {danger.rule}`"
    return DoctorLine(ok=False, subject="workflow", message=str(danger), hint=hint)


def _allowed(step: WorkflowStep) -> list[str]:
    return overrides(step.inputs["allow"].value) if "allow" in step.inputs else []


def _files(root: Path) -> Mapping[str, bytes]:
    """The workflows of the working tree that use the Action."""
    paths = [path for path in sorted((root / FOLDER).glob("*.y*ml")) if path.is_file()]
    contents = {str(FOLDER / path.name): _read(path) for path in paths}
    return {file: raw for file, raw in contents.items() if uses_action(raw, _action(root))}


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE + 1)


def _action(root: Path) -> str:
    """The Action's name in this repository, which may be the one that holds it."""
    path = root / "action.yml"
    return "./" if path.is_file() and _OURS.search(_read(path)) else "skillrunner/skillrunner"


def _steps(files: Mapping[str, bytes], place: "LocalPlace") -> Iterator[tuple[WorkflowJob, WorkflowStep]]:
    """The steps that use the Action, each with the settings of its job and workflow."""
    for file, raw in files.items():
        try:
            workflow = read_workflow(file, raw)
        except UnreadableFile:
            continue
        for job in workflow.jobs:
            whole = replace(job, permissions=job.permissions or workflow.permissions)
            for step in action_steps(job, _action(place.local.root)):
                yield whole, replace(step, env={**workflow.env, **job.env, **step.env})


def _skills(place: "LocalPlace") -> Mapping[str, "Skill"]:
    from runner.skills import load
    from runner.skills.discover import discover

    return load(discover(place.local.root, place.config.skills).files).skills


def _needed(place: "LocalPlace") -> Mapping[str, set[str]]:
    """The secret -> the skills, or kinds of harness, that need it."""
    needed: dict[str, set[str]] = defaultdict(set)
    for skill in _skills(place).values():
        for name in skill.options.environment.secrets:
            needed[name].add(skill.name)
        model = model_of(skill.options.harness)
        if model is not None:
            for name in (model.key_variable, *place.config.other_keys(skill.options.harness.kind)):
                needed[name].add(skill.name)
    return needed


def _input(secret: str) -> str:
    """The Action's input of a model's key: ANTHROPIC_API_KEY is `anthropic-api-key`."""
    return secret.lower().replace("_", "-")
