"""`skillrunner diff`: what a run proposed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import scope_of, settings
from runner.apps.terminal import say
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("run", default="latest")
@click.option("--stat", is_flag=True, help="Only which files, and how many lines.")
@click.pass_obj
def command(options: "Options", run: str, stat: bool) -> None:
    """Show the patch that RUN proposed: an id, the beginning of one, or `latest`."""
    from runner.run import bootstrap

    with bootstrap.open_store(settings(options)) as runs:
        found = runs.run(run, scope_of(options))
        kept = [artifact for artifact in runs.artifacts(found.id) if artifact.name == "patch"]
    if not kept:
        why = "it holds a secret, or the run ended before there was one"
        hint = f"skillrunner show {found.id}"
        raise RunnerError(
            Phase.LOAD, Reason.INVALID_INPUT, f"no patch of {found.id} is kept: {why}", hint=hint
        )
    patch = Path(kept[0].path).read_bytes().decode(errors="replace")
    for line in _stat(patch) if stat else patch.splitlines():
        say(line, colour=None if stat else _COLOURS.get(line[:1]))


def _stat(patch: str) -> list[str]:
    """Each file of a patch with the lines that came and went."""
    rows = []
    for part in re.split(r"^diff --git ", patch, flags=re.MULTILINE)[1:]:
        head, _, hunks = part.partition("\n@@")
        name = re.search(r"^\+\+\+ b/(.*)$", head, re.MULTILINE) or re.search(
            r"^--- a/(.*)$", head, re.MULTILINE
        )
        path = name[1] if name else head.split(" b/")[-1].splitlines()[0]
        plus, minus = (len(re.findall(rf"^\{sign}", hunks, re.MULTILINE)) for sign in "+-")
        rows.append(f"{path} | +{plus} -{minus}" if "GIT binary patch" not in head else f"{path} | binary")
    return [*rows, f"{len(rows)} file{'' if len(rows) == 1 else 's'} changed"]
