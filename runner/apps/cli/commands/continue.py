# ruff: noqa: N999 - a file is named after its verb
"""`skillrunner continue`: a new run that goes on from one that has ended."""

import sys
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import place_of_options, scope_of
from runner.core.errors import exit_code

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options


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
    from runner.run import bootstrap, stores
    from runner.run.launch import interrupt_on_sigterm, launch
    from runner.run.place import Host
    from runner.run.start import continued_run

    with stores.open_store(place.config) as runs:
        with Progress(quiet=options.quiet, stream=sys.stderr) as progress, interrupt_on_sigterm():
            host = Host(place, runs, bootstrap.make_forge(place, runs))
            wanted = continued_run(host, runs.run(run, scope_of(options)), text, again)
            end = launch(host, wanted, progress.observe, progress.transcript)
        print_end(runs, wanted.run_id, end, as_json, options.quiet)
    context.exit(exit_code(end))
