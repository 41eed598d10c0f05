"""`skillrunner approve`: publish what a run made and waits with."""

from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result
from runner.core.errors import exit_code

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options
    from runner.core.model import ApprovalRecord


@click.command()
@click.argument("run")
@click.option("--digest", default="", help="Only if it still has this digest, or one that begins so.")
@click.option("--reason", default="", help="Why, for those who look at it later.")
@json_option
@click.pass_context
def command(context: click.Context, run: str, digest: str, reason: str, as_json: bool) -> None:
    """Approve what RUN proposes, so that it is published.

    A worker's run is published by a worker; one that was started by hand, here and now. The answer counts
    for what `show` and `diff` show: with --digest for nothing else, whatever happens meanwhile.
    """
    from runner.apps.cli.answers import answer_of, answer_stored, id_of, publish_here

    options: Options = context.obj
    answer = answer_of(True, digest, reason)
    if (answered := answer_stored(options, run, answer)) is not None:
        who = (
            "a worker publishes it" if answered.is_new else f"{answered.approval.who} has approved it before"
        )
        _say(as_json, answered.approval, who)
        return
    answered, end = publish_here(options, id_of(options, run), answer)
    if end is None:
        _say(as_json, answered.approval, f"{answered.approval.who} has approved it before")
        return
    _say(as_json, answered.approval, f"{end.state}: {end.message}", state=end.state)
    context.exit(exit_code(end))


def _say(as_json: bool, approval: "ApprovalRecord", text: str, **facts: object) -> None:
    told = {"id": approval.run_id, "verdict": approval.verdict, "who": approval.who, **facts}
    say_result(as_json, f"approved: {approval.run_id}: {text}", digest=approval.digest, **told)
