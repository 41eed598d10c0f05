"""Gemini CLI: its command line, and what recordings of its sessions mean."""

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
from runner.harnesses.gemini import Gemini, GeminiReader
from tests.parts.recordings import exited, judged, lines, read, recorded, stopped, task


def settings(**options: Any) -> Any:
    return json.loads(Gemini().launch(task("gemini", **options)).home[".gemini/settings.json"])


def test_the_prompt_is_not_on_the_command_line() -> None:
    launch = Gemini().launch(task("gemini", model="gemini-2.5-pro"))
    assert launch.stdin == b"Do the work.\n"
    assert launch.argv[:3] == ("gemini", "--output-format", "stream-json")
    assert launch.argv[-4:] == ("--yolo", "--skip-trust", "--model", "gemini-2.5-pro")
    assert launch.variables == {
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "GOOGLE_GEMINI_BASE_URL": "http://10.0.0.1:4000/token",
        "GEMINI_API_KEY": "placeholder",
    }


def test_its_settings_are_in_the_home() -> None:
    assert settings()["general"]["maxAttempts"] == 3
    assert settings()["security"]["auth"] == {"selectedType": "gemini-api-key"}
    assert settings(max_turns=5)["model"] == {"maxSessionTurns": 5}
    launch = Gemini().launch(task("gemini", append_system_prompt="Be brief."))
    assert launch.home[".gemini/GEMINI.md"] == b"Be brief."


def test_without_a_gateway_its_own_sign_in_stays() -> None:
    launch = Gemini().launch(replace(task("gemini"), model_url="", program="/opt/gemini"))
    assert launch.argv[0] == "/opt/gemini"
    assert "GEMINI_API_KEY" not in launch.variables
    assert "auth" not in json.loads(launch.home[".gemini/settings.json"])["security"]


def test_a_good_session_is_normalised() -> None:
    events = read(GeminiReader(), recorded("gemini-ok"))
    assert [type(event) for event in events] == [
        *(
            SessionStart,
            Message,
            ToolCall,
            ToolResult,
            FileEdit,
            ToolCall,
            ToolResult,
            Message,
            UsageReport,
            Finish,
        )
    ]
    assert events[0].model == "gemini-2.5-pro"
    assert events[1].text == "I will write it."
    assert events[4] == FileEdit(path="hello.txt")
    assert (events[6].ok, events[6].output) == (True, "hello")
    assert events[-1] == Finish(ok=True, text="Done.")


RUN = Usage(tokens_in=3600, tokens_out=102)
TWO = Usage(tokens_in=2400, tokens_out=68)
ONE = Usage(tokens_in=1200, tokens_out=34)
NONE = Usage()


@pytest.mark.parametrize(
    ("name", "code", "changed", "reason", "retryable", "usage"),
    [
        ("gemini-ok", 0, True, None, False, RUN),
        ("gemini-ok", 0, False, Reason.NO_CHANGES, False, RUN),
        ("gemini-ok", 1, True, Reason.HARNESS_FAILED, False, RUN),
        ("gemini-nothing", 0, False, Reason.NO_CHANGES, False, TWO),
        ("gemini-lying", 0, False, Reason.NO_EVIDENCE, False, ONE),
        ("gemini-401", 145, False, Reason.PROVIDER_ERROR, False, NONE),
        ("gemini-401", 0, True, Reason.PROVIDER_ERROR, False, NONE),
        ("gemini-429", 173, False, Reason.PROVIDER_ERROR, True, NONE),
        ("gemini-cut", 1, True, Reason.PROVIDER_ERROR, True, ONE),
        ("gemini-max-turns", 53, True, Reason.HARNESS_FAILED, False, ONE),
        ("gemini-hang", 0, True, Reason.NO_END_MARKER, False, NONE),
    ],
)
def test_what_a_session_means(
    name: str, code: int, changed: bool, reason: Reason | None, retryable: bool, usage: Usage
) -> None:
    found = judged(Gemini(), recorded(name), exited(code), changed)
    assert (found.ok, found.reason, found.retryable) == (reason is None, reason, retryable)
    assert found.usage == usage
    assert found.session_id


def test_the_messages_say_what_happened() -> None:
    def message(name: str) -> str:
        return judged(Gemini(), recorded(name), exited(1), False).message

    assert message("gemini-401") == "the model's provider answered 401: invalid key"
    assert message("gemini-cut") == "the model's provider could not be reached: terminated"
    assert "Reached max session turns" in message("gemini-max-turns")


REFUSED = b"Attempt 1 failed with status 429. Retrying with backoff... _ApiError: {}\n"


def test_standard_error_tells_the_status() -> None:
    reader = GeminiReader()
    events = read(reader, b"", REFUSED)
    assert events[-1] == Problem(
        message="the model's provider answered 429: it is asked again", status=429, provider=True
    )
    read(reader, recorded("gemini-429"))
    assert reader.outcome(exited(173), False).message == "the model's provider answered 429: slow down"
    waiting = judged(Gemini(), b"", stopped("idle"), False, stderr=REFUSED)
    assert (waiting.reason, waiting.retryable) == (Reason.IDLE, True)


def test_pieces_of_a_message_become_lines() -> None:
    def piece(text: str) -> Any:
        return {"type": "message", "role": "assistant", "content": text, "delta": True}

    stream = lines(*map(piece, ("One", " line.\nAnd ", "another.")), {"type": "result", "status": "success"})
    events = read(GeminiReader(), stream)
    assert events[:2] == [Message(text="One line."), Message(text="And another.")]
    assert events[-1] == Finish(ok=True, text="One line.\nAnd another.")


def test_thinking_counts_as_output() -> None:
    stats = {"input_tokens": 10, "output_tokens": 3, "total_tokens": 20, "cached": 4}
    events = read(GeminiReader(), lines({"type": "result", "status": "success", "stats": stats}))
    assert events[0] == UsageReport(usage=Usage(tokens_in=10, tokens_out=10, tokens_cached=4), total=True)


def test_other_lines() -> None:
    stream = lines(
        {"type": "error", "severity": "warning", "message": "loop detected"},
        {"type": "tool_result", "tool_id": "t", "status": "error", "error": {"message": "no such file"}},
        {"type": "new"},
    )
    assert read(GeminiReader(), stream) == [
        Problem(message="loop detected"),
        ToolResult(call_id="t", ok=False, output="no such file"),
        Unknown(text='{"type": "new"}'),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "init", "session_id": 5},
        {"type": "message", "role": "assistant", "content": [1]},
        {"type": "tool_use", "tool_name": "replace", "parameters": "x"},
        {"type": "result", "status": "error", "error": {"message": "[API Error: {]"}},
        {"type": "result", "status": "error", "error": "x", "stats": []},
        {"type": ["result"]},
        {},
    ],
)
def test_nothing_that_a_stream_says_breaks_the_reader(data: Any) -> None:
    assert not judged(Gemini(), lines(data), exited(0), True).ok
