"""`skillrunner new`: a skill that validates as it is, to be filled in."""

from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, place_of_options, say_result
from runner.apps.cli.commands.init import write_errors
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options

_TRIGGERS = {
    "manual": "manual: {}",
    "schedule": 'schedule:\n    - cron: "0 9 * * 1"\n      timezone: UTC\n      catch_up: 6h',
    "release": "release: {types: [published]}",
    "issues": "issues: {types: [labeled], labels: [help-wanted]}",
    "command": "command: {name: NAME}",
    "issue_comment": "issue_comment: {command: /NAME}",
    "pull_request": 'pull_request: {types: [opened, synchronize], paths: ["src/**"]}',
    "pull_request_review": "pull_request_review: {states: [changes_requested]}",
    "pull_request_review_comment": "pull_request_review_comment: {}",
    "push": "push: {branches: [main]}",
}
_HARNESSES = {
    "claude-code": "{kind: claude-code, model: sonnet}",
    "codex": "{kind: codex}",
    "command": '{kind: command, command: ["sh", "-c", "mkdir -p docs && cat > docs/NAME.md"]}',
    "copilot": "{kind: copilot, model: gpt-4.1}",
    "gemini": "{kind: gemini}",
    "opencode": "{kind: opencode, model: gpt-5.5}",
    "oz": "{kind: oz}\nenvironment: {secrets: [WARP_API_KEY]}",
    "qwen": "{kind: qwen, model: qwen3-coder-plus}",
}
_YAML = """\
# yaml-language-server: $schema=https://raw.githubusercontent.com/skillrunner/skillrunner/main/schemas/skill.schema.json
version: 1
description: Say in one line what NAME is for
template: true   # SKILL.md may hold {{ event.x }} and {{ inputs.x }}; without this it is taken as it is
on:
  TRIGGER
harness: HARNESS
limits: {timeout: 30m, idle: 10m}
# Commands that must pass on a clean tree with the patch applied:
verify: []
output:
  pull_request:
    title: "NAME: say what changed"
    paths: ["docs/**"]   # what may change; everything else is refused
    draft: true
"""
_PROMPT = """\
---
name: NAME
description: Say in one line what NAME is for
---

Say what to do, what to leave alone, and when to do nothing.
"""


@click.command()
@click.argument("name")
@click.option("--trigger", type=click.Choice(list(_TRIGGERS)), default="manual", show_default=True)
@click.option("--harness", type=click.Choice(list(_HARNESSES)), default="claude-code", show_default=True)
@json_option
@click.pass_obj
def command(options: "Options", name: str, trigger: str, harness: str, as_json: bool) -> None:
    """Make the skill NAME in the first of the configured skill folders."""
    from runner.skills.loader import NAME

    if NAME.fullmatch(name) is None or len(name) > 64:
        hint = "1-64 characters of a-z, 0-9 and single hyphens between them, such as tidy-imports"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, f"{name!r} is not a skill's name", hint=hint)
    place = place_of_options(options)
    folder = place.local.root / place.config.skills[0] / name
    if folder.exists():
        message = f"{folder.relative_to(place.local.root)} is there already"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="choose another name")
    yaml = _YAML.replace("TRIGGER", _TRIGGERS[trigger]).replace("HARNESS", _HARNESSES[harness])
    written = [str((folder / file).relative_to(place.local.root)) for file in ("skill.yaml", "SKILL.md")]
    with write_errors():
        folder.mkdir(parents=True)
        for file, text in (("skill.yaml", yaml), ("SKILL.md", _PROMPT)):
            (folder / file).write_text(text.replace("NAME", name))
    following = f"write the instructions, then skillrunner validate, then skillrunner run {name} --dry-run"
    lines = [*(f"wrote {one}" for one in written), f"next: {following}"]
    say_result(as_json, "\n".join(lines), name=name, written=written)
