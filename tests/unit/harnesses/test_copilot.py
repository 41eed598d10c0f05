"""GitHub Copilot CLI: its command line, and what recordings of its sessions mean."""

from dataclasses import replace
from typing import Any

import pytest

from runner.core.model import (
    FileEdit,
    Finish,
    Message,
    Problem,
    Reason,
    Reasoning,
    SessionStart,
    ToolCall,
    ToolResult,
    Unknown,
    Usage,
)
from runner.harnesses.copilot import Copilot, CopilotReader
from tests.parts.recordings import exited, judged, lines, read, recorded, stopped, task


def test_the_prompt_is_not_on_the_command_line() -> None:
    launch = Copilot().launch(task("copilot", model="gpt-4.1"))
    assert launch.stdin == b"Do the work.\n"
    assert launch.argv[:3] == ("copilot", "--output-format", "json")
    assert "--allow-all" in launch.argv
    assert launch.variables == {
        "COPILOT_MODEL": "gpt-4.1",
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_BASE_URL": "http://10.0.0.1:4000/token",
        "COPILOT_PROVIDER_API_KEY": "placeholder",
        "COPILOT_PROVIDER_WIRE_API": "completions",
    }


def test_options() -> None:
    launch = Copilot().launch(task("copilot", wire_api="responses", append_system_prompt="Be brief."))
    assert launch.variables["COPILOT_PROVIDER_WIRE_API"] == "responses"
    assert launch.home == {".copilot/copilot-instructions.md": b"Be brief."}


def test_without_a_gateway_there_is_no_key() -> None:
    launch = Copilot().launch(replace(task("copilot"), model_url="", program="/opt/copilot"))
    assert launch.argv[0] == "/opt/copilot"
    assert "COPILOT_PROVIDER_API_KEY" not in launch.variables


def test_a_good_session_is_normalised() -> None:
    events = read(CopilotReader(), recorded("copilot-ok"))
    assert [type(event) for event in events] == [
        *(Message, ToolCall, ToolResult, FileEdit, ToolCall, ToolResult, Message, SessionStart, Finish)
    ]
    assert (events[1].tool, events[1].arguments["file_text"]) == ("create", "hello\n")
    assert events[3] == FileEdit(path="/workspace/hello.txt", kind="add")
    assert (events[5].ok, events[5].exit_code) == (True, 3)
    assert events[-1] == Finish(ok=True, text="Done.")


@pytest.mark.parametrize(
    ("name", "code", "changed", "reason", "retryable"),
    [
        ("copilot-ok", 0, True, None, False),
        ("copilot-ok", 0, False, Reason.NO_CHANGES, False),
        ("copilot-ok", 1, True, Reason.HARNESS_FAILED, False),
        ("copilot-nothing", 0, False, Reason.NO_CHANGES, False),
        ("copilot-lying", 0, False, Reason.NO_EVIDENCE, False),
        ("copilot-401", 1, False, Reason.PROVIDER_ERROR, False),
        ("copilot-401", 0, True, Reason.PROVIDER_ERROR, False),
        ("copilot-429", 1, False, Reason.PROVIDER_ERROR, True),
        ("copilot-cut", 1, True, Reason.PROVIDER_ERROR, True),
        ("copilot-hang", 0, True, Reason.NO_END_MARKER, False),
        ("copilot-hang", -15, True, Reason.HARNESS_FAILED, False),
    ],
)
def test_what_a_session_means(
    name: str, code: int, changed: bool, reason: Reason | None, retryable: bool
) -> None:
    found = judged(Copilot(), recorded(name), exited(code), changed)
    assert (found.ok, found.reason, found.retryable) == (reason is None, reason, retryable)
    assert found.usage == Usage()
    assert bool(found.session_id) is (name != "copilot-hang")  # its last line tells it


def test_the_messages_say_what_happened() -> None:
    def message(name: str) -> str:
        return judged(Copilot(), recorded(name), exited(1), False).message

    assert message("copilot-401") == "the model's provider answered 401: invalid key"
    assert message("copilot-429") == "the model's provider answered 429: slow down"
    assert "could not be reached: " in message("copilot-cut")


def test_waiting_for_the_model_may_be_tried_again() -> None:
    failure = {"type": "model.call_failure", "data": {"statusCode": 503, "errorMessage": "later"}}
    found = judged(Copilot(), lines(failure), stopped("idle"), False)
    assert (found.reason, found.retryable) == (Reason.IDLE, True)
    assert "its last words: later" in found.message


def test_other_lines() -> None:
    failed = {"toolCallId": "c", "success": False, "error": {"message": "denied"}}
    stream = lines(
        {"type": "session.info", "data": {}},
        {"type": "assistant.reasoning", "data": {"content": "hm"}},
        {"type": "assistant.message", "data": {"reasoningText": "so", "content": ""}},
        {"type": "tool.execution_complete", "data": failed},
        {"type": "session.error", "data": {"message": "no session"}},
        {"type": "new"},
    )
    assert read(CopilotReader(), stream) == [
        Reasoning(text="hm"),
        Reasoning(text="so"),
        ToolResult(call_id="c", ok=False, output="denied"),
        Problem(message="no session", fatal=True),
        Unknown(text='{"type": "new"}'),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "assistant.message", "data": {"content": 5}},
        {"type": "tool.execution_complete", "data": {"fileEdits": [3], "shellExecution": {"exitCode": "x"}}},
        {"type": "model.call_failure", "data": {"errorMessage": "{"}},
        {"type": "result", "exitCode": "0", "sessionId": []},
        {"type": ["result"]},
        {},
    ],
)
def test_nothing_that_a_stream_says_breaks_the_reader(data: Any) -> None:
    assert not judged(Copilot(), lines(data), exited(0), True).ok
