"""`skillrunner pr`: the pull requests of the local forge."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import place_of_options
from runner.apps.terminal import say, say_json

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.publish.forges import Forge
    from runner.run.place import LocalPlace


@click.group()
def command() -> None:
    """Work with the pull requests of the local forge."""


@contextmanager
def _forge(options: "Options") -> Iterator[tuple["LocalPlace", "Forge"]]:
    from runner.run import bootstrap

    place = place_of_options(options)
    with bootstrap.open_store(place.config) as runs:
        yield place, bootstrap.make_forge(place, runs)


@command.command("list")
@click.option("--all", "every", is_flag=True, help="Merged and closed ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_obj
def list_(options: "Options", every: bool, as_json: bool) -> None:
    """List open pull requests."""
    from runner.apps.console import one_line, table

    with _forge(options) as (_, forge):
        pulls = forge.commands().list_pull_requests(None if every else "open")
    if as_json:
        say_json([asdict(pull) for pull in pulls])
        return
    rows = [
        (
            str(pull.number),
            pull.state + (" draft" if pull.draft else ""),
            one_line(pull.branch),
            one_line(pull.title, 60),
        )
        for pull in pulls
    ]
    for line in table(rows, heads=("NUMBER", "STATE", "BRANCH", "TITLE")) if rows else ("no pull requests",):
        say(line)


@command.command()
@click.argument("number", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def show(options: "Options", number: int, as_json: bool) -> None:
    """Show pull request NUMBER."""
    from runner.core.redact import escape_invisible

    with _forge(options) as (_, forge):
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
@click.pass_obj
def merge(options: "Options", number: int) -> None:
    """Merge pull request NUMBER into its base; a base that is checked out is brought along.

    What you have merged by hand is only noted as merged.
    """
    import tempfile
    from pathlib import Path

    from runner.workspace.changeset import Changeset
    from runner.workspace.mirror import Mirror

    with _forge(options) as (place, forge), tempfile.TemporaryDirectory() as scratch:
        commands, remote = forge.commands(), forge.remote()
        mirror = Mirror(place.config.state, remote.url)
        mirror.fetch(remote)
        merged = commands.merge_pull_request(number, Changeset(Path(scratch) / "merge.git", mirror.objects))
    say(f"#{number} {merged.state} into {merged.base}")


@command.command()
@click.argument("number", type=int)
@click.pass_obj
def close(options: "Options", number: int) -> None:
    """Close pull request NUMBER unmerged: what it proposed is not proposed again."""
    with _forge(options) as (_, forge):
        say(f"#{number} {forge.commands().close_pull_request(number).state}")


@command.command()
@click.argument("number", type=int)
@click.pass_obj
def reopen(options: "Options", number: int) -> None:
    """Open the closed pull request NUMBER again: it is kept up to date from then on."""
    with _forge(options) as (_, forge):
        say(f"#{number} {forge.commands().reopen_pull_request(number).state}")


@command.command()
@click.argument("number", type=int)
@click.argument("label")
@click.pass_obj
def label(options: "Options", number: int, label: str) -> None:
    """Set LABEL on pull request NUMBER: skillrunner:take-over gives a branch back after others' commits."""
    from runner.apps.console import one_line

    with _forge(options) as (_, forge):
        labels = forge.commands().label_pull_request(number, label).labels
    say(one_line(f"#{number} {', '.join(labels)}"))
