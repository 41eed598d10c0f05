"""`skillrunner action`: what action.yml calls. Everything it is told comes from the workflow's variables."""

import os

import click


@click.command()
@click.argument("what", type=click.Choice(["run", "plan"]), default="run")
@click.pass_context
def command(context: click.Context, what: str) -> None:
    """Decide what a GitHub workflow's event starts, and run it; `plan` only prints the matrix of runs."""
    from runner.apps.action.main import main

    context.exit(main(os.environ, what))
