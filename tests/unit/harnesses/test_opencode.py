"""OpenCode: its configuration, and what recordings of its sessions mean."""

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
    Reasoning,
    SessionStart,
    ToolCall,
    ToolResult,
    Unknown,
    Usage,
    UsageReport,
)
from runner.harnesses.opencode import Opencode, OpencodeReader
from tests.parts.recordings import exited, judged, lines, read, recorded, task


def config(**options: Any) -> Any:
    launch = Opencode().launch(task("opencode", **options))
    return json.loads(launch.variables["OPENCODE_CONFIG_CONTENT"])


def test_everything_is_said_by_one_variable() -> None:
    launch = Opencode().launch(task("opencode", model="qwen/qwen3-coder"))
    assert launch.argv == ("opencode", "run", "--format", "json", "--auto", "--title", "skillrunner")
    assert launch.stdin == b"Do the work.\n"
    said = config(model="qwen/qwen3-coder")
    assert said["model"] == said["small_model"] == "skillrunner/qwen/qwen3-coder"
    provider = said["provider"]["skillrunner"]
    assert list(provider["models"]) == ["qwen/qwen3-coder"]
    assert provider["options"] == {
        "baseURL": "http://10.0.0.1:4000/token",
        "apiKey": "{env:SKILLRUNNER_MODEL_TOKEN}",
    }
    assert launch.variables["SKILLRUNNER_MODEL_TOKEN"] == "placeholder"


def test_instructions_are_a_file_that_the_configuration_names() -> None:
    launch = Opencode().launch(task("opencode", append_system_prompt="Be brief."))
    assert launch.files == {"opencode-instructions.md": b"Be brief."}
    assert config(append_system_prompt="Be brief.")["instructions"] == ["/exchange/opencode-instructions.md"]
    assert "instructions" not in config()


def test_without_a_gateway_its_own_provider_stays() -> None:
    launch = Opencode().launch(replace(task("opencode", model="a/b"), model_url="", program="/opt/opencode"))
    assert launch.argv[0] == "/opt/opencode"
    said = json.loads(launch.variables["OPENCODE_CONFIG_CONTENT"])
    assert said["model"] == "a/b"
    assert "provider" not in said


def test_a_good_session_is_normalised() -> None:
    events = read(OpencodeReader(), recorded("opencode-ok"))
    assert [type(event) for event in events] == [
        *(SessionStart, Message, ToolCall, ToolResult, FileEdit, UsageReport),
        *(ToolCall, ToolResult, UsageReport, Message, UsageReport, Finish),
    ]
    assert events[4] == FileEdit(path="/workspace/hello.txt", kind="add")
    assert (events[7].ok, events[7].exit_code, events[7].output) == (True, 3, "hello\n")
    assert events[-1] == Finish(ok=True, text="Done.")


RUN = Usage(tokens_in=3600, tokens_out=102)
TWO = Usage(tokens_in=2400, tokens_out=68)
ONE = Usage(tokens_in=1200, tokens_out=34)
NONE = Usage()


@pytest.mark.parametrize(
    ("name", "code", "changed", "reason", "retryable", "usage"),
    [
        ("opencode-ok", 0, True, None, False, RUN),
        ("opencode-ok", 0, False, Reason.NO_CHANGES, False, RUN),
        ("opencode-ok", 1, True, Reason.HARNESS_FAILED, False, RUN),
        ("opencode-nothing", 0, False, Reason.NO_CHANGES, False, TWO),
        ("opencode-lying", 0, False, Reason.NO_EVIDENCE, False, ONE),
        ("opencode-401", 1, False, Reason.PROVIDER_ERROR, False, NONE),
        ("opencode-401", 0, True, Reason.PROVIDER_ERROR, False, NONE),
        ("opencode-429", 1, False, Reason.PROVIDER_ERROR, True, NONE),
        ("opencode-cut", 1, True, Reason.PROVIDER_ERROR, True, ONE),
        ("opencode-hang", 0, True, Reason.NO_END_MARKER, False, ONE),
        ("opencode-hang", -15, True, Reason.HARNESS_FAILED, False, ONE),
    ],
)
def test_what_a_session_means(
    name: str, code: int, changed: bool, reason: Reason | None, retryable: bool, usage: Usage
) -> None:
    found = judged(Opencode(), recorded(name), exited(code), changed)
    assert (found.ok, found.reason, found.retryable) == (reason is None, reason, retryable)
    assert found.usage == usage
    assert found.session_id


def test_the_messages_say_what_happened() -> None:
    def message(name: str) -> str:
        return judged(Opencode(), recorded(name), exited(1), False).message

    assert message("opencode-401") == "the model's provider answered 401: invalid key"
    assert "could not be reached: Cannot connect to API" in message("opencode-cut")


def test_an_answer_that_ended_early_is_no_success() -> None:
    step = {"type": "step_finish", "part": {"reason": "length"}}
    found = judged(Opencode(), lines(step), exited(0), True)
    assert found.reason is Reason.HARNESS_FAILED
    assert "ended early: length" in found.message


def test_cached_and_thought_tokens_count() -> None:
    tokens = {"input": 1, "output": 2, "reasoning": 4, "cache": {"read": 8, "write": 16}}
    step = {"type": "step_finish", "part": {"reason": "tool-calls", "tokens": tokens, "cost": 0}}
    assert read(OpencodeReader(), lines(step)) == [
        UsageReport(usage=Usage(tokens_in=25, tokens_out=6, tokens_cached=8))
    ]


def test_other_lines() -> None:
    failed = {"type": "tool", "tool": "edit", "callID": "c", "state": {"status": "error", "error": "no"}}
    stream = lines(
        {"type": "reasoning", "part": {"text": "hm"}},
        {"type": "tool_use", "part": failed},
        {"type": "error", "error": {"name": "UnknownError", "data": {"message": "bad"}}},
        {"type": "new"},
    )
    assert read(OpencodeReader(), stream) == [
        Reasoning(text="hm"),
        ToolCall(call_id="c", tool="edit"),
        ToolResult(call_id="c", ok=False, output="no"),
        Problem(message="bad", fatal=True),
        Finish(ok=False, text="bad"),
        Unknown(text='{"type": "new"}'),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "text", "sessionID": 5, "part": "x"},
        {"type": "tool_use", "part": {"state": {"metadata": {"exit": "x"}, "input": 3}}},
        {"type": "step_finish", "part": {"reason": ["stop"], "tokens": 3}},
        {"type": "error", "error": "x"},
        {"type": ["text"]},
        {},
    ],
)
def test_nothing_that_a_stream_says_breaks_the_reader(data: Any) -> None:
    assert not judged(Opencode(), lines(data), exited(0), True).ok


def test_files_of_a_patch_are_edits() -> None:
    patch = (
        "*** Begin Patch\n*** Add File: a.md\n+x\n*** Update File: b.md\n*** Delete File: c.md\n*** End Patch"
    )
    state = {"status": "completed", "input": {"patchText": patch}, "output": "ok"}
    part = {"callID": "1", "tool": "apply_patch", "state": state}
    events = read(OpencodeReader(), lines({"type": "tool_use", "part": part}))
    assert [event for event in events if isinstance(event, FileEdit)] == [
        FileEdit(path="a.md", kind="add"),
        FileEdit(path="b.md", kind="update"),
        FileEdit(path="c.md", kind="delete"),
    ]
