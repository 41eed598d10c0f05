"""`skillrunner diff`: what a run proposed."""

import os
import stat as stat_of_mode
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, scope_of, settings
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.redact import readable

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("run", default="latest")
@click.option("--stat", is_flag=True, help="Only which files, and how many lines.")
@json_option
@click.pass_obj
def command(options: "Options", run: str, stat: bool, as_json: bool) -> None:
    """Show the patch that RUN proposed: an id, the beginning of one, or `latest`.

    Into a file or another program it goes byte by byte, for `git apply`. A terminal, and the log of a step of
    GitHub Actions, get it without characters that they would act upon.
    """
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
    raw = Path(kept[0].path).read_bytes()
    patch = raw.decode(errors="replace")
    if as_json:
        say_json({"id": found.id, "files": [asdict(one) for one in _files(raw)], "patch": patch})
    elif stat:
        for line in _stat(raw):
            say(line)
    elif _is_shown():
        for line in patch.removesuffix("\n").split("\n"):
            say(line, colour=_COLOURS.get(line[:1]))
    else:
        sys.stdout.buffer.write(raw)


def _is_shown() -> bool:
    """Whether a terminal or a log of GitHub's runner, which is a pipe, acts upon what is printed."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return sys.stdout.isatty()
    return not stat_of_mode.S_ISREG(os.fstat(1).st_mode)


@dataclass(frozen=True, slots=True)
class _ChangedFile:
    """A file of a patch, with the lines that came and went; None: it is binary."""

    path: str
    added: int | None
    deleted: int | None

    def __str__(self) -> str:
        return f"{self.path} | " + ("binary" if self.added is None else f"+{self.added} -{self.deleted}")


def _files(patch: bytes) -> list[_ChangedFile]:
    """The files of a patch, as git reads it: no pattern of ours tells a name from what a name may hold."""
    from runner.clients.git import Git

    if not patch.strip():
        return []
    with TemporaryDirectory() as nowhere:  # in a repository git leaves out what lies outside of its folder
        out = Git(Path(nowhere), phase=Phase.LOAD).run("apply", "--numstat", "-z", "-", stdin=patch).stdout
    rows = [row.split(b"\t", 2) for row in out.split(b"\0") if row]
    return [
        _ChangedFile(readable(os.fsdecode(path)), _count(added), _count(gone)) for added, gone, path in rows
    ]


def _count(lines: bytes) -> int | None:
    return None if lines == b"-" else int(lines)


def _stat(patch: bytes) -> list[str]:
    """Each file of a patch in a line, and their number."""
    files = _files(patch)
    return [*map(str, files), f"{len(files)} file{'' if len(files) == 1 else 's'} changed"]
