"""`skillrunner retry`: have a worker do a run again."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result, scope_of
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Run
from runner.core.model.decision import Decision, Verdict

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.store import Store


@click.command()
@click.argument("run")
@click.option("--current", is_flag=True, help="With the skill as it is now, not as it was then.")
@json_option
@click.pass_obj
def command(options: "Options", run: str, current: bool, as_json: bool) -> None:
    """Queue what RUN did once more: the same skill, the same event, on the newest code of its base."""
    from runner.apps.cli.commands.worker import config_of
    from runner.run.stores import open_worker_store

    with open_worker_store(config_of(options, None)) as store:
        found = store.run(run, scope_of(options))
        if found.end is None:
            message, hint = f"run {found.id} has not ended", f"skillrunner cancel {found.id}"
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
        queued = _queue(store, found, current)
    say_result(as_json, f"queued: {queued}", id=queued, retries=found.id)


def _queue(store: "Store", found: Run, current: bool) -> str:
    from runner.run.start import retry_entry
    from runner.store import new_run_id
    from runner.store.decisions import DecisionStore
    from runner.store.queue import RunQueue

    work, now = RunQueue(store).work(found.id), datetime.now(UTC)
    if current:
        work = replace(work, commit="")
    decided = DecisionStore(store, found.repository)
    earlier = decided.find(found.skill, found.trigger_key)
    decision = Decision(
        key=f"retry:{found.id}:{uuid.uuid4().hex[:8]}",
        skill=found.skill,
        trigger=found.trigger,
        verdict=Verdict.STARTED,
        message=f"somebody asked for run {found.id} again",
        at=now,
        run_id=new_run_id(now),
        subject_key=earlier.subject_key if earlier else "",
    )
    entry = retry_entry(found, work, decision, _urgency(store, found))
    decided.decide(lambda _: [decision], lambda _: entry)
    return decision.run_id


def _urgency(store: "Store", found: Run) -> int:
    """As it was, and before what no human waits for; a retry's retry goes no further."""
    from runner.store.queue import RunQueue

    by_hand = found.trigger == "manual" or found.trigger_key.startswith("retry:")
    return RunQueue(store).priority(found.id) - (not by_hand)
