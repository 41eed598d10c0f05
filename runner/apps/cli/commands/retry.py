"""`skillrunner retry`: have a worker do a run again."""

import uuid
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result, scope_of
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options


@click.command()
@click.argument("run")
@click.option("--current", is_flag=True, help="With the skill as it is now, not as it was then.")
@json_option
@click.pass_obj
def command(options: "Options", run: str, current: bool, as_json: bool) -> None:
    """Queue what RUN did once more: the same skill, the same event, on the newest code of its base."""
    from runner.apps.cli.commands.worker import config_of
    from runner.run.retry import queue_again
    from runner.run.stores import open_worker_store

    with open_worker_store(config_of(options, None)) as store:
        found = store.run(run, scope_of(options))
        if found.end is None:
            message, hint = f"run {found.id} has not ended", f"skillrunner cancel {found.id}"
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
        queued = queue_again(store, found, uuid.uuid4().hex[:8], "somebody", current=current)
    say_result(as_json, f"queued: {queued}", id=queued, retries=found.id)
