"""`skillrunner worker`: the daemon, and what people do with it."""

import logging
import os
import sys
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.apps.cli.commands import json_option, say_result, state_dir, who_am_i
from runner.apps.cli.commands.worker_drain import drain
from runner.apps.cli.commands.worker_status import pause_text, status
from runner.apps.terminal import log_to, say
from runner.core.errors import ExitCode, RunnerError, exit_code
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.apps.cli.commands import Options
    from runner.apps.worker.secret_files import Variables
    from runner.config.settings import Config

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
    one stops what runs. SIGHUP has it read its configuration again.
    """
    options: Options = context.obj
    from runner.apps.worker.secret_files import Variables

    variables = Variables()
    loaded = config_of(options, config, variables)
    context.obj = (options, loaded)
    if context.invoked_subcommand is None:
        _log(options.quiet)
        work(loaded, once, lambda: _load_again(options, config, variables))


def _load_again(options: "Options", file: Path | None, variables: "Variables") -> "Config":
    loaded = config_of(options, file, variables)
    check_repositories(loaded)
    return loaded


def config_of(options: "Options", file: Path | None, variables: "Variables | None" = None) -> "Config":
    """The worker's configuration, read without a repository, with the secrets of NAME_FILE variables."""
    from runner.apps.worker.secret_files import Variables, from_files
    from runner.config.settings import load_config

    loaded = load_config(Path.cwd(), file=file or options.config, flags=state_dir(options))
    (variables or Variables()).replace(lambda environ: from_files(loaded, environ))
    return loaded


command.add_command(status)
command.add_command(drain)


def work(config: "Config", once: bool, load: "Callable[[], Config] | None" = None, **parts: Any) -> None:
    """Run a worker until somebody stops it.

    `load` reads its configuration again, and `parts` replace parts of the daemon.
    """
    from runner.apps.console import one_line
    from runner.apps.families import check_families
    from runner.apps.worker.alerts import check_alert
    from runner.apps.worker.service import Service

    check_families()
    check_repositories(config)
    check_alert(config)
    service = Service(config, load or (lambda: config), once, parts)
    try:
        daemon = service.run()
    except RunnerError as error:
        _end_in_any_case(exit_code(error.end))
        raise
    faults = daemon.faults if daemon else []
    code = ExitCode.ERROR if faults or (daemon and daemon.executor.running) else ExitCode.OK
    _end_in_any_case(code)
    for fault in faults:
        say(f"not well: {one_line(fault, 1000)}", err=True)
    if code is not ExitCode.OK:
        raise click.exceptions.Exit(code)


def check_repositories(config: "Config") -> None:
    """Raises RunnerError INVALID_CONFIG where there is nothing to work for."""
    if not config.worker.repositories:
        hint = "write `worker: {repositories: [owner/name]}` into skillrunner.yaml"
        message = "worker.repositories is empty: there is nothing to work for"
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)


def _end_in_any_case(code: ExitCode) -> None:
    """End the process even if a thread waits for a database or an engine that may never answer."""
    timer = threading.Timer(_GRACE, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _log(quiet: bool) -> None:
    log_to(sys.stderr, logging.WARNING if quiet else logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@command.command()
@click.argument("skill", default="")
@click.option("--repository", default="", help="Only there.")
@click.option("--reason", default="", help="Why, for those who ask.")
@json_option
@click.pass_obj
def pause(
    given: tuple["Options", "Config"], /, skill: str, repository: str, reason: str, as_json: bool
) -> None:
    """Hold SKILL, or everything: what is due is decided as held."""
    from runner.run.stores import open_worker_store
    from runner.scheduler.obstacles import Pause
    from runner.store.pauses import pause as hold

    now, who = datetime.now(UTC), who_am_i()
    with open_worker_store(given[1]) as store:
        made = Pause(repository=repository, skill=skill, reason=reason, at=now, who=who)
        hold(store, made)
    say_result(as_json, f"paused: {pause_text(repository, skill)}", **asdict(made))


@command.command()
@click.argument("skill", default="")
@click.option("--repository", default="", help="Only there.")
@json_option
@click.pass_obj
def resume(given: tuple["Options", "Config"], /, skill: str, repository: str, as_json: bool) -> None:
    """Hold SKILL, or everything, no longer."""
    from runner.run.stores import open_worker_store
    from runner.store.pauses import resume as go_on

    with open_worker_store(given[1]) as store:
        if not go_on(store, repository, skill, datetime.now(UTC)):
            message = f"{pause_text(repository, skill)} was not paused"
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint="skillrunner worker status")
    text = f"resumed: {pause_text(repository, skill)}"
    say_result(as_json, text, repository=repository, skill=skill)


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@json_option
@click.pass_obj
def backup(given: tuple["Options", "Config"], /, file: Path, force: bool, as_json: bool) -> None:
    """Copy the database into FILE, and check the copy. A worker may go on meanwhile."""
    from runner.store.backup import back_up

    size = back_up(_database(given[1], "pg_dump --format=custom --file FILE {0}"), file, force=force)
    say_result(as_json, f"backed up: {file}, {size:,} bytes", file=str(file), size=size)


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace the database that is there; it is kept beside.")
@json_option
@click.pass_obj
def restore(given: tuple["Options", "Config"], /, file: Path, force: bool, as_json: bool) -> None:
    """Put the database from FILE in its place. The worker, and whoever else uses it, has to end first."""
    from runner.store.backup import restore as put_back

    place = _database(given[1], "pg_restore --clean --if-exists {0} FILE")
    aside = put_back(file, place, datetime.now(UTC), force=force)
    text = f"restored: {place}" + (f"\nwhat was there is now {aside}" if aside else "")
    say_result(as_json, text, restored=str(place), aside=str(aside) if aside else None)


def _database(config: "Config", instead: str) -> Path:
    """The file with the database. Raises RunnerError where a server has it."""
    from runner.store.database import FILE

    if config.worker.database:
        message = "the database is PostgreSQL's, and so are the tools that copy it"
        hint = instead.format(f'--dbname "${config.worker.database}"')
        raise RunnerError(Phase.STORE, Reason.UNSUPPORTED, message, hint=hint)
    return config.state / FILE
