"""How `skillrunner logs` writes the events of a transcript."""

from typing import Any

import pytest

from runner.apps.cli.commands.logs import timed_line

AT = {"at": "2026-01-02T03:04:05.678+00:00"}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"type": "message", "text": "Hello."}, "Hello."),
        ({"type": "tool_call", "tool": "Bash", "arguments": {"command": "ls"}, "parent": "1"}, "  > Bash"),
        (
            {"type": "session", "session_id": "s", "model": "m", "version": "1"},
            "* session s, model m, version 1",
        ),
        ({"type": "session", "session_id": "s", "model": None, "version": None}, "* session s"),
        (
            {"type": "usage", "total": True, "model": "m", "usage": {"tokens_in": 1200, "tokens_out": 3}},
            "* used 1,200 tokens in, 3 out (m)",
        ),
        (
            {"type": "usage", "total": True, "usage": {"tokens_in": 1, "tokens_out": 3, "cost_usd": 0.5}},
            "* used 1 tokens in, 3 out, $0.5000",
        ),
        ({"type": "usage", "total": True, "usage": None}, "* used an unknown number of tokens"),
    ],
)
def test_a_line_has_the_time_at_which_it_came(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], text: str
) -> None:
    line = timed_line({**AT, **event})
    assert line[2] == line[5] == ":"
    assert line.endswith(("04:05 " + text, text)) or f" {text}" in line
    assert line[6:8] == "05"


@pytest.mark.parametrize("at", [None, "x", 5, "9999-99-99"])
def test_a_line_without_a_time_says_so(at: object) -> None:
    assert timed_line({"at": at, "type": "message", "text": "Hello."}) == "--:--:-- Hello."


def test_what_says_nothing_has_no_line() -> None:
    assert timed_line({**AT, "type": "usage", "usage": {}}) == ""
    assert timed_line(None) == "! the transcript was cut here"
