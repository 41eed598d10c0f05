"""Claude Code: its command line, and what recordings of its sessions mean."""

import json
from dataclasses import replace
from typing import Any

import pytest

from runner.core.model import (
    FileEdit,
    Finish,
    Limits,
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
from runner.harnesses.claude_code import ClaudeCode, ClaudeCodeReader
from tests.parts.recordings import exited, judged, read, recorded, stopped, task


def lines(*objects: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def test_the_prompt_is_not_on_the_command_line() -> None:
    launch = ClaudeCode().launch(task("claude-code", model="sonnet"))
    assert launch.stdin == b""
    assert "--input-format stream-json --output-format stream-json" in " ".join(launch.argv)
    assert not any("Do the work" in part for part in launch.argv)
    assert launch.argv[:2] == ("claude", "-p")
    assert launch.argv[-3:] == ("--model", "sonnet", "--dangerously-skip-permissions")
    assert launch.variables["ANTHROPIC_BASE_URL"] == "http://10.0.0.1:4000/token"
    assert launch.variables["ANTHROPIC_API_KEY"] == "placeholder"
    assert launch.variables["CLAUDE_CODE_MAX_RETRIES"] == "4"


RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "Done."}
INTERRUPTED = {"type": "result", "subtype": "error_during_execution", "is_error": True}


def begun() -> ClaudeCodeReader:
    reader = ClaudeCodeReader()
    reader.speaker().begin(task("claude-code"))
    (line,) = said(reader)
    assert line["message"] == {"role": "user", "content": [{"type": "text", "text": "Do the work.\n"}]}
    assert reader.speaker().say() == b""
    return reader


def said(reader: ClaudeCodeReader) -> list[Any]:
    return [json.loads(line) for line in (reader.speaker().say() or b"").splitlines()]


def test_input_ends_with_the_first_result_when_no_message_waits() -> None:
    reader = begun()
    assert isinstance(read(reader, lines(RESULT))[-1], Finish)
    assert reader.speaker().say() is None
    assert not reader.speaker().steer("Too late.")


def test_a_message_interrupts_the_turn_and_begins_the_next() -> None:
    reader = begun()
    assert reader.speaker().steer("Rather b.")
    assert reader.speaker().steer("And c.")
    (asked,) = said(reader)
    assert (asked["type"], asked["request"]) == ("control_request", {"subtype": "interrupt"})
    assert read(reader, lines({"type": "control_response"}, INTERRUPTED)) == []
    (line,) = said(reader)
    assert [part["text"] for part in line["message"]["content"]] == ["Rather b.", "And c."]
    read(reader, lines(RESULT))
    assert reader.speaker().say() is None
    assert reader.outcome(exited(), True).ok


def test_an_interruption_ends_it() -> None:
    reader = begun()
    reader.speaker().interrupt()
    assert said(reader)[0]["type"] == "control_request"
    assert not reader.speaker().steer("More?")
    read(reader, lines(INTERRUPTED))
    assert reader.speaker().say() is None
    assert not reader.outcome(exited(1), True).ok


def test_options_become_flags() -> None:
    options = {
        "max_turns": 7,
        "allowed_tools": ("Read", "Bash(make docs)"),
        "append_system_prompt": "Be brief.",
    }
    launch = ClaudeCode().launch(task("claude-code", limits=Limits(cost_usd=1.5), **options))
    flags = " ".join(launch.argv)
    assert "--max-turns 7 --append-system-prompt-file /exchange/system-prompt.md" in flags
    assert "budget" not in flags  # the gateway knows the prices that hold here
    assert launch.files == {"system-prompt.md": b"Be brief."}
    assert launch.argv[-4:] == ("dontAsk", "--allowed-tools", "Read", "Bash(make docs)")
    assert "--dangerously-skip-permissions" not in launch.argv


def test_a_program_elsewhere() -> None:
    from dataclasses import replace

    launch = ClaudeCode().launch(replace(task("claude-code"), program="/opt/claude", model_url=""))
    assert launch.argv[0] == "/opt/claude"
    assert "ANTHROPIC_API_KEY" not in launch.variables


def test_a_good_session_is_normalised() -> None:
    events = read(ClaudeCodeReader(), recorded("claude-ok"))
    assert [type(event) for event in events] == [
        *(SessionStart, Message, UsageReport, ToolCall, ToolResult, FileEdit),
        *(ToolCall, UsageReport, ToolResult, Message, UsageReport, UsageReport, Finish),
    ]
    assert (events[0].model, events[0].version) == ("claude-sonnet-4-5", "2.1.329")
    assert events[0].session_id
    assert events[3].tool == "Write"
    assert events[3].arguments == {"file_path": "hello.txt", "content": "hello\n"}
    assert events[5] == FileEdit(path="hello.txt", kind="add")
    failed = events[8]
    assert (failed.ok, failed.exit_code, failed.output) == (False, 3, "Exit code 3\nhello")


RUN = Usage(tokens_in=3600, tokens_out=102, cost_usd=0.01233)
ONE = Usage(tokens_in=1200, tokens_out=34, cost_usd=0.00411)
FREE = Usage(cost_usd=0)


@pytest.mark.parametrize(
    ("name", "code", "changed", "reason", "retryable", "usage"),
    [
        ("claude-ok", 0, True, None, False, RUN),
        ("claude-ok", 0, False, Reason.NO_CHANGES, False, RUN),
        ("claude-ok", 1, True, Reason.HARNESS_FAILED, False, RUN),
        ("claude-529-twice", 0, True, None, False, RUN),
        ("claude-401", 1, False, Reason.PROVIDER_ERROR, False, FREE),
        ("claude-401", 0, True, Reason.PROVIDER_ERROR, False, FREE),
        ("claude-429", 1, False, Reason.PROVIDER_ERROR, True, FREE),
        ("claude-400-midway", 1, True, Reason.PROVIDER_ERROR, False, ONE),
        ("claude-down", 1, False, Reason.PROVIDER_ERROR, True, FREE),
        ("claude-max-turns", 1, True, Reason.HARNESS_FAILED, False, ONE),
        ("claude-max-turns", 0, True, Reason.HARNESS_FAILED, False, ONE),
        ("claude-budget", 1, False, Reason.COST_LIMIT, False, ONE),
        ("claude-lying", 0, False, Reason.NO_EVIDENCE, False, ONE),
        ("claude-tool-denied", 0, False, Reason.NO_EVIDENCE, False, RUN),
        ("claude-hang", 143, True, Reason.HARNESS_FAILED, False, Usage(tokens_in=1200, tokens_out=1)),
        ("claude-hang", 0, True, Reason.NO_END_MARKER, False, Usage(tokens_in=1200, tokens_out=1)),
    ],
)
def test_what_a_session_means(
    name: str, code: int, changed: bool, reason: Reason | None, retryable: bool, usage: Usage
) -> None:
    found = judged(ClaudeCode(), recorded(name), exited(code), changed)
    assert (found.ok, found.reason, found.retryable) == (reason is None, reason, retryable)
    assert found.usage == usage
    assert found.session_id
    assert bool(found.message) is not found.ok


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("timeout", Reason.WALL_CLOCK),
        ("idle", Reason.IDLE),
        ("output", Reason.OUTPUT_LIMIT),
        ("memory", Reason.OUT_OF_MEMORY),
        ("cancelled", Reason.CANCELLED),
    ],
)
def test_a_session_that_was_stopped_keeps_what_it_cost(cause: str, reason: Reason) -> None:
    found = judged(ClaudeCode(), recorded("claude-hang"), stopped(cause), True)
    assert (found.ok, found.reason, found.retryable) == (False, reason, False)
    assert found.usage.tokens_in == 1200
    assert found.session_id


