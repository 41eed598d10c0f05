"""`skillrunner pr`: the pull requests of the local forge."""

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import (
    json_option,
    place_of_options,
    say_result,
    settings,
    stands_in_worker_folder,
)
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.apps.cli.commands import Options
    from runner.publish.forges import Forge
    from runner.run.place import Place


@click.group()
def command() -> None:
    """Work with the pull requests of the local forge."""


_repository = click.option(
    "--repository", metavar="NAME", help="In a worker's folder: which of its repositories."
)


@contextmanager
def _forge(options: "Options", repository: str | None) -> "Iterator[tuple[Place, Forge]]":
    """The forge of the repository where one stands, or of the one that a worker's folder means."""
    with _forges(options, repository) as found:
        if len(found) > 1:
            message = f"the worker here serves several: {', '.join(name for name, _, _ in found)}"
            hint = f"say which one is meant: --repository {found[0][0]}"
            raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
        yield found[0][1:]


@contextmanager
def _forges(options: "Options", repository: str | None) -> "Iterator[list[tuple[str, Place, Forge]]]":
    """The repositories that are meant: each with its name, place and forge."""
    from runner.run import bootstrap, stores

    if not stands_in_worker_folder(options):
        if repository is not None:
            message = "--repository means one of several in a worker's folder, and this is a checkout"
            hint = "leave it out, or go to the worker's folder: skillrunner -C FOLDER pr list"
            raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
        place = place_of_options(options)
        with stores.open_store(place.config) as runs:
            yield [("", place, bootstrap.make_forge(place, runs))]
        return
    from runner.apps.worker.places import local_places

    config = settings(options)
    with stores.open_store(config) as runs:
        places = local_places(config, repository).items()
        yield [(name, place, bootstrap.make_forge(place, runs)) for name, place in places]


@command.command("list")
@click.option("--all", "every", is_flag=True, help="Merged and closed ones too.")
@_repository
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def list_(options: "Options", every: bool, repository: str | None, as_json: bool) -> None:
    """List open pull requests."""
    from runner.apps.console import one_line, table

    state = None if every else "open"
    with _forges(options, repository) as forges:
        found = [
            (name, pull) for name, _, forge in forges for pull in forge.commands().list_pull_requests(state)
        ]
    if as_json:
        say_json([{**asdict(pull), **({"repository": name} if name else {})} for name, pull in found])
        return
    several = len(forges) > 1
    rows = [
        (
            *((one_line(name, 60),) if several else ()),
            str(pull.number),
            pull.state + (" draft" if pull.draft else ""),
            one_line(pull.branch),
            one_line(pull.title, 60),
        )
        for name, pull in found
    ]
    heads = (*(("REPOSITORY",) if several else ()), "NUMBER", "STATE", "BRANCH", "TITLE")
    for line in table(rows, heads=heads) if rows else ("no pull requests",):
        say(line)


@command.command()
@click.argument("number", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@_repository
@click.pass_obj
def show(options: "Options", number: int, repository: str | None, as_json: bool) -> None:
    """Show pull request NUMBER."""
    from runner.core.redact import escape_invisible

    with _forge(options, repository) as (_, forge):
        pull, comments = forge.commands().show_pull_request(number)
    if as_json:
        say_json({**asdict(pull), "comments": list(comments)})
        return
    draft, labels = (" draft" if pull.draft else ""), ", ".join(pull.labels)
    say(pull.title)
    say(f"#{number} {pull.state}{draft}: {pull.branch} → {pull.base}  {labels}".rstrip())
    for text in (pull.body, *comments):
        say(
            "\n"
            + "\n".join(escape_invisible(line) for line in text.splitlines() if not line.startswith("<!--"))
        )


@command.command()
@click.argument("number", type=int)
@_repository
@json_option
@click.pass_obj
def merge(options: "Options", number: int, repository: str | None, as_json: bool) -> None:
    """Merge pull request NUMBER into its base; a base that is checked out is brought along.

    What you have merged by hand is only noted as merged.
    """
    import tempfile
    from pathlib import Path

    from runner.workspace.changeset import Changeset
    from runner.workspace.mirror import Mirror

    with _forge(options, repository) as (place, forge), tempfile.TemporaryDirectory() as scratch:
        commands, remote = forge.commands(), forge.remote()
        mirror = Mirror(place.config.state, remote.url)
        mirror.fetch(remote)
        merged = commands.merge_pull_request(number, Changeset(Path(scratch) / "merge.git", mirror.objects))
    say_result(as_json, f"#{number} {merged.state} into {merged.base}", **asdict(merged))


@command.command()
@click.argument("number", type=int)
@_repository
@json_option
@click.pass_obj
def close(options: "Options", number: int, repository: str | None, as_json: bool) -> None:
    """Close pull request NUMBER unmerged: what it proposed is not proposed again."""
    with _forge(options, repository) as (_, forge):
        pull = forge.commands().close_pull_request(number)
    say_result(as_json, f"#{number} {pull.state}", **asdict(pull))


@command.command()
@click.argument("number", type=int)
@_repository
@json_option
@click.pass_obj
def reopen(options: "Options", number: int, repository: str | None, as_json: bool) -> None:
    """Open the closed pull request NUMBER again: it is kept up to date from then on."""
    with _forge(options, repository) as (_, forge):
        pull = forge.commands().reopen_pull_request(number)
    say_result(as_json, f"#{number} {pull.state}", **asdict(pull))


@command.command()
@click.argument("number", type=int)
@click.argument("label")
@_repository
@json_option
@click.pass_obj
def label(options: "Options", number: int, repository: str | None, label: str, as_json: bool) -> None:
    """Set LABEL on pull request NUMBER: skillrunner:take-over gives a branch back after others' commits."""
    from runner.apps.console import one_line

    if not label.strip():
        hint = f"name one: skillrunner pr label {number} skillrunner:take-over"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, "an empty label says nothing", hint=hint)
    with _forge(options, repository) as (_, forge):
        pull = forge.commands().label_pull_request(number, label)
    say_result(as_json, one_line(f"#{number} {', '.join(pull.labels)}"), **asdict(pull))
