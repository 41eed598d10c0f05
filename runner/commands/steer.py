"""`skillrunner steer`: say something to an agent while it works."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.commands import settings

if TYPE_CHECKING:
    from runner.commands import Options


@click.command()
@click.argument("run")
@click.argument("text", default="")
@click.option("--stop", is_flag=True, help="Have it stop where it is; TEXT says why.")
@click.pass_obj
def command(options: "Options", run: str, text: str, stop: bool) -> None:
    """Tell the agent of RUN what TEXT says: its present turn ends, and the next one begins with it."""
    from runner import wire
    from runner.store import messages

    if not text.strip() and not stop:
        raise click.UsageError("say something: skillrunner steer RUN TEXT, or --stop")
    with wire.store(settings(options)) as runs:
        found = runs.run(run)
        said = text or "somebody stopped it"
        messages.send(runs, found.id, said, datetime.now(UTC), stop=stop)
        click.echo(f"sent: {found.id}")
