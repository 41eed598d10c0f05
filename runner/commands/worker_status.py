"""`skillrunner worker status`: who works, what waits, and whether all is well."""

import json
import os
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from runner.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.commands import Options
    from runner.config import Config
    from runner.store.workers import Worker


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--healthy", is_flag=True, help="Exit with 1 unless a worker of this host lives.")
@click.pass_obj
def status(given: tuple["Options", "Config"], /, as_json: bool, healthy: bool) -> None:
    """Show the workers, what waits, and what is paused."""
    from runner.admission import bounds_of, held_up
    from runner.commands.worker import open_store
    from runner.console import ago, table
    from runner.store.pauses import paused
    from runner.store.waiting import Line
    from runner.store.workers import Workers

    with open_store(given[1]) as store:
        now = datetime.now(UTC)
        workers = Workers(store).all(now - timedelta(days=1))
        if healthy:
            _say_health(workers, now)
            return
        bounds, held = bounds_of(given[1].worker), paused(store)
        scene = Line(store).scene(now, bounds.memory)
        why = held_up(scene, bounds)
        if as_json:
            waiting = [{**asdict(one), "why": why.get(one.run_id, "")} for one in scene.waiting]
            found: dict[str, Any] = {"workers": [asdict(one) for one in workers]}
            found |= {"waiting": waiting, "paused": held}
            click.echo(json.dumps(found, default=str))
            return
        rows = [(one.id, one.state, str(one.capacity), ago(one.seen_at)) for one in workers]
        for line in table(rows, heads=("WORKER", "STATE", "RUNS", "SEEN")):
            click.echo(line)
        click.echo(f"{len(scene.waiting)} waiting")
        for reason, count in Counter(why.values()).items():
            click.echo(f"  {count} wait: {reason}")
        for one in held:
            what = " ".join(filter(None, (one["repository"], one["skill"]))) or "everything"
            click.echo(f"paused: {what}: {one['reason']}")


def _say_health(workers: "Sequence[Worker]", now: datetime) -> None:
    """For containers: whether a worker of this host said within its time that it lives."""
    host = os.uname().nodename
    own = [one for one in workers if one.host == host and one.state in ("running", "draining")]
    newest = max(own, key=lambda one: one.seen_at, default=None)
    if newest is None:
        click.echo(f"not healthy: no worker runs on {host}")
    else:
        lives = now - newest.seen_at <= timedelta(seconds=newest.silence)
        last = f"last heard of {(now - newest.seen_at).total_seconds():.0f} s ago"
        click.echo(f"{'healthy' if lives else 'not healthy'}: {newest.id} is {newest.state}, {last}")
        if lives:
            return
    raise click.exceptions.Exit(ExitCode.FAILED)
