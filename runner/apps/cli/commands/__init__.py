"""The commands of the command line, one file each, and the options that all of them get."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.config.settings import Config
    from runner.run.place import LocalPlace
    from runner.store.records import RunScope


json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")


def say_result(as_json: bool, text: str, **facts: object) -> None:
    """Print what a command did: a line for people, or the facts as JSON."""
    if as_json:
        say_json(facts)
    else:
        say(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that stand before the command."""

    root: Path  # where to look for the repository
    config: Path | None = None
    state_dir: Path | None = None
    quiet: bool = False


def time_option(option: str, text: str) -> datetime:
    """A time that an option gives, in ISO 8601; UTC if it is bare. Raises RunnerError."""
    from runner.core import units

    try:
        return units.parse_time(text)
    except ValueError as error:
        message, hint = f"{option} {text!r} is no time", f"{option} 2026-11-21T09:00"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint) from error


def place_of_options(options: Options, **flags: str | None) -> "LocalPlace":
    """The repository and the configuration that the options name; `flags` are configuration keys."""
    from runner.run.place import local_place

    return local_place(options.root, options.config, {**flags, **state_dir(options)})


def settings(options: Options) -> "Config":
    """The configuration that the options name: of a repository, or of any folder, with or without a file.

    Runs are found in the run store, and that needs no repository. Raises RunnerError NOT_A_REPOSITORY for a
    folder that is not there.
    """
    from runner.clients.git.local import find_root
    from runner.config.settings import load_config

    root = find_root(options.root)
    if root is None and not options.root.is_dir():
        return place_of_options(options).config
    return load_config(root or options.root, file=options.config, flags=state_dir(options))


def stands_in_worker_folder(options: Options) -> bool:
    """Whether the options name a worker's folder, which is no checkout."""
    from runner.clients.git.local import find_root

    return find_root(options.root) is None and is_worker_folder(options)


def is_worker_folder(options: Options) -> bool:
    """Whether the options name a configuration, or a folder that holds one, as that of a worker does."""
    from runner.config.settings import FILE

    return options.config is not None or (options.root / FILE).is_file()


def scope_of(options: Options) -> "RunScope | None":
    """The runs of the repository in which one stands; None: one stands in none, and all are meant."""
    return scope_at(options.root)


def scope_at(folder: Path) -> "RunScope | None":
    """The runs of the repository that holds a folder; None: there is none."""
    from runner.clients.git.local import address, find_root, main_worktree, origin_of
    from runner.store.records import RunScope

    root = find_root(folder)
    if root is None:
        return None
    origin = origin_of(root)
    found = address(origin)
    local = "" if found else origin.removeprefix("file://")
    folders = [root, *([(root / local).resolve()] if local else [])]
    folders += [main_worktree(one) for one in folders]  # by which runs of a linked worktree are known
    return RunScope(name=found[1] if found else "", folders=tuple(dict.fromkeys(map(str, folders))))


def who_am_i() -> str:
    """The person at this command line, as their machine calls them: "ada@box"."""
    name = os.environ.get("SUDO_USER") or os.environ.get("USER") or os.environ.get("LOGNAME")
    return f"{name or f'user {os.getuid()}'}@{os.uname().nodename}"


def state_dir(options: Options) -> dict[str, str | None]:
    """The folder that the options name, as a flag of the configuration."""
    return {"state_dir": str(options.state_dir.absolute()) if options.state_dir else None}
