"""Oz: its command line, and what recordings mean that are written by hand after its public sources."""

from dataclasses import replace
from typing import Any

import pytest

from runner.core.model import (
    FileEdit,
    Message,
    Reason,
    Reasoning,
    SessionStart,
    ToolCall,
    ToolResult,
    Unknown,
    Usage,
)
from runner.harnesses.oz import Oz, OzReader
from tests.parts.recordings import exited, judged, lines, read, recorded, stopped, task


def test_the_command_line_names_a_file_that_holds_the_prompt() -> None:
    launch = Oz().launch(task("oz", model="auto"))
    assert launch.argv[:5] == ("oz", "agent", "run", "--output-format", "json")
    assert launch.argv[6] == "Do what the file /exchange/oz-prompt.md says."
    assert launch.argv[7:] == ("--sandboxed", "--model", "auto")
    assert launch.files == {"oz-prompt.md": b"Do the work.\n"}


def test_a_profile_says_what_is_allowed() -> None:
    launch = Oz().launch(replace(task("oz", profile="P1"), program="/opt/oz"))
    assert launch.argv[0] == "/opt/oz"
    assert launch.argv[-2:] == ("--profile", "P1")


def test_its_model_is_not_behind_the_gateway() -> None:
    assert Oz.model is None
    assert Oz().launch(task("oz")).variables == {}


def test_a_good_session_is_normalised() -> None:
    events = read(OzReader(), recorded("oz-ok"))
    assert [type(event) for event in events] == [
        *(Unknown, SessionStart, Reasoning, Message, ToolCall, ToolResult, FileEdit),
        *(ToolCall, Unknown, ToolResult, Message),
    ]
    assert events[1].session_id == "9b7cf0de-0000-4000-8000-000000000002"
    assert (events[4].call_id, events[4].tool) == ("1", "edit_files")
    assert events[5].call_id == "1"
    assert events[6] == FileEdit(path="hello.txt")
    assert events[9] == ToolResult(call_id="2", ok=False, output="hello\n", exit_code=3)


@pytest.mark.parametrize(
    ("name", "code", "changed", "reason"),
    [
        ("oz-ok", 0, True, None),
        ("oz-ok", 0, False, Reason.NO_CHANGES),
        ("oz-ok", 1, True, Reason.HARNESS_FAILED),
        ("oz-cut", 0, True, Reason.NO_END_MARKER),
        ("oz-cut", 1, True, Reason.HARNESS_FAILED),
    ],
)
def test_what_a_session_means(name: str, code: int, changed: bool, reason: Reason | None) -> None:
    found = judged(Oz(), recorded(name), exited(code), changed)
    assert (found.ok, found.reason) == (reason is None, reason)
    assert found.summary == ("Done." if name == "oz-ok" and code == 0 else "")
    assert found.usage == Usage()
    assert found.session_id


def test_a_claim_without_work_is_no_success() -> None:
    found = judged(Oz(), lines({"type": "agent", "text": "All done."}), exited(0), False)
    assert found.reason is Reason.NO_EVIDENCE


def test_a_session_that_was_stopped_is_no_success() -> None:
    found = judged(Oz(), recorded("oz-ok"), stopped("timeout"), True)
    assert found.reason is Reason.WALL_CLOCK


def test_its_complaints_are_told() -> None:
    found = judged(Oz(), b"", exited(1), False, stderr=b"Error: invalid API key\n")
    assert found.message == "oz exited with code 1: Error: invalid API key"


@pytest.mark.parametrize(
    "data",
    [
        {"type": "tool_call", "tool": 5},
        {"type": "tool_result", "exit_code": "x"},
        {"type": "tool_error", "error": 7},
        {"type": "system", "event_type": ["conversation_started"]},
        {"type": ["agent"]},
        {},
    ],
)
def test_nothing_that_a_stream_says_breaks_the_reader(data: Any) -> None:
    assert not judged(Oz(), lines(data), exited(0), True).ok


def test_results_follow_their_calls() -> None:
    stream = lines(
        {"type": "tool_call", "tool": "edit_files", "file_paths": "x"},
        {"type": "tool_call", "tool": "grep"},
        {"type": "tool_result", "tool": "edit_files", "diff": ""},
        {"type": "tool_canceled"},
        {"type": "tool_canceled"},
    )
    assert read(OzReader(), stream)[2:] == [
        ToolResult(call_id="1", ok=True),
        ToolResult(call_id="2", ok=False, output="canceled"),
        ToolResult(call_id="", ok=False, output="canceled"),
    ]
