"""`skillrunner cancel`: stop a run of a worker, or keep it from beginning."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result, scope_of
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, RunState

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options


@click.command()
@click.argument("run")
@click.option("--reason", default="somebody cancelled it", help="Why, for those who look at it later.")
@json_option
@click.pass_obj
def command(options: "Options", run: str, reason: str, as_json: bool) -> None:
    """Cancel RUN: its container is stopped, and nothing of it is published."""
    from runner.apps.cli.commands.worker import config_of
    from runner.run.stores import open_worker_store
    from runner.store.queue import RunQueue

    with open_worker_store(config_of(options, None)) as store:
        found = store.run(run, scope_of(options))
        if found.end is not None:
            message = f"run {found.id} has ended: {found.end.state}"
            hint = f"skillrunner show {found.id}"
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
        if found.state is RunState.WAITING:
            message = f"run {found.id} waits for somebody's approval: nothing of it goes on"
            hint = f'skillrunner refuse {found.id} --reason "..."'
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
        began = RunQueue(store).request_stop(found.id, reason, datetime.now(UTC))
    text = f"{'asked to stop' if began else 'cancelled before it began'}: {found.id}"
    say_result(as_json, text, id=found.id, result="stopping" if began else "cancelled")