def test_the_messages_say_what_happened() -> None:
    def message(name: str) -> str:
        return judged(ClaudeCode(), recorded(name), exited(1), False).message

    assert message("claude-401").startswith("the model's provider answered 401: Failed to authenticate")
    assert "Reached maximum number of turns (1)" in message("claude-max-turns")
    assert "could not be reached" in message("claude-down")


def test_denied_tools_are_problems() -> None:
    events = read(ClaudeCodeReader(), recorded("claude-tool-denied"))
    assert [event.message for event in events if isinstance(event, Problem)] == [
        "the tool Write was denied",
        "the tool Bash was denied",
    ]


def test_root_is_refused_with_its_own_words() -> None:
    words = b"--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons\n"
    found = judged(ClaudeCode(), b"", exited(1), False, stderr=words)
    assert found.reason is Reason.HARNESS_FAILED
    assert "cannot be used with root" in found.message


def test_a_missing_program_is_named() -> None:
    found = judged(ClaudeCode(), b"", exited(127), False, stderr=b"exec: claude: not found\n")
    assert found.reason is Reason.HARNESS_MISSING
    assert "claude could not be started" in found.message


RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "ok", "total_cost_usd": 0.5}


@pytest.mark.parametrize("status", [408, 429, 500, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    result = {**RESULT, "is_error": True, "api_error_status": status}
    assert judged(ClaudeCode(), lines(result), exited(1), False).retryable


def test_a_result_without_a_verdict_is_no_success() -> None:
    result = {key: value for key, value in RESULT.items() if key != "is_error"}
    assert not judged(ClaudeCode(), lines(result), exited(0), True).ok


def test_thinking_unknown_and_noise_are_kept() -> None:
    message = {"id": "m", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "odd"}], "usage": {}}
    stream = b"npm notice\n\n" + lines({"type": "assistant", "message": message}, {"type": "new", "x": 1})
    assert read(ClaudeCodeReader(), stream) == [
        Unknown(text="npm notice"),
        Reasoning(text="hm"),
        Unknown(text='{"type": "odd"}'),
        Unknown(text='{"type": "new", "x": 1}'),
    ]


