"""`skillrunner diff`: what a run proposed."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, scope_of, settings
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("run", default="latest")
@click.option("--stat", is_flag=True, help="Only which files, and how many lines.")
@json_option
@click.pass_obj
def command(options: "Options", run: str, stat: bool, as_json: bool) -> None:
    """Show the patch that RUN proposed: an id, the beginning of one, or `latest`."""
    from runner.run import stores

    with stores.open_store(settings(options)) as runs:
        found = runs.run(run, scope_of(options))
        kept = [artifact for artifact in runs.artifacts(found.id) if artifact.name == "patch"]
    if not kept:
        why = "it holds a secret, or the run ended before there was one"
        hint = f"skillrunner show {found.id}"
        raise RunnerError(
            Phase.LOAD, Reason.INVALID_INPUT, f"no patch of {found.id} is kept: {why}", hint=hint
        )
    patch = Path(kept[0].path).read_bytes().decode(errors="replace")
    if as_json:
        say_json({"id": found.id, "files": [asdict(one) for one in _files(patch)], "patch": patch})
        return
    for line in _stat(patch) if stat else patch.splitlines():
        say(line, colour=None if stat else _COLOURS.get(line[:1]))


@dataclass(frozen=True, slots=True)
class _ChangedFile:
    """A file of a patch, with the lines that came and went; None: it is binary."""

    path: str
    added: int | None
    deleted: int | None

    def __str__(self) -> str:
        return f"{self.path} | " + ("binary" if self.added is None else f"+{self.added} -{self.deleted}")


def _files(patch: str) -> list[_ChangedFile]:
    found = []
    for part in re.split(r"^diff --git ", patch, flags=re.MULTILINE)[1:]:
        head, _, hunks = part.partition("\n@@")
        name = re.search(r"^\+\+\+ b/(.*)$", head, re.MULTILINE) or re.search(
            r"^--- a/(.*)$", head, re.MULTILINE
        )
        path = name[1] if name else head.split(" b/")[-1].splitlines()[0]
        plus, minus = (len(re.findall(rf"^\{sign}", hunks, re.MULTILINE)) for sign in "+-")
        is_binary = "GIT binary patch" in head
        found.append(_ChangedFile(path, None if is_binary else plus, None if is_binary else minus))
    return found


def _stat(patch: str) -> list[str]:
    """Each file of a patch in a line, and their number."""
    files = _files(patch)
    return [*map(str, files), f"{len(files)} file{'' if len(files) == 1 else 's'} changed"]
