"""`skillrunner handoff`: go on by hand with what a run's agent did."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import scope_of, settings
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.run.agent.handoff import Handoff


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A new or empty folder; default: SKILL-RUN, beside the repository.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(options: "Options", run: str, folder: Path | None, as_json: bool) -> None:
    """Check out what RUN changed, and print the command that goes on with its agent's session.

    The changes are staged on a new branch, in a clone of its own; the session lies in a home of its own, in
    the clone's `.git/skillrunner`, beside the transcript.
    """
    from runner.run import stores
    from runner.run.agent.handoff import hand_off
    from runner.run.agent.resume import planned_spec, read_earlier_run

    config = settings(options)
    with stores.open_store(config) as runs:
        found = runs.run(run, scope_of(options))
        given, spec = read_earlier_run(runs, found), planned_spec(runs, found)
        place = _place(options.root, folder, f"{found.skill}-{found.id}")
        made = hand_off(spec, given, config.state, runs.files_of(found), place)
        refused = [f"{one.subject} {one.message}" for one in runs.refusals(found.id)]
    if as_json:
        say_json({**asdict(made), "refused": refused})
        return
    for line in _lines(made, refused):
        say(line)


def _place(root: Path, wanted: Path | None, name: str) -> Path:
    """Where the checkout goes: never into the person's own."""
    from runner.clients.git import discover

    try:
        own: Path | None = discover(root).root.resolve()
    except RunnerError as error:
        if error.reason is not Reason.NOT_A_REPOSITORY:
            raise
        own = None
    folder = (wanted or (own.parent if own else root) / name).absolute()
    folder = folder.parent.resolve() / folder.name
    if own is not None and folder.is_relative_to(own):
        message, hint = f"{folder} is inside of your own checkout", f"--to {own.parent / name}"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    return folder


def _lines(made: "Handoff", refused: Sequence[str]) -> Iterator[str]:
    changes = "its changes staged" if made.has_changes else "without changes: none of it are kept"
    yield f"checkout    {made.folder}, branch {made.branch} at {made.base_sha[:12]}, {changes}"
    for one in refused:  # settings and hooks of agents are among it, which would work for a person too
        yield f"refused     {one}: look at it before you run anything there"
    if made.transcript:
        yield f"transcript  {made.transcript}"
    if made.command is None:
        yield f"session     none: {made.why}"
        return
    yield f"session     {made.session}; to go on with it:"
    yield ""
    yield f"  {made.command}"
    if made.key_variable:
        yield ""
        yield f"Its home is new: log in there, or give it a key in {made.key_variable}."
