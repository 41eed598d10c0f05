"""Skills -> the workflow file that runs them in GitHub Actions, with no more rights than they need. Pure.

One job decides what is due; each skill has a job of its own, so that it gets its own secrets, permissions and
time limit, and no other skill's. Nothing in the file holds a value of an event.
"""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from runner import plugins
from runner.errors import RunnerError
from runner.model import Limits, Phase, Reason
from runner.skill import Skill
from runner.triggers.pokes import pokes

FILE = ".github/workflows/skillrunner.yml"

_SPARE = 15  # minutes for the workspace and for publishing, which no limit of a skill counts
_SETTINGS = "# settings: "
_TYPED = ("release", "issues", "issue_comment", "pull_request", "workflow_run", "check_run")
_JUSTIFIED = dict.fromkeys(
    ("issue_comment", "workflow_run"),
    " # zizmor: ignore[dangerous-triggers] nothing is checked out, and what strangers wrote is data",
)
"""What a linter calls insecure in any case, because most workflows then run a stranger's code."""

_PERMISSIONS = {"pull_request": ("contents", "pull-requests"), "none": ("contents",)}
"""What each output writes. Every job writes contents: decisions are kept in a git ref."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How the workflow uses the Action."""

    action: str  # "OWNER/skillrunner@<40 hexadecimal digits> # v1.2.3"
    app: bool = False  # publish as a GitHub App, whose id and key are in the repository's settings
    runs_on: str = "ubuntu-latest"
    sandbox: str = ""
    config: str = ""


def settings(text: str) -> Use | None:
    """How a file that was written here uses the Action; None where none was."""
    for line in text.splitlines():
        if line.startswith(_SETTINGS):
            return Use(**json.loads(line.removeprefix(_SETTINGS)))
    return None


def render(skills: Mapping[str, Skill], use: Use) -> str:
    """The text of the workflow file. Raises RunnerError: no skill, or one that GitHub cannot serve."""
    wanted = [skill for _, skill in sorted(skills.items()) if skill.options.enabled]
    if not wanted:
        hint = "commit a skill with `enabled: true` first: skillrunner new NAME"
        raise RunnerError(Phase.PLAN, Reason.SKILL_NOT_FOUND, "there is no enabled skill", hint=hint)
    lines = [
        *_head(use),
        *_on(wanted),
        "",
        "permissions: {}",
        "",
        "jobs:",
        *_plan(use),
        *(line for skill in wanted for line in _job(skill, skills, use)),
    ]
    return "\n".join(lines) + "\n"


def secrets(skill: Skill, skills: Mapping[str, Skill]) -> list[str]:
    """The names of the secrets that the skill's job needs, also those of skills that follow its runs."""
    names: set[str] = set()
    for one in _chain(skill, skills):
        names |= set(one.options.environment.secrets)
        model = plugins.module("harnesses", one.options.harness.kind).MODEL
        if model is not None:
            names.add(model.key_variable)
    return sorted(names)


def _chain(skill: Skill, skills: Mapping[str, Skill]) -> list[Skill]:
    """The skill, and those that run in its job because they follow it, directly or not."""
    found, waiting = {skill.name: skill}, [skill.name]
    while waiting:
        name = waiting.pop()
        for one in skills.values():
            follows = one.triggers.get("run_completed")
            if follows is not None and follows.skill == name and one.name not in found:
                found[one.name] = one
                waiting.append(one.name)
    return list(found.values())


def _head(use: Use) -> Iterator[str]:
    said = {key: value for key, value in asdict(use).items() if value}
    yield "# Written by `skillrunner workflow sync` from the skills: run it again when they change."
    yield "# `skillrunner workflow sync --check` fails where the file and the skills differ."
    yield f"{_SETTINGS}{json.dumps(said, sort_keys=True)}"
    yield from ("name: Skillrunner", "")


# --- on -----------------------------------------------------------------------------------------------


def _on(skills: Collection[Skill]) -> Iterator[str]:
    yield "on:"
    for kind in _TYPED:
        if asked := _asked(skills, kind):
            yield f"  {kind}:{_JUSTIFIED.get(kind, '')}"
            yield f"    types: {_list({name for one, _ in asked for name in one.types})}"
            if kind == "workflow_run":
                yield f"    workflows: {_list(_workflows(asked))}"
    if pushes := [one for one, _ in _asked(skills, "push")]:
        yield from _push(pushes)
    if hooks := [skill.name for skill in skills if "webhook" in skill.triggers]:
        yield from ("  repository_dispatch:", f"    types: {_list(hooks)}")
    if lines := _crons(skills):
        yield "  schedule:"
        yield from (f"    - cron: {_quoted(line)}" for line in lines)
    yield from _dispatch([skill.name for skill in skills])


def _asked(skills: Collection[Skill], kind: str) -> list[tuple[Any, Skill]]:
    return [(skill.triggers[kind], skill) for skill in skills if kind in skill.triggers]


