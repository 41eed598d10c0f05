"""`skillrunner workflow`: the file by which GitHub Actions runs the skills."""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.commands import here
from runner.commands.init import writing
from runner.errors import ExitCode, RunnerError
from runner.model import Phase, Reason

if TYPE_CHECKING:
    from runner.commands import Options
    from runner.skill import Loaded
    from runner.wire import Here
    from runner.workflow import Use


@click.group()
def command() -> None:
    """Work with the workflow file that runs the skills in GitHub Actions."""


@command.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where the file and the skills differ.")
@click.option("--action", help="The Action: OWNER/skillrunner@COMMIT.")
@click.option("--app/--no-app", default=None, help="Publish as a GitHub App, so that pull requests start CI.")
@click.option("--runs-on", help="The label of the runners.  [default: ubuntu-latest]")
@click.option("--sandbox", help="docker, or process, which isolates nothing.")
@click.pass_context
def sync(context: click.Context, /, check: bool, **given: Any) -> None:
    """Write .github/workflows/skillrunner.yml: the triggers, rights, secrets and limits that the skills need.

    What is not given is kept from the file that is there.
    """
    from runner.workflow import FILE, render

    options: Options = context.obj
    place = here(options)
    loaded = _skills(place)
    path = place.root / FILE
    before = path.read_text() if path.is_file() else ""
    text = render(loaded.skills, _use(before, given))
    if text == before:
        click.echo(f"{FILE} is up to date")
    elif check:
        diff = difflib.unified_diff(before.splitlines(), text.splitlines(), FILE, "the skills", lineterm="")
        click.echo("\n".join(diff))
        click.echo("hint: skillrunner workflow sync", err=True)
        context.exit(ExitCode.FAILED)
    else:
        _write(path, text)
        _tell(loaded, text)


def _skills(place: "Here") -> "Loaded":
    """The skills of the working tree. Raises RunnerError with the faults of all that are invalid."""
    from runner.documents import raise_faults
    from runner.skill import load
    from runner.skill.discover import discover

    found = discover(place.root, place.config.skills)
    loaded = load(found.files)
    if faults := [*found.faults, *loaded.faults]:
        raise_faults(faults, Phase.LOAD, Reason.INVALID_SKILL)
    return loaded


def _use(before: str, given: dict[str, Any]) -> "Use":
    from runner.workflow import Use, settings

    said = {name: value for name, value in given.items() if value is not None}
    known = settings(before)
    if known is None and "action" not in said:
        raise RunnerError(
            Phase.PLAN,
            Reason.INVALID_INPUT,
            "which Action, and at which commit? A tag could be moved to other code",
            hint="--action OWNER/skillrunner@COMMIT; git ls-remote https://github.com/OWNER/skillrunner",
        )
    return replace(known, **said) if known else Use(**said)


def _write(path: Path, text: str) -> None:
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _tell(loaded: "Loaded", text: str) -> None:
    from runner.workflow import FILE, secrets

    click.echo(f"wrote {FILE}")
    needed = {name for skill in loaded.skills.values() for name in secrets(skill, loaded.skills)}
    if "SKILLRUNNER_APP_PRIVATE_KEY" in text:
        needed.add("SKILLRUNNER_APP_PRIVATE_KEY")
    if needed:
        click.echo(f"secrets that the repository's settings must hold: {', '.join(sorted(needed))}")
    click.echo(f"next: git add {FILE} && git commit -m 'Run skills' && git push")
