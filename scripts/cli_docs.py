"""Write docs/cli.md from the command line itself; with --check only tell whether it is up to date."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from runner.apps.cli.main import VERBS, group
from runner.core.errors import ExitCode

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
CODES = {
    ExitCode.OK: "it succeeded, or there was nothing to do",
    ExitCode.FAILED: "the skill or the agent did not do it",
    ExitCode.USAGE: "the command line was wrong",
    ExitCode.INVALID: "a skill, a configuration or an input is not valid, or a secret is missing",
    ExitCode.BLOCKED: "the policy refused, or a person's work goes first",
    ExitCode.TIMED_OUT: "a limit on time was reached",
    ExitCode.ERROR: "the runner or its surroundings broke",
    ExitCode.BUG: "an error that nobody expected; a report was written",
    ExitCode.INTERRUPTED: "Ctrl-C or SIGTERM",
}


def page() -> str:
    """The whole page."""
    return "\n".join(
        (
            "# The command line",
            "",
            "Made by `make generate` from the program itself.",
            "",
            *_help(group, "skillrunner"),
            "## Exit codes",
            "",
            "| code | meaning |",
            "|---|---|",
            *(f"| {code.value} | {CODES[code]} |" for code in ExitCode),
            "",
        )
    )


def _help(
    command: click.Command, name: str, level: int = 2, parent: click.Context | None = None
) -> Iterator[str]:
    """The help of a command and of those below it, as the program itself prints it: `-h` is inherited."""
    context = click.Context(command, parent, info_name=name, terminal_width=100, **command.context_settings)
    path = context.command_path
    yield from (f"{'#' * level} {path}", "", "```text", command.get_help(context), "```", "")
    if isinstance(command, click.Group):
        for verb in VERBS if command is group else command.commands:
            found = command.get_command(context, verb)
            assert found is not None
            yield from _help(found, verb, level + 1, context)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text() != page())
    PAGE.write_text(page())
