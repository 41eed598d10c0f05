"""`skillrunner worker drain`: ask workers to end, through the store that they share."""

import time
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option
from runner.apps.terminal import say, say_json
from runner.core.errors import ExitCode, RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.config.settings import Config
    from runner.store import Store
    from runner.store.workers import Worker

_LOOK = 0.5  # seconds between two looks at who has ended


@click.command()
@click.argument("worker", default="")
@click.option("--wait", is_flag=True, help="Return when they have ended; exit with 1 if one died instead.")
@click.option("--now", is_flag=True, help="Stop what runs, as a second SIGTERM does.")
@json_option
@click.pass_obj
def drain(given: tuple["Options", "Config"], /, worker: str, wait: bool, now: bool, as_json: bool) -> None:
    """Ask WORKER (its id, or how that begins), or all, to take nothing more, finish what runs, and end."""
    from runner.run.stores import open_worker_store
    from runner.store.workers import WorkerStore

    with open_worker_store(given[1]) as store:
        meant = _meant(WorkerStore(store).list_living(), worker)
        WorkerStore(store).request_stop([one.id for one in meant], 2 if now else 1)
        ids = [one.id for one in meant]
        if not as_json:
            say("\n".join(f"asked to end: {one}" for one in ids) or "no worker runs")
        died = wait and _wait(store, set(ids), quiet=as_json)
    if as_json:
        say_json({"asked": ids, "died": died if wait else None})
    if died:
        raise click.exceptions.Exit(ExitCode.FAILED)


def _meant(living: "list[Worker]", name: str) -> "list[Worker]":
    """The workers whose ids begin so. Raises RunnerError unless each name means exactly one."""
    found = [one for one in living if one.id.startswith(name)]
    if not name or len(found) == 1:
        return found
    known = ", ".join(one.id for one in found or living) or "none"
    message = f"{len(found)} workers that run have an id that begins with {name!r}"
    hint = f"{'they are' if found else 'those that run are'}: {known}"
    raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)


def _wait(store: "Store", asked: set[str], *, quiet: bool) -> bool:
    """Wait until all have ended; return whether one of them died."""
    from runner.apps.worker.lease import HeartbeatMonitor, uptime
    from runner.store.workers import WorkerStore

    workers, vigil, died = WorkerStore(store), HeartbeatMonitor(), False
    while asked:
        living = {one.id: one for one in workers.list_living() if one.id in asked}
        dead = [one.id for one in vigil.find_expired(living.values(), uptime())]
        dead += [one.id for one in living.values() if _has_fallen(store, one) and one.id not in dead]
        lost = workers.find_lost(asked)
        for one in sorted({*dead, *lost}):
            say(f"died: {one}", err=True)
            died = True
        for one in sorted(asked - set(living) - set(lost)) if not quiet else ():
            say(f"ended: {one}")
        asked = set(living) - set(dead)
        if asked:
            time.sleep(_LOOK)
    return died


def _has_fallen(store: "Store", worker: "Worker") -> bool:
    """Whether a worker of this state directory is gone: a living one holds a lock there."""
    from runner.store import is_held, state_dir_id

    return worker.place == state_dir_id(store.folder) and not is_held(store.folder / "workers" / worker.id)
