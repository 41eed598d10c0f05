"""`skillrunner schema`: the JSON schemas of files and records."""

import click

from runner.apps.cli.commands import json_option
from runner.apps.terminal import say, say_json
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


@click.command()
@click.argument("name", default="")
@json_option
def command(name: str, as_json: bool) -> None:
    """Print the JSON schema NAME, or without it the names of all.

    `skill` and `config` are for editors: they check what people write. The others tell what `--json` prints.
    """
    from runner.config.documents import closest
    from runner.skills.schema import schema_text, schemas

    found = schemas()
    if not name:
        if as_json:
            say_json(found)
        else:
            say("\n".join(found))
        return
    if name not in found:
        message, hint = f"there is no schema {name!r}", closest(name, found)
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)
    say(schema_text(found[name]).rstrip("\n"))
