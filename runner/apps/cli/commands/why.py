"""`skillrunner why`: what became of a slot or an event, in a sentence with the facts."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import time_option
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.config.settings import Config
    from runner.core.model.decision import Decision
    from runner.store import Store


@click.command()
@click.argument("skill")
@click.option("--at", metavar="TIME", help="The slot at, or last before, this time (ISO 8601; UTC if bare).")
@click.option("--event", metavar="ID", help="The event whose key holds this: its id, a tag.")
@click.option("--repository", help="Only there, where several have a skill of this name.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def command(
    options: "Options", skill: str, at: str | None, event: str | None, repository: str | None, as_json: bool
) -> None:
    """Say what became of what was due for SKILL: the last decision, that of a slot, or that of an event."""
    from runner.apps.cli.commands.worker import config_of
    from runner.run.bootstrap import open_worker_store

    config = config_of(options, None)
    with open_worker_store(config) as store:
        found = _find(store, skill, at, event, repository)
        if as_json:
            click.echo(json.dumps({"repository": found[0], **asdict(found[1])}, default=str))
            return
        for line in (*_told(store, *found), *_waits(store, config, found[1].run_id)):
            click.echo(line)


def _find(
    store: "Store", skill: str, at: str | None, event: str | None, repository: str | None
) -> tuple[str, "Decision"]:
    from runner.store.decisions import find_newest

    when = time_option("--at", at) if at else None
    found = find_newest(store, skill, repository, when, event)
    if found is None:
        what = f" at {at}" if at else f" on {event}" if event else ""
        message = f"nothing was decided for {skill}{what}"
        hint = "is it committed to the default branch, and does a worker poll it? skillrunner worker status"
        raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
    return found


def _told(store: "Store", repository: str, decision: "Decision") -> list[str]:
    from runner.apps.action.report import verdict_text
    from runner.apps.console import one_line

    when = f"{decision.at.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    lines = [f"{decision.skill}: {verdict_text(decision)}: {one_line(decision.message, 1000)}"]
    lines.append(f"decided     {when} for {repository} ({one_line(decision.key, 200)})")
    if decision.due is not None:
        lines.append(f"due         {decision.due.astimezone():%Y-%m-%d %H:%M:%S %Z}")
    if decision.run_id:
        try:
            run = store.run(decision.run_id)
        except RunnerError:
            return [*lines, f"run         {decision.run_id}: it is gone, older than `worker.retention`"]
        end = one_line(run.end.message, 300) if run.end else "it has not ended"
        lines.append(f"run         {run.id} {run.state}: {end}")
        lines.append(f"next: skillrunner show {run.id}")
    return lines


def _waits(store: "Store", config: "Config", run_id: str) -> list[str]:
    """Why a run that may begin has not begun; nothing where it is only its turn that it waits for."""
    from runner.scheduler.admission import limits_of, waiting_reasons
    from runner.store.queue import RunQueue

    bounds = limits_of(config.worker)
    reason = waiting_reasons(RunQueue(store).state(datetime.now(UTC), bounds.rate_window), bounds).get(run_id)
    return [f"it waits    {reason}"] if reason else []
