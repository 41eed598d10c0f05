"""`skillrunner worker`: the daemon, and what people do with it."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import state_dir, who_am_i
from runner.apps.cli.commands.worker_drain import drain
from runner.apps.cli.commands.worker_status import pause_text, status
from runner.core.errors import ExitCode, RunnerError, exit_code
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.apps.worker.daemon import Daemon
    from runner.config.settings import Config
    from runner.store import Store

_GRACE = 5.0  # seconds that threads have to end once all work is done


@click.group(invoke_without_command=True)
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option(
    "--once",
    is_flag=True,
    help="Do what is due now, and end: for cron and Kubernetes jobs. 6 if something is wrong.",
)
@click.pass_context
def command(context: click.Context, /, config: Path | None, once: bool) -> None:
    """Poll repositories, decide on everything that is due, and run it, until SIGTERM.

    The first SIGTERM takes nothing more and waits for what runs, as long as `worker.drain` says; a second
    one stops what runs.
    """
    options: Options = context.obj
    loaded = config_of(options, config)
    context.obj = (options, loaded)
    if context.invoked_subcommand is None:
        _log(options.quiet)
        work(loaded, once)


def config_of(options: "Options", file: Path | None) -> "Config":
    """The worker's configuration, read without a repository, with the secrets of NAME_FILE variables."""
    from runner.apps.worker.secret_files import from_files
    from runner.config.settings import load_config

    loaded = load_config(Path.cwd(), file=file or options.config, flags=state_dir(options))
    os.environ.update(from_files(loaded, os.environ))
    return loaded


command.add_command(status)
command.add_command(drain)


def work(config: "Config", once: bool, **parts: Any) -> None:
    """Run a worker until somebody stops it; `parts` replace parts of the daemon."""
    from runner.apps.console import one_line
    from runner.apps.families import check_families
    from runner.apps.worker.alerts import check_alert
    from runner.apps.worker.credentials import Credentials
    from runner.apps.worker.daemon import Daemon
    from runner.apps.worker.error_log import ErrorLog
    from runner.apps.worker.repositories import RepositoryList
    from runner.run.bootstrap import open_worker_store

    check_families()
    if not config.worker.repositories:
        hint = "write `worker: {repositories: [owner/name]}` into skillrunner.yaml"
        message = "worker.repositories is empty: there is nothing to work for"
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
    check_alert(config)
    with open_worker_store(config) as store, _alone(store):
        roster = RepositoryList(config, Credentials(config), ErrorLog())
        daemon = Daemon(config=config, store=store, repository_list=roster, **parts)
        try:
            with _signals(daemon):
                daemon.run(once=once)
        except RunnerError as error:
            _end_in_any_case(exit_code(error.end))
            raise
        code = ExitCode.ERROR if daemon.executor.running or daemon.faults else ExitCode.OK
        _end_in_any_case(code)
        for fault in daemon.faults:
            click.echo(f"not well: {one_line(fault, 1000)}", err=True)
        if code is not ExitCode.OK:
            raise click.exceptions.Exit(code)


def _end_in_any_case(code: ExitCode) -> None:
    """End the process even if a thread waits for a database or an engine that may never answer."""
    timer = threading.Timer(_GRACE, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _log(quiet: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextmanager
def _alone(store: "Store") -> Iterator[None]:
    """Raises RunnerError when another worker uses the same file database, which serves only one."""
    from runner.core.locks import lock

    if not store.database.is_file:
        yield
        return
    with ExitStack() as held:
        try:
            held.enter_context(lock(store.folder / "worker.lock", wait=False))
        except BlockingIOError as error:
            message = f"another worker uses {store.database.place}, and a file serves only one"
            hint = "give this one another state_dir, or let both share PostgreSQL: worker.database"
            raise RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint) from error
        yield


@contextmanager
def _signals(daemon: "Daemon") -> Iterator[None]:
    before = {
        one: signal.signal(one, lambda *_: daemon.request_stop()) for one in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@command.command()
@click.argument("skill", default="")
@click.option("--repository", default="", help="Only there.")
@click.option("--reason", default="", help="Why, for those who ask.")
@click.pass_obj
def pause(given: tuple["Options", "Config"], /, skill: str, repository: str, reason: str) -> None:
    """Hold SKILL, or everything: what is due is decided as held."""
    from runner.run.bootstrap import open_worker_store
    from runner.scheduler.obstacles import Pause
    from runner.store.pauses import pause as hold

    now, who = datetime.now(UTC), who_am_i()
    with open_worker_store(given[1]) as store:
        hold(store, Pause(repository=repository, skill=skill, reason=reason, at=now, who=who))
    click.echo(f"paused: {pause_text(repository, skill)}")


@command.command()
@click.argument("skill", default="")
@click.option("--repository", default="", help="Only there.")
@click.pass_obj
def resume(given: tuple["Options", "Config"], /, skill: str, repository: str) -> None:
    """Hold SKILL, or everything, no longer."""
    from runner.run.bootstrap import open_worker_store
    from runner.store.pauses import resume as go_on

    with open_worker_store(given[1]) as store:
        if not go_on(store, repository, skill, datetime.now(UTC)):
            message = f"{pause_text(repository, skill)} was not paused"
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint="skillrunner worker status")
    click.echo(f"resumed: {pause_text(repository, skill)}")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.pass_obj
def backup(given: tuple["Options", "Config"], /, file: Path, force: bool) -> None:
    """Copy the database into FILE, and check the copy. A worker may go on meanwhile."""
    from runner.store.backup import back_up

    size = back_up(_database(given[1], "pg_dump --format=custom --file FILE {0}"), file, force=force)
    click.echo(f"backed up: {file}, {size:,} bytes")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace the database that is there; it is kept beside.")
@click.pass_obj
def restore(given: tuple["Options", "Config"], /, file: Path, force: bool) -> None:
    """Put the database from FILE in its place. The worker, and whoever else uses it, has to end first."""
    from runner.store.backup import restore as put_back

    place = _database(given[1], "pg_restore --clean --if-exists {0} FILE")
    aside = put_back(file, place, datetime.now(UTC), force=force)
    click.echo(f"restored: {place}")
    if aside is not None:
        click.echo(f"what was there is now {aside}")


def _database(config: "Config", instead: str) -> Path:
    """The file with the database. Raises RunnerError where a server has it."""
    from runner.store.database import FILE

    if config.worker.database:
        message = "the database is PostgreSQL's, and so are the tools that copy it"
        hint = instead.format(f'--dbname "${config.worker.database}"')
        raise RunnerError(Phase.STORE, Reason.UNSUPPORTED, message, hint=hint)
    return config.state / FILE
