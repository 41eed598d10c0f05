"""`skillrunner refuse`: end a run that waits, and publish nothing of it."""

from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options


@click.command()
@click.argument("run")
@click.option("--reason", required=True, help="Why, for those who look at it later.")
@click.option("--digest", default="", help="Only if it still has this digest, or one that begins so.")
@json_option
@click.pass_obj
def command(options: "Options", run: str, reason: str, digest: str, as_json: bool) -> None:
    """Refuse what RUN proposes: the run ends, and nothing of it is published."""
    from runner.apps.cli.answers import answer_of, answer_stored

    answered = answer_stored(options, run, answer_of(False, digest, reason))
    assert answered is not None  # nothing is to be published
    approval = answered.approval
    before = "" if answered.is_new else f": {approval.who} has refused it before"
    told = {"id": approval.run_id, "verdict": approval.verdict, "who": approval.who}
    say_result(as_json, f"refused: {approval.run_id}{before}", digest=approval.digest, **told)
