"""`skillrunner notes`: what agents noted for later runs of a skill."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import settings
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Note, Phase, Reason
from runner.core.redact import escape_invisible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.apps.cli.commands import Options
    from runner.store import Store


@click.command()
@click.argument("skill")
@click.option("--repository", metavar="NAME", help="Only those of this repository.")
@click.option("--forget", type=int, multiple=True, metavar="ID", help="Remove this note; may be repeated.")
@click.option("--forget-all", is_flag=True, help="Remove all that would be listed.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def command(
    options: "Options",
    skill: str,
    repository: str | None,
    forget: tuple[int, ...],
    forget_all: bool,
    as_json: bool,
) -> None:
    """List what agents noted for later runs of SKILL, or forget it."""
    from runner.run import stores
    from runner.store import memory

    with stores.open_store(settings(options)) as runs:
        found = memory.list_notes(runs, repository, skill)
        if forget or forget_all:
            _forget(runs, skill, [one.id for one in found], forget)
        elif as_json:
            say_json([asdict(one) for one in found])
        else:
            say("\n".join(_lines(found)) or f"no notes of {skill}")


def _forget(runs: "Store", skill: str, known: list[int], named: tuple[int, ...]) -> None:
    from runner.store import memory

    missing = [str(one) for one in named if one not in known]
    if missing:
        message = f"{skill} has no note {', '.join(missing)}"
        raise RunnerError(
            Phase.STORE, Reason.INVALID_INPUT, message, hint=f"skillrunner notes {skill} lists them"
        )
    count = memory.remove_notes(runs, skill, named or known)
    say(f"forgotten: {count} note{'s' * (count != 1)}")


def _lines(found: list[Note]) -> "Iterator[str]":
    from runner.apps.console import age_text

    for one in found:
        yield f"{one.id}  {one.repository}  run {one.run_id}, {age_text(one.at)}"
        yield from (f"    {line}" for line in escape_invisible(one.text).splitlines())
