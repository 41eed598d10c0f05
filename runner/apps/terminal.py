"""What programs print: the one door to a terminal, and to the log of whoever started us.

A file's name, an agent's words and an error of somebody's server end up in what is printed. None of them may
move a cursor, write to a clipboard, hide text, or be taken for a command of the CI service around us.
"""

import json
import logging
import sys
from datetime import datetime
from typing import IO, Any

import click

from runner.core.redact import escape_output


def say(text: str = "", *, err: bool = False, colour: str | None = None) -> None:
    """Print a text, which may hold what others wrote. It is coloured on a terminal only."""
    shown = escape_output(text)
    if colour is not None and (sys.stderr if err else sys.stdout).isatty():
        shown = click.style(shown, fg=colour)
    click.echo(shown, err=err)


def say_json(value: object) -> None:
    """Print a value as one line of JSON, in characters that no terminal and no CI service acts upon."""
    text = json.dumps(value, default=json_text).replace("##[", "#\\u0023[").replace("\x7f", "\\u007f")
    click.echo(text)


def json_text(value: object) -> str:
    """What JSON has no type for, as a string: a time in RFC 3339, as the schemas say."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_to(stream: IO[str], text: str) -> None:
    """Print a line to a stream of the caller's."""
    print(escape_output(text), file=stream, flush=True)


class SafeFormatter(logging.Formatter):
    """Log lines that hold what others wrote: what goes on in a further line is indented, and so no entry."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_output(super().format(record)).replace("\n", "\n  ")


def log_to(stream: IO[str], level: int) -> None:
    """Write the program's log to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def usage_text(error: click.ClickException) -> str:
    """What click says of a command line that is wrong, which it repeats."""
    lines: list[str] = []

    class Lines:
        def write(self, text: Any) -> None:
            lines.append(str(text))

        def flush(self) -> None:
            """Nothing is held back."""

    error.show(file=Lines())  # type: ignore[arg-type]
    return "".join(lines).rstrip("\n")