def _workflows(asked: Collection[tuple[Any, Skill]]) -> set[str]:
    """GitHub must be told the names: it has no way to say all of them."""
    for one, skill in asked:
        if one.workflows is None:
            message = f"{skill.file}: `on.workflow_run` names no workflows, and GitHub's workflows must"
            hint = "write `workflows: [CI]`, with the names of the workflows that it follows"
            raise RunnerError(Phase.PLAN, Reason.INVALID_SKILL, message, hint=hint)
    return {name for one, _ in asked for name in one.workflows}


def _push(pushes: Collection[Any]) -> Iterator[str]:
    """Branches and tags only where every skill restricts them; the rest is decided when it comes."""
    yield "  push:"
    if all(_says_the_same(one) for one in pushes):
        for key in ("branches", "tags"):
            if names := {name for one in pushes for name in getattr(one, key) or ()}:
                yield f"    {key}: {_list(names)}"


def _says_the_same(push: Any) -> bool:
    """Whether GitHub's own filters can say what the skill's say: its patterns know other signs."""
    names = (*(push.branches or ()), *(push.tags or ()))
    return bool(names) and all(re.fullmatch(r"[\w./*-]+", name) for name in names)


def _crons(skills: Collection[Skill]) -> list[str]:
    timetables = [skill.triggers["schedule"].root for skill in skills if "schedule" in skill.triggers]
    return sorted({line for lines in timetables for schedule in lines for line in pokes(schedule)})


def _dispatch(names: Collection[str]) -> Iterator[str]:
    yield "  workflow_dispatch:"
    yield "    inputs:"
    yield "      skill:"
    yield "        description: A skill to run now; empty, whatever is due"
    yield "        type: choice"
    yield f"        options: {json.dumps(['', *sorted(names)])}"
    yield '        default: ""'
    yield "      inputs:"
    yield "        description: The skill's inputs, as a JSON object"
    yield "        type: string"
    yield '        default: ""'


# --- jobs ---------------------------------------------------------------------------------------------


def _plan(use: Use) -> Iterator[str]:
    yield "  plan:"
    yield f"    runs-on: {use.runs_on}"
    yield "    timeout-minutes: 10"
    yield "    permissions:"
    yield "      contents: write # decisions are kept in the ref refs/skillrunner/state"
    yield "    outputs:"
    yield "      runs: ${{ steps.plan.outputs.runs }}"
    yield "    steps:"
    yield from _step(use, {"command": "plan"}, (), "plan")


def _job(skill: Skill, skills: Mapping[str, Skill], use: Use) -> Iterator[str]:
    runs = f"fromJSON(needs.plan.outputs.runs)['{skill.name}']"
    yield ""
    yield f"  {skill.name}:"
    yield "    needs: plan"
    yield f"    if: ${{{{ {runs} != null }}}}"
    yield f"    runs-on: {use.runs_on}"
    yield f"    timeout-minutes: {sum(map(_minutes, _chain(skill, skills)))}"
    yield from _concurrency(skill)
    yield "    permissions:"
    for permission in _permissions(skill, skills):
        yield f"      {permission}: write"
    yield "    strategy:"
    yield "      fail-fast: false"
    yield "      matrix:"
    yield f"        key: ${{{{ {runs} }}}}"
    yield "    steps:"
    given = {"command": "run", "skill": skill.name, "key": "${{ matrix.key }}"}
    yield from _step(use, given, secrets(skill, skills), "")


def _minutes(skill: Skill) -> int:
    limits = skill.options.limits.over(Limits())
    return math.ceil(limits.timeout * limits.attempts / 60) + _SPARE


def _concurrency(skill: Skill) -> Iterator[str]:
    """Where runs of the skill wait for each other, GitHub makes them wait; `skip` is decided by us."""
    if skill.options.overlap != "skip":
        yield "    concurrency:"
        yield f"      group: skillrunner-{skill.name}"
        yield f"      cancel-in-progress: {str(skill.options.overlap == 'cancel_running').lower()}"


def _permissions(skill: Skill, skills: Mapping[str, Skill]) -> list[str]:
    kinds = {one.output[0] for one in _chain(skill, skills)}
    return sorted({name for kind in kinds for name in _PERMISSIONS[kind]})


def _step(use: Use, given: Mapping[str, str], env: Collection[str], name: str) -> Iterator[str]:
    yield f"      - uses: {use.action}"
    if name:
        yield f"        id: {name}"
    yield "        with:"
    for key, value in {**given, **_always(use)}.items():
        yield f"          {key}: {value}"
    if env:
        yield "        env:"
        yield from (f"          {one}: ${{{{ secrets.{one} }}}}" for one in env)


def _always(use: Use) -> Mapping[str, str]:
    said = {
        "config": _quoted(use.config) if use.config else "",
        "sandbox": use.sandbox,
        "app-id": "${{ vars.SKILLRUNNER_APP_ID }}" if use.app else "",
        "app-private-key": "${{ secrets.SKILLRUNNER_APP_PRIVATE_KEY }}" if use.app else "",
    }
    return {key: value for key, value in said.items() if value}


def _list(names: Collection[str]) -> str:
    return json.dumps(sorted(names), ensure_ascii=False)


def _quoted(text: str) -> str:
    return json.dumps(text)
