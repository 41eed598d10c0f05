"""Qwen Code: its command line, and what recordings of its sessions mean."""

import json
from dataclasses import replace
from typing import Any

import pytest

from runner.core.model import (
    FileEdit,
    Finish,
    Message,
    Problem,
    Reason,
    SessionStart,
    ToolCall,
    ToolResult,
    Unknown,
    Usage,
    UsageReport,
)
from runner.harnesses.qwen import Qwen, QwenReader
from tests.parts.recordings import exited, judged, lines, read, recorded, stopped, task


def test_the_prompt_is_not_on_the_command_line() -> None:
    launch = Qwen().launch(task("qwen", model="qwen3-coder"))
    assert launch.stdin == b"Do the work.\n"
    assert launch.argv[:4] == ("qwen", "--output-format", "stream-json", "--yolo")
    assert launch.argv[-4:] == ("--auth-type", "openai", "--model", "qwen3-coder")
    assert launch.variables["OPENAI_BASE_URL"] == "http://10.0.0.1:4000/token"
    assert launch.variables["OPENAI_API_KEY"] == "placeholder"


def test_options_become_flags() -> None:
    launch = Qwen().launch(task("qwen", max_turns=7, append_system_prompt="Be brief."))
    assert " ".join(launch.argv).endswith("--max-session-turns 7 --append-system-prompt Be brief.")


def test_its_retries_are_limited_by_a_file_that_no_other_overrides() -> None:
    launch = Qwen().launch(task("qwen"))
    assert launch.variables["QWEN_CODE_SYSTEM_SETTINGS_PATH"] == "/exchange/qwen-settings.json"
    settings = json.loads(launch.files["qwen-settings.json"])
    assert settings["model"]["generationConfig"]["maxRetries"] == 0
    assert settings["privacy"]["usageStatisticsEnabled"] is False


def test_without_a_gateway_its_own_provider_stays() -> None:
    launch = Qwen().launch(replace(task("qwen"), model_url="", program="/opt/qwen"))
    assert launch.argv == ("/opt/qwen", "--output-format", "stream-json", "--yolo")
    assert "OPENAI_API_KEY" not in launch.variables


def test_a_good_session_is_normalised() -> None:
    events = read(QwenReader(), recorded("qwen-ok"))
    assert [type(event) for event in events] == [
        *(SessionStart, Message, ToolCall, UsageReport, ToolResult, FileEdit),
        *(ToolCall, UsageReport, ToolResult, Message, UsageReport, UsageReport, Finish),
    ]
    assert (events[0].model, events[0].version) == ("scripted", "0.24.4")
    assert events[2].arguments == {"file_path": "/workspace/hello.txt", "content": "hello\n"}
    assert events[5] == FileEdit(path="/workspace/hello.txt")
    assert (events[8].ok, events[8].exit_code) == (False, 3)
    assert events[-1] == Finish(ok=True, text="Done.")


RUN = Usage(tokens_in=3600, tokens_out=102)
TWO = Usage(tokens_in=2400, tokens_out=68)
ONE = Usage(tokens_in=1200, tokens_out=34)
NONE = Usage()


@pytest.mark.parametrize(
    ("name", "code", "changed", "reason", "retryable", "usage"),
    [
        ("qwen-ok", 0, True, None, False, RUN),
        ("qwen-ok", 0, False, Reason.NO_CHANGES, False, RUN),
        ("qwen-ok", 1, True, Reason.HARNESS_FAILED, False, RUN),
        ("qwen-nothing", 0, False, Reason.NO_CHANGES, False, TWO),
        ("qwen-lying", 0, False, Reason.NO_EVIDENCE, False, TWO),
        ("qwen-401", 1, False, Reason.PROVIDER_ERROR, False, NONE),
        ("qwen-401", 0, True, Reason.PROVIDER_ERROR, False, NONE),
        ("qwen-429", 1, False, Reason.PROVIDER_ERROR, True, NONE),
        ("qwen-cut", 1, True, Reason.PROVIDER_ERROR, True, ONE),
        ("qwen-max-turns", 53, True, Reason.HARNESS_FAILED, False, ONE),
        ("qwen-hang", -15, True, Reason.HARNESS_FAILED, False, ONE),
        ("qwen-hang", 0, True, Reason.NO_END_MARKER, False, ONE),
    ],
)
def test_what_a_session_means(
    name: str, code: int, changed: bool, reason: Reason | None, retryable: bool, usage: Usage
) -> None:
    found = judged(Qwen(), recorded(name), exited(code), changed)
    assert (found.ok, found.reason, found.retryable) == (reason is None, reason, retryable)
    assert found.usage == usage
    assert found.session_id


def test_the_messages_say_what_happened() -> None:
    def message(name: str, stderr: bytes = b"") -> str:
        return judged(Qwen(), recorded(name), exited(1), False, stderr).message

    assert message("qwen-401") == "the model's provider answered 401: invalid key"
    assert message("qwen-429") == "the model's provider answered 429: slow down"
    assert "could not be reached: terminated" in message("qwen-cut")
    assert "max session turns" in message("qwen-max-turns", b"Reached max session turns for this session.\n")


def test_waiting_for_the_model_may_be_tried_again() -> None:
    retry = {"type": "system", "subtype": "retry", "data": {"attempt": 1}}
    found = judged(Qwen(), lines(retry), stopped("idle"), False)
    assert (found.reason, found.retryable) == (Reason.IDLE, True)


def test_other_lines() -> None:
    stream = lines(
        {"type": "system", "subtype": "new"},
        {"type": "stream_event", "event": {}},
        {"type": "new"},
        {"type": "result", "subtype": "success", "is_error": False, "result": "ok"},
    )
    assert read(QwenReader(), stream + b"text\n\n") == [
        Unknown(text='{"type": "system", "subtype": "new"}'),
        Unknown(text='{"type": "new"}'),
        UsageReport(usage=NONE, total=True),
        Finish(ok=True, text="ok"),
        Unknown(text="text"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "edit", "input": 3}]}},
        {"type": "user", "message": {"content": [None, {"content": [7]}]}},
        {"type": "result", "is_error": 0, "error": "x", "usage": {"input_tokens": -1}},
        {"type": "result", "subtype": "success", "is_error": True},
        {"type": ["result"]},
        {},
    ],
)
def test_nothing_that_a_stream_says_breaks_the_reader(data: Any) -> None:
    found = judged(Qwen(), lines(data), exited(0), True)
    assert not found.ok
    assert found.usage == NONE


def test_an_error_that_is_not_the_providers() -> None:
    result = {"type": "result", "subtype": "error_during_execution", "is_error": True}
    events = read(QwenReader(), lines({**result, "error": {"message": "bad config"}}))
    assert events[1] == Problem(message="bad config", fatal=True)
