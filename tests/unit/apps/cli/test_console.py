"""What people see: untrusted text is harmless on a terminal, and a live line only where there is one."""

import io
import os
import pty
import select
from datetime import UTC, datetime, timedelta

import pytest

from runner.apps.console import Progress, activity_text, age_text, cost_text, one_line, table
from runner.core.model import Message, Phase, RunEvent, RunState, ToolCall, Usage, UsageReport

NOW = datetime.now(UTC)


def event(message: str = "begins", state: RunState | None = None) -> RunEvent:
    return RunEvent(run_id="r", at=NOW, phase=Phase.HARNESS, message=message, state=state)


def test_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    with Progress(quiet=False, stream=stream) as progress:
        progress.observe(event("hello \x1b[31mred\nnext"))
        progress.transcript(Message(text="unseen"))
    (line,) = stream.getvalue().splitlines()
    assert line[9:] == "harness   hello ␛[31mred next"


def test_quiet_says_nothing() -> None:
    stream = io.StringIO()
    with Progress(quiet=True, stream=stream) as progress:
        progress.observe(event())
    assert stream.getvalue() == ""


def _read_until(terminal: int, sought: str) -> str:
    """What a terminal was sent: it arrives in pieces, and the first may be no more than "hide the cursor"."""
    printed = ""
    while sought not in printed and select.select([terminal], [], [], 10)[0]:
        printed += os.read(terminal, 65536).decode(errors="replace")
    return printed


def test_a_terminal_gets_a_live_line() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, Progress(quiet=False, stream=stream) as progress:
        progress.observe(event("begins", RunState.RUNNING))
        progress.transcript(ToolCall(call_id="1", tool="Bash", arguments={"command": "make\x1b]0;x\x07"}))
        progress.transcript(UsageReport(usage=Usage(tokens_in=1_000, tokens_out=20, cost_usd=0.2)))
        progress.transcript(UsageReport(usage=Usage(tokens_in=500, tokens_out=5, cost_usd=0.3)))
        shown = str(progress._line())
        stream.flush()
        printed = _read_until(ours, "begins")
    os.close(ours)
    assert "begins" in printed
    assert "harness Bash" in shown
    assert "\x1b" not in shown
    assert shown.endswith(" 1,500 in, 25 out $0.50")


def test_the_harness_s_own_total_goes_before_what_is_added_up() -> None:
    with Progress(quiet=True, stream=io.StringIO()) as progress:
        progress.transcript(UsageReport(usage=Usage(tokens_in=7)))
        progress.transcript(UsageReport(usage=Usage(tokens_in=5, tokens_out=1), total=True))
        assert str(progress._line()).endswith(" 5 in, 1 out")
    assert cost_text(Usage()) == ""


def test_words_for_events() -> None:
    assert activity_text(Message(text="a\nb")) == "a b"
    assert activity_text(ToolCall(call_id="1", tool="Read")) == "Read"
    assert activity_text(UsageReport(usage=Usage())) == ""
    assert one_line("x" * 200, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("before", "words"), [(5, "5 s ago"), (150, "2 min ago"), (7_300, "2 h ago"), (200_000, "2 days ago")]
)
def test_how_long_ago(before: int, words: str) -> None:
    assert age_text(datetime.now(UTC) - timedelta(seconds=before)) == words
    assert age_text(None) == "never"


def test_tables_are_aligned() -> None:
    assert list(table([("a", "bbb")], heads=("XX", "Y"))) == ["XX  Y", "a   bbb"]