def test_a_line_of_a_megabyte_is_read() -> None:
    part = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x" * 1_000_000}]}
    (event,) = read(ClaudeCodeReader(), lines({"type": "user", "message": {"content": [part]}}))
    assert event == ToolResult(call_id="t", ok=True, output="x" * 1_000_000)


def test_cached_tokens_count_as_input() -> None:
    models = {
        "big": {
            "inputTokens": 1,
            "outputTokens": 2,
            "cacheReadInputTokens": 4,
            "cacheCreationInputTokens": 8,
        },
        "small": {"inputTokens": 16, "outputTokens": 32},
    }
    found = judged(ClaudeCode(), lines({**RESULT, "modelUsage": models}), exited(0), True)
    assert found.usage == Usage(tokens_in=29, tokens_out=34, tokens_cached=4, cost_usd=0.5)


def test_a_stop_after_several_calls_adds_them_up() -> None:
    def call(key: str, tokens: int) -> Any:
        message = {"id": key, "content": [], "usage": {"input_tokens": tokens, "output_tokens": 1}}
        return {"type": "assistant", "message": message}

    stream = lines(call("a", 100), call("a", 100), call("b", 20), call("b", 20))
    found = judged(ClaudeCode(), stream, stopped("timeout"), True)
    assert found.usage == Usage(tokens_in=120, tokens_out=2)


HOSTILE = [
    {"type": "assistant", "message": None},
    {"type": "assistant", "message": {"id": [], "content": {"type": "text"}, "usage": {"input_tokens": "9"}}},
    {"type": "assistant", "message": {"content": [None, 3, {"type": ["text"]}, {"type": "text", "text": 5}]}},
    {"type": "user", "message": "hi", "tool_use_result": []},
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": [None, 7, {"text": {}}]}]}},
    {"type": "system", "subtype": {}},
    {"type": "system", "subtype": "api_retry", "attempt": "x", "error_status": 10**30},
    {
        "type": "result",
        "errors": 5,
        "permission_denials": {},
        "modelUsage": {"m": None},
        "total_cost_usd": -1,
    },
    {"type": "result", "usage": {"input_tokens": 1e300, "output_tokens": True}, "result": {}, "is_error": 0},
    {"type": {"a": 1}},
    {},
]


@pytest.mark.parametrize("data", HOSTILE)
def test_nothing_that_a_stream_says_breaks_the_reader(data: Any) -> None:
    found = judged(ClaudeCode(), lines(data), exited(0), True)
    assert not found.ok
    assert found.usage.tokens_in == 0
    assert not found.usage.cost_usd


@pytest.mark.parametrize(("limit", "longest"), [(None, None), (0.1, 4_000), (1, 8_000), (5, 32_000)])
def test_answers_are_short_enough_for_a_small_limit(limit: float | None, longest: int | None) -> None:
    asked = task("claude-code", limits=Limits(cost_usd=limit))
    found = ClaudeCode().launch(asked).variables.get("CLAUDE_CODE_MAX_OUTPUT_TOKENS")
    assert found == (None if longest is None else str(longest))
    own = replace(asked, variables={"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "1"})
    assert "CLAUDE_CODE_MAX_OUTPUT_TOKENS" not in ClaudeCode().launch(own).variables
