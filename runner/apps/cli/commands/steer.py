"""`skillrunner steer`: say something to an agent while it works."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result, scope_of, settings
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, RunState

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.core.model import MessageAction


_TOLD = {"stop": "somebody stopped it", "pause": "somebody paused it", "resume": "somebody let it go on"}


@click.command()
@click.argument("run")
@click.argument("text", default="")
@click.option("--stop", "act", flag_value="stop", help="Have it stop where it is; TEXT says why.")
@click.option(
    "--pause", "act", flag_value="pause", help="Have it stand still, and the clocks of its limits too."
)
@click.option("--resume", "act", flag_value="resume", help="Have it go on after a pause.")
@json_option
@click.pass_obj
def command(options: "Options", run: str, text: str, act: "MessageAction | None", as_json: bool) -> None:
    """Tell the agent of RUN what TEXT says: its present turn ends, and the next one begins with it."""
    from runner.run import stores
    from runner.store import messages

    if not text.strip() and act is None:
        raise click.UsageError("say something: skillrunner steer RUN TEXT, or --stop, --pause, --resume")
    with stores.open_store(settings(options)) as runs:
        found = runs.run(run, scope_of(options))
        if found.state is RunState.WAITING:
            message = f"the agent of run {found.id} has ended: what it made waits for somebody's approval"
            hint = f'skillrunner approve {found.id}, or: skillrunner refuse {found.id} --reason "..."'
            raise RunnerError(Phase.APPROVAL, Reason.INVALID_INPUT, message, hint=hint)
        messages.send(runs, found.id, text or _TOLD[act or "say"], datetime.now(UTC), act or "say")
    say_result(as_json, f"sent: {found.id}", id=found.id, act=act or "say")
