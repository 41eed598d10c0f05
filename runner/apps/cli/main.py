"""The command line. Commands are imported when they are asked for, so that `--help` is quick."""

import importlib
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from runner import __version__
from runner.apps.cli.commands import Options
from runner.apps.terminal import say, say_json, usage_text
from runner.core.errors import ExitCode, RunnerError, exit_code
from runner.core.paths import with_home

VERBS = {
    "init": "Prepare a repository for skills.",
    "new": "Make a skill that validates as it is.",
    "validate": "Check skill files.",
    "approve": "Publish what a run waits with.",
    "refuse": "Publish nothing of what a run waits with.",
    "cancel": "Stop a run of a worker.",
    "retry": "Have a worker do a run again.",
    "worker": "Work for repositories: poll, decide, and run what is due.",
    "workflow": "Work with the GitHub workflow of the skills.",
    "run": "Run a skill now.",
    "record": "Run a skill with its real model, and keep that as a case.",
    "test": "Replay the cases of skills, with no model and no network.",
    "list": "List runs, or skills.",
    "backfill": "Queue runs for slots of the past that had none.",
    "why": "Say what became of what was due.",
    "show": "Show a run: states, checks, causes, cost, receipts.",
    "logs": "Show what the agent did; -f follows it live.",
    "steer": "Say something to an agent while it works, or stop it.",
    "continue": "Go on from a run that has ended, in a new one.",
    "handoff": "Go on by hand: its work in a checkout, its agent's session in a home.",
    "attach": "Follow a run, and say what is typed to its agent.",
    "notes": "Show what agents noted for later runs, or forget it.",
    "diff": "Show what a run proposed.",
    "attest": "Show and verify how what was published came about.",
    "pr": "Work with the pull requests of the local forge.",
    "app": "Make a GitHub App for a worker or the Action.",
    "action": "Decide and run inside a GitHub workflow.",
    "schema": "Print the JSON schema of a file or record.",
    "completion": "Print what a shell needs to complete command lines.",
    "doctor": "Check what a run needs, and say the next command.",
}


class CommandGroup(click.Group):
    """Lists the commands of the table above, and imports the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"runner.apps.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("-C", "--repo", "root", type=click.Path(path_type=Path), default=Path(), help="The repository.")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where runs are kept.")
@click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")
@click.version_option(__version__, prog_name="skillrunner")
@click.pass_context
def group(
    context: click.Context, root: Path, config: Path | None, state_dir: Path | None, quiet: bool
) -> None:
    """Skills as code: a committed skill becomes a sandboxed agent run that opens a pull request."""
    context.obj = Options(root=root, config=config, state_dir=state_dir, quiet=quiet)


def main() -> None:
    """The entry point: every error becomes a message and an exit code, never a traceback."""
    try:
        code = group.main(prog_name="skillrunner", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.ClickException as error:
        say(usage_text(error), err=True)
        sys.exit(ExitCode.USAGE)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except RunnerError as error:
        _tell(error)
        sys.exit(exit_code(error.end))
    except Exception as error:  # noqa: BLE001 - the edge of the process
        sys.exit(_report(error))


def _tell(error: RunnerError) -> None:
    if "--json" in sys.argv:
        told = {"error": error.message, "reason": error.reason, "phase": error.phase, "hint": error.hint}
        say_json(told)
    say(f"error: {error.message}", err=True)
    if error.hint:
        say(f"hint: {error.hint}", err=True)


def _reports() -> Path:
    """The folder of reports. Whatever is wrong with the state directory, a report has a place."""
    if state := os.environ.get("SKILLRUNNER_STATE_DIR"):
        return Path(state) / "reports"
    with suppress(RunnerError):
        return Path(os.environ.get("XDG_STATE_HOME") or with_home("~/.local/state"), "skillrunner/reports")
    return Path(tempfile.gettempdir()) / f"skillrunner-{os.getuid()}" / "reports"


def _report(error: Exception) -> ExitCode:
    """Write a report for developers, and print one line for the user. It holds no environment variables."""
    path = _reports() / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    text = "".join(traceback.format_exception(error))
    versions = f"skillrunner {__version__}, Python {sys.version}, {sys.platform}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"{versions}verb: {' '.join(sys.argv[1:2])}\n\n{text}")
        report = f"the report to send is {path}"
    except OSError as refused:
        report = f"no report of it could be written to {path} ({refused.strerror})"
    say(f"error: {type(error).__name__}: {error}", err=True)
    say(f"hint: this is a bug in skillrunner; {report}", err=True)
    return ExitCode.BUG
