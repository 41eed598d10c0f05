# ruff: noqa: N999 - a file is named after its verb
"""`skillrunner continue`: a new run that goes on from one that has ended."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import place_of_options
from runner.core.errors import RunnerError, exit_code
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.core.model import Run
    from runner.publish.forges import Forge
    from runner.run.launch import ContinuedRun
    from runner.run.place import LocalPlace
    from runner.store import Store


@click.command()
@click.argument("run")
@click.argument("text")
@click.option("--forge", help="Where the pull request goes: auto, github, local, or a plugin's kind.")
@click.option("--again", is_flag=True, help="Propose what was closed unmerged.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record of the new run at the end.")
@click.pass_context
def command(
    context: click.Context, run: str, text: str, forge: str | None, again: bool, as_json: bool
) -> None:
    """Go on from RUN, which has ended, with what TEXT says, in a new run here and now.

    It starts from the same commit, with what RUN changed, and with its agent's own session where that is
    kept; otherwise a new session is told what was done. What comes out goes where that of RUN went: into the
    same pull request.
    """
    if not text.strip():
        raise click.UsageError('say something: skillrunner continue RUN "text"')
    options: Options = context.obj
    place = place_of_options(options, forge=forge)
    from runner.apps.cli.commands.run import print_end
    from runner.apps.console import Progress
    from runner.run import bootstrap
    from runner.run.launch import launch, terminable

    with bootstrap.store(place.config) as runs:
        with Progress(quiet=options.quiet, stream=sys.stderr) as progress, terminable():
            target = bootstrap.forge(place, runs)
            wanted = _wanted(place, runs, target, runs.run(run), text, again)
            end = launch(place, runs, target, wanted, progress.observe, progress.transcript)
        print_end(runs, wanted.run_id, end, as_json, options.quiet)
    context.exit(exit_code(end))


def _wanted(
    place: "LocalPlace", runs: "Store", target: "Forge", found: "Run", text: str, again: bool
) -> "ContinuedRun":
    from dataclasses import replace

    from runner.run import bootstrap
    from runner.run.agent.resume import read_earlier_run, spec_of
    from runner.run.launch import ContinuedRun, continuation_spec
    from runner.store import new_run_id

    before, spec = read_earlier_run(runs, found), spec_of(runs, found)
    base, mirror = bootstrap.base(place, target, spec.base_ref)
    if base.repository.url != spec.repository.url:
        message = f"run {found.id} is of {spec.repository.url}, and this is {base.repository.url}"
        hint = "go to its repository, or name it: skillrunner -C DIR continue ..."
        raise RunnerError(Phase.PLAN, Reason.INVALID_INPUT, message, hint=hint)
    now = datetime.now(UTC)
    spec = replace(spec, base_sha=mirror.resolve(spec.base_sha), trigger=replace(spec.trigger, at=now))
    return ContinuedRun(
        run_id=new_run_id(now),
        mirror=mirror,
        earlier=before,
        again=again,
        spec=continuation_spec(spec, before, before.prompt, text),
    )
