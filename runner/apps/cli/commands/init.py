"""`skillrunner init`: a configuration and a folder for skills."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from runner.apps.cli.commands import json_option, say_result
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.apps.cli.commands import Options

_CONFIG = """\
# yaml-language-server: $schema=https://raw.githubusercontent.com/skillrunner/skillrunner/main/schemas/config.schema.json
# How skillrunner works in this repository. Everything here is optional; the keys are described in
# docs/configuration.md of skillrunner.

# The container image of skills that name none.
image: python:3.12-slim

# The agent's CLI, which is fetched once and shown to the container: the image need not hold it. Use
# {binary: ~/.local/bin/claude} for one of this machine; without either, it has to be in the image.
harnesses:
  claude-code: {version: tested}

# limits: {timeout: 30m, cost_usd: 3}
"""


@click.command()
@json_option
@click.pass_obj
def command(options: "Options", as_json: bool) -> None:
    """Prepare the repository: writes skillrunner.yaml and skills/, and touches nothing that is there."""
    from runner.clients.git import discover
    from runner.config.settings import FILE

    root = discover(options.root).root
    config, skills = root / FILE, root / "skills"
    with write_errors():
        written = not config.exists()
        if written:
            config.write_text(_CONFIG)
        skills.mkdir(exist_ok=True)
    told = f"wrote {FILE}" if written else f"{FILE} is there already"
    following = "next: skillrunner new NAME, and skillrunner doctor"
    say_result(as_json, f"{told}\n{following}", written=[FILE] if written else [], root=str(root))


@contextmanager
def write_errors() -> Iterator[None]:
    """A file of the repository that cannot be written becomes a RunnerError that names it."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename} cannot be written: {error.strerror}"
        hint = "check what is there, and who may write to it"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint) from error
