"""What the Action shows in GitHub: ours is obeyed, everything else is only read."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from runner.apps.action.job_output import SUMMARY_LIMIT, JobOutput, truncate
from runner.core.redact import escape_output

COMMANDS = [
    "::add-mask::x",
    "  ::set-env name=PATH::/evil",
    "\t::error::x",
    "\u200b::stop-commands::x",
    "text ##[add-path]/evil",
    "##[group]",
    "a\n::add-path::/evil",
    "a\r::add-path::/evil",
    "a\x0b::add-path::/evil",
    "a\u2028::add-path::/evil",
    "###[add-path]x",
]


def obeyed(line: str) -> bool:
    """Whether GitHub's runner takes a line for a command: its two parsers, as its source has them."""
    return line.strip().startswith("::") or "##[" in line


@pytest.mark.parametrize("text", COMMANDS)
def test_no_text_is_a_command(text: str) -> None:
    assert not any(obeyed(line) for line in escape_output(text).split("\n"))


def test_other_text_stays_as_it_is() -> None:
    text = "std::vector<int> a[2]; # [x] ## Title\n  indented: yes\nhttps://x"
    assert escape_output(text) == text


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {name: tmp_path / name for name in ("output", "summary", "env")}


def presence(files: dict[str, Path], log: io.StringIO, **more: Any) -> JobOutput:
    guarded = tuple(files.values())
    return JobOutput(log=log, outputs=files["output"], summary=files["summary"], guarded=guarded, **more)


def test_a_group_shows_and_never_obeys(files: dict[str, Path]) -> None:
    log = io.StringIO()
    with presence(files, log).group("docs: 50 % of\nv1"):
        presence(files, log).print_line("::add-path::/evil")
    first, stop, said, resume, last = log.getvalue().splitlines()
    assert first == "::group::docs: 50 %25 of%0Av1"
    assert resume == f"::{stop.removeprefix('::stop-commands::')}::"
    assert not obeyed(said)
    assert last == "::endgroup::"


def test_secrets_are_masked_here_and_by_github(files: dict[str, Path]) -> None:
    log = io.StringIO()
    shown = presence(files, log, secrets=["s3cret-one\ns3cret-two"])
    shown.print_line("it is s3cret-two")
    shown.annotate("error", "and s3cret-one")
    shown.write("s3cret-one")
    shown.finish({"state": "s3cret-two"})
    assert log.getvalue().splitlines() == [
        "::add-mask::s3cret-one",
        "::add-mask::s3cret-two",
        "it is ***",
        "::error::and ***",
    ]
    assert "s3cret" not in files["summary"].read_text() + files["output"].read_text()


def test_annotations_name_the_line_and_are_bounded(files: dict[str, Path]) -> None:
    log = io.StringIO()
    shown = presence(files, log)
    for _ in range(12):
        shown.annotate("error", "wrong\nvery", "skills/a,b/skill.yaml", 3, 7)
    lines = log.getvalue().splitlines()
    assert lines[0] == "::error file=skills/a%2Cb/skill.yaml,line=3,col=7::wrong%0Avery"
    assert sum(line.startswith("::error") for line in lines) == 10
    assert lines[-2] == "error: skills/a,b/skill.yaml:3: wrong"


HOSTILE = "a\x1b]52;c;ZXZpbA==\x07\r\u202eb\u200b" + b"\xe9".decode(errors="surrogateescape")


def test_no_line_of_ours_carries_what_a_terminal_obeys(files: dict[str, Path]) -> None:
    """A file's name is in a group's title, in an annotation and in the summary."""
    log = io.StringIO()
    shown = presence(files, log)
    with shown.group(HOSTILE):
        shown.print_line(HOSTILE)
    for _ in range(12):
        shown.annotate("error", HOSTILE, f"skills/{HOSTILE}/skill.yaml", 1, 1)
    shown.write(f"- `{HOSTILE}`")
    shown.finish({})
    printed = log.getvalue() + files["summary"].read_text()
    assert not set("\x1b\x07\r\u202e\u200b\udce9") & set(printed)
    assert "\u241b]52;c;ZXZpbA==" in printed


def test_what_others_wrote_into_the_steps_files_is_undone(files: dict[str, Path]) -> None:
    files["env"].write_text("BEFORE=1\n")
    shown = presence(files, io.StringIO())
    files["env"].write_text("BEFORE=1\nPATH=/evil\n")
    files["output"].write_text("state=hacked\n")
    shown.finish({"state": "succeeded", "decisions": json.dumps(["x\nstate=y"])})
    assert files["env"].read_text() == "BEFORE=1\n"
    name, value, end = files["output"].read_text().splitlines()[:3]
    assert (name, value) == (f"state<<{end}", "succeeded")
    assert "hacked" not in files["output"].read_text()


def test_a_summary_that_is_too_long_is_cut_and_says_so(files: dict[str, Path]) -> None:
    shown = presence(files, io.StringIO())
    shown.write("é line\n" * 300_000)
    shown.finish({})
    text = files["summary"].read_bytes()
    assert SUMMARY_LIMIT - 200 < len(text) <= SUMMARY_LIMIT
    assert text.decode().rstrip().endswith("the whole is in the log of the run.")
    assert truncate("short", 100) == b"short"


def test_without_files_only_the_log_is_written() -> None:
    log = io.StringIO()
    shown = JobOutput(log=log, outputs=None, summary=None)
    shown.print_line("hello")
    shown.finish({"state": "x"})
    assert log.getvalue() == "hello\n"
