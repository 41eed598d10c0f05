"""`skillrunner workflow`: the GitHub workflow that the skills of the repository need."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import json_option, say_result
from runner.apps.terminal import say
from runner.core.errors import ExitCode, RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from runner.apps.action.workflow import Use
    from runner.apps.cli.commands import Options
    from runner.skills import Skill


@click.group()
def command() -> None:
    """Work with the GitHub workflow of the skills."""


@command.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and a diff where the file is not so.")
@click.option("--action", metavar="REF", help="The action: OWNER/skillrunner@COMMIT # TAG, or ./")
@click.option("--app/--no-app", default=None, help="Publish as a GitHub App, whose pull requests start CI.")
@click.option("--runs-on", metavar="LABEL", help="The runners that the jobs run on.")
@click.option("--sandbox", help="What isolates the harnesses.")
@click.option(
    "--plugin", "plugins", multiple=True, metavar="NAME==VERSION", help="A package to install besides."
)
@json_option
@click.pass_context
def sync(
    context: click.Context, /, check: bool, plugins: tuple[str, ...], as_json: bool, **chosen: Any
) -> None:
    """Write .github/workflows/skillrunner.yml with exactly what the enabled skills need.

    What is not given stays as it is in the file that is there.
    """
    from runner.apps.action.workflow import FILE, enabled_skills, render
    from runner.clients.git import discover

    root = discover(context.obj.root).root
    present = _present(root / FILE)
    chosen["plugins"] = "\n".join(plugins) if plugins else None
    skills, use = _look(root, context.obj, present, chosen)
    text = render(skills, use)
    if check and not as_json:
        context.exit(_compare(present, text))
    is_current, needs = text == present, [*_missing_action(root, use), *_needs(enabled_skills(skills), use)]
    if not is_current and not check:
        _write(root / FILE, text)
    told = [f"wrote {FILE}", *needs, f"next: git add {FILE} && git commit"]
    text = f"{FILE} is up to date" if is_current else "\n".join(told)
    facts = {"file": FILE, "up_to_date": is_current, "written": not is_current and not check, "needs": needs}
    say_result(as_json, text, **facts)
    if check and not is_current:
        context.exit(ExitCode.FAILED)


def _missing_action(root: Path, use: Use) -> Iterator[str]:
    """The warning of a workflow that uses an action of this repository which is not there."""
    if use.action == "./" and not any((root / name).is_file() for name in ("action.yml", "action.yaml")):
        yield "warning: --action ./ is for the repository of the action, and this one has no action.yml"


def _present(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}"
        raise RunnerError(
            Phase.LOAD, Reason.INVALID_INPUT, message, hint="move it away, or delete it"
        ) from error


def _look(
    root: Path, options: Options, present: str, chosen: Mapping[str, Any]
) -> tuple[Mapping[str, Skill], Use]:
    """The skills of the working tree, and how their workflow uses the action."""
    from runner.apps.action.workflow import FIND_ACTION, Use, choices
    from runner.config.settings import load_config
    from runner.core.model import Limits
    from runner.publish.signing import KEY_VARIABLE

    kept = choices(present) if present else {}
    given = {**chosen, "config": _inside(root, options.config)}
    use = {**kept, **{name: value for name, value in given.items() if value is not None}}
    if "action" not in use:
        message = "which action the workflow is to use is not known"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=FIND_ACTION)
    config = load_config(root, file=root / use["config"] if use.get("config") else None)
    identities = frozenset(name for name, source in config.secrets.items() if source.oidc)
    limits = config.limits.merge(Limits())
    others = {kind: config.other_keys(kind) for kind in config.harnesses}
    signed = config.policy.signed_marks or KEY_VARIABLE in config.secrets
    own = Use(**use, limits=limits, identities=identities, other_keys=others, signed=signed)
    return _skills(root, config.skills), own


def _inside(root: Path, config: Path | None) -> str | None:
    """The configuration file as the workflow names it."""
    if config is None:
        return None
    path = config.resolve()
    if not path.is_relative_to(root.resolve()):
        message = f"--config {config} lies outside of {root}, where no workflow finds it"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="commit it to the repository")
    return path.relative_to(root.resolve()).as_posix()


def _skills(root: Path, folders: Sequence[str]) -> Mapping[str, Skill]:
    from runner.config.documents import raise_faults
    from runner.skills import load
    from runner.skills.discover import discover

    found = discover(root, folders)
    loaded = load(found.files)
    if faults := [*found.faults, *loaded.faults]:
        raise_faults(faults, Phase.LOAD, Reason.INVALID_SKILL)
    return loaded.skills


def _compare(present: str, text: str) -> ExitCode:
    from runner.apps.action.workflow import FILE

    if present == text:
        say(f"{FILE} is up to date")
        return ExitCode.OK
    before, after = present.splitlines(), text.splitlines()
    for line in difflib.unified_diff(before, after, FILE, "what the skills need", lineterm=""):
        say(line)
    say(f"error: {FILE} is not what the skills need", err=True)
    say("hint: skillrunner workflow sync", err=True)
    return ExitCode.FAILED


def _write(path: Path, text: str) -> None:
    from runner.apps.cli.commands.init import write_errors

    with write_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _needs(skills: Sequence[Skill], use: Use) -> Iterator[str]:
    """What must be set on GitHub, for the workflow to work."""
    from runner.apps.action.workflow import APP_ID, APP_KEY, secrets
    from runner.publish.outputs import OUTPUTS
    from runner.publish.signing import KEY_VARIABLE

    named = {name for skill in skills for name in secrets(skill, use)} | ({APP_KEY} if use.app else set())
    named |= {KEY_VARIABLE} if use.signed else set()
    outputs = [(OUTPUTS.get(kind), options) for skill in skills for kind, options in skill.outputs.items()]
    labels = {label for one, options in outputs for label in one.labels(options) if "{" not in label}
    if named:
        yield f"secrets that must be in the repository's settings: {', '.join(sorted(named))}"
    if use.app:
        yield f"variable that must be in the repository's settings: {APP_ID}"
    elif any("pull-requests" in one.permissions for one, _ in outputs):
        yield 'to be ticked in the settings: "Allow GitHub Actions to create and approve pull requests"'
    if labels:
        yield f"labels that must be there: {', '.join(sorted(labels))}"
