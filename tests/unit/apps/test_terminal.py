"""Whatever is printed, a terminal does nothing but show it, and a CI service finds no command in it."""

import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from runner.apps import terminal
from runner.apps.console import Progress
from runner.core.redact import escape_invisible
from tests.parts.cli import Project, skill_files

HOSTILE = {
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "clipboard, 8 bit": "\x9d52;c;ZXZpbA==\x9c",
    "title": "\x1b]0;evil\x1b\\",
    "colour": "\x1b[31mred",
    "carriage return": "harmless\rerror: none",
    "backspace": "evil\b\b\b\bgood",
    "right to left": "a\u202egpj.exe",
    "isolate": "a\u2066b\u2069",
    "zero width": "a\u200bb",
    "tags": "a\U000e0041\U000e0042",
    "variation selectors": "a\ufe01\U000e0101",
    "fillers": "a\u3164b\u115fc\u034fd\xade",
    "no UTF-8": b"caf\xe9".decode(errors="surrogateescape"),
    "command": "::error file=a::owned",
    "command in a further line": "fine\n::error::owned",
    "command after white space": "fine\n \t::set-env name=PATH::/evil",
    "old command": "see ##[add-path]/evil",
}
SEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0e\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)


def is_inert(text: str) -> bool:
    obeyed = any(line.strip().startswith("::") or "##[" in line for line in text.split("\n"))
    return not obeyed and SEEN.search(text) is None


hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


@hostile
def test_what_is_said_is_inert(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(text)
    terminal.say(f"error: {text}", err=True)
    shown = capsys.readouterr()
    assert is_inert(shown.out)
    assert is_inert(shown.err)


@hostile
def test_json_that_is_said_is_inert_and_says_the_same(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say_json({text: [text]})
    shown = capsys.readouterr().out
    assert is_inert(shown)
    assert json.loads(shown) == {text: [text]}


@hostile
def test_log_lines_are_inert(text: str) -> None:
    try:
        raise LookupError(text)
    except LookupError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s", (text,), sys.exc_info())
    shown = terminal.SafeFormatter("%(levelname)s %(message)s").format(record)
    assert is_inert(shown)
    assert all(line.startswith("  ") for line in shown.split("\n")[1:])


@hostile
def test_a_runs_progress_is_inert(text: str) -> None:
    stream = io.StringIO()
    terminal.print_to(stream, text)
    Progress(quiet=False, stream=stream)._print(text, bold=False)
    assert is_inert(stream.getvalue())


@hostile
def test_a_wrong_command_line_is_repeated_inertly(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(terminal.usage_text(click.UsageError(f"No such option: {text}")), err=True)
    assert is_inert(capsys.readouterr().err)


@pytest.mark.parametrize("text", ["std::vector<int>", "## Title", "a\tb\n\nc", "naïve → 日本 ❤️ ✓", "# [x]"])
def test_other_text_stays_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert escape_invisible(text) == text
    terminal.say(text)
    assert capsys.readouterr().out == f"{text}\n"


NAME = "a\x1b]52;c;ZXZpbA==\x07\n::error::owned"


def test_a_hostile_file_name_does_nothing_in_any_command(project: Project) -> None:
    """It wrote to the clipboard, and issued an error in the log of a job."""
    folder = project.root / "skills" / NAME
    folder.mkdir(parents=True)
    (folder / "skill.yaml").write_text("version: 1\n")
    for command in (["validate"], ["validate", NAME], ["run", NAME], [f"--{NAME}"], [NAME], ["show", NAME]):
        done = project.skillrunner(*command)
        assert done.code != 0, command
        assert is_inert(done.out), command
        assert is_inert(done.err), command


def test_a_process_prints_the_same_way(project: Project, tmp_path: Path) -> None:
    project.commit(
        skill_files("one", "on: {manual: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n")
    )
    said = [sys.executable, "-m", "runner", "-C", str(project.root), "why", NAME]
    variables = {"HOME": str(tmp_path), "SKILLRUNNER_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(said, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode not in (0, 70), done.stderr
    assert is_inert(done.stdout + done.stderr)
