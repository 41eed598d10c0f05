"""`skillrunner worker status`: who works, what waits, and whether all is well."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from runner.apps.terminal import say, say_json
from runner.core.errors import ExitCode

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.config.settings import Config
    from runner.scheduler.overdue import Alert
    from runner.store import Store

_RECENT = timedelta(days=1)  # workers that were seen since then are shown


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--healthy", is_flag=True, help="Exit with 1 unless a worker of this host lives, and nothing is wrong."
)
@click.option("--anywhere", is_flag=True, help="With --healthy: a worker of any host will do.")
@click.option("--alive", is_flag=True, help="Exit with 1 unless a worker of this host lives.")
@click.pass_obj
def status(
    given: tuple["Options", "Config"], /, as_json: bool, healthy: bool, anywhere: bool, alive: bool
) -> None:
    """Show the workers, what waits, what is paused, and what is wrong."""
    from runner.run.stores import open_worker_store

    config, now = given[1], datetime.now(UTC)
    with open_worker_store(config) as store:
        if healthy or alive:
            well = _say_who_lives(store, now, "" if anywhere else os.uname().nodename)
            if healthy:
                well = _say_what_is_wrong(store, config, now) and well
            if not well:
                raise click.exceptions.Exit(ExitCode.FAILED)
        elif as_json:
            say_json(_data(store, config, now))
        else:
            for line in _lines(_data(store, config, now), now):
                say(line)


def _data(store: "Store", config: "Config", now: datetime) -> dict[str, Any]:
    from runner.store.alerts import AlertStore
    from runner.store.approvals import ApprovalStore
    from runner.store.obstacles import approval_document, held_runs
    from runner.store.pauses import present_pauses
    from runner.store.workers import WorkerStore

    return {
        "workers": [asdict(one) for one in WorkerStore(store).all(now - _RECENT)],
        "waiting": [one.document() for one in held_runs(store, config.worker, now)],
        "approvals": [approval_document(one) for one in ApprovalStore(store).waiting()],
        "paused": [{**asdict(one), "message": one.message} for one in present_pauses(store)],
        "unread": [asdict(one) for one in AlertStore(store).unreadable()],
        "troubles": [asdict(one) for one in _troubles(store, config, now)],
    }


def _troubles(store: "Store", config: "Config", now: datetime) -> "list[Alert]":
    from runner.store.alerts import AlertStore

    return AlertStore(store).alerts(now, timedelta(seconds=config.worker.grace))


def _lines(found: dict[str, Any], now: datetime) -> Iterator[str]:
    from runner.apps.console import age_text, one_line, table
    from runner.core.units import span_text

    rows = [
        (one["id"], one["state"], str(one["capacity"]), age_text(one["seen_at"])) for one in found["workers"]
    ]
    yield from table(rows, heads=("WORKER", "STATE", "RUNS", "SEEN"))
    yield f"{len(found['waiting'])} waiting"
    reasons = Counter((one["kind"], one["why"]) for one in found["waiting"])
    for (kind, reason), count in reasons.items():
        yield f"  {count} wait: {kind}: {one_line(reason, 300)}"
    for one in found["approvals"]:
        yield f"approval: {one['repository']} {one['skill']} {one['run_id']}: {one_line(one['why'], 300)}"
    for one in found["paused"]:
        yield f"paused: {pause_text(one['repository'], one['skill'])}: {one_line(one['message'], 300)}"
    for one in found["unread"]:
        since, again = span_text(now - one["read_at"]), _next_try_text(one["next_try"], now)
        yield f"unread: {one['repository']} for {since}: {one_line(one['fault'], 300)}; {again}"
    for one in found["troubles"]:
        if one["kind"] not in ("unread", "circuit"):  # which the lines above say
            yield f"{one['kind']}: {one_line(one['message'], 300)}"


def _next_try_text(at: datetime | None, now: datetime) -> str:
    """When a worker tries again, as far as one has said so."""
    if at is None:
        return "it is tried again with the next poll"
    return f"next try {'at' if at > now else 'was due at'} {at:%Y-%m-%d %H:%M:%S} UTC"


def pause_text(repository: str, skill: str) -> str:
    """What is paused, in words."""
    return " ".join(filter(None, (repository, skill))) or "everything"


def _say_who_lives(store: "Store", now: datetime, host: str) -> bool:
    """Print and return whether a worker of `host` (empty: any) has sent a heartbeat in time."""
    from runner.core.units import span_text
    from runner.store.workers import WorkerStore

    own = [one for one in WorkerStore(store).all(now - _RECENT) if host in ("", one.host) and one.is_alive]
    newest = max(own, key=lambda one: one.seen_at, default=None)
    if newest is None:
        say(f"not healthy: no worker runs{f' on {host}' if host else ''}")
        return False
    lives = now - newest.seen_at <= timedelta(seconds=newest.silence)
    last = f"last heard of {span_text(now - newest.seen_at)} ago"
    say(f"{'healthy' if lives else 'not healthy'}: {newest.id} is {newest.state}, {last}")
    return lives


def _say_what_is_wrong(store: "Store", config: "Config", now: datetime) -> bool:
    """Print the present troubles; return whether there are none. Only the store is read."""
    from runner.apps.console import one_line

    found = _troubles(store, config, now)
    for one in found:
        say(f"{one.kind}: {one_line(one.message, 300)}")
    return not found
