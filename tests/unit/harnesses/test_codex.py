"""Codex: its command line, and what recordings of its sessions mean."""

import json
import tomllib
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
from runner.harnesses import Launch
from runner.harnesses.codex import CONFIGURATION, Codex, CodexReader
from tests.parts.recordings import exited, judged, read, recorded, stopped, task


def lines(*objects: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def settings(launch: Launch) -> dict[str, Any]:
    """What its configuration says, read as Codex reads it."""
    return tomllib.loads(launch.home[".codex/config.toml"].decode())


def test_everything_is_said_by_its_own_configuration() -> None:
    launch = Codex().launch(
        task("codex", model="gpt-5.5", reasoning_effort="low", append_system_prompt='Say "x"\n')
    )
    assert launch.argv[:3] == ("codex", "exec", "--json")
    assert launch.argv[-1] == "-"
    assert launch.stdin == b"Do the work.\n"
    assert launch.argv[launch.argv.index("-m") : launch.argv.index("-m") + 2] == ("-m", "gpt-5.5")
    said = settings(launch)
    assert said["developer_instructions"] == 'Say "x"\n'
    assert said["model_reasoning_effort"] == "low"
    provider = said["model_providers"][said["model_provider"]]
    assert provider["base_url"] == "http://10.0.0.1:4000/token"
    assert provider["wire_api"] == "responses"
    assert launch.variables == {provider["env_key"]: "placeholder", "CODEX_HOME": "/home/agent/.codex"}
    assert not {"placeholder", "http://10.0.0.1:4000/token"} & {*launch.argv}
    assert "/token" not in " ".join(launch.argv)


def test_its_configuration_holds_any_text() -> None:
    odd = 'é 😀 \x7f \x01 "a" \\n\n\ttab'
    launch = Codex().launch(task("codex", append_system_prompt=odd))
    assert settings(launch)["developer_instructions"] == odd


def test_without_a_gateway_its_own_provider_stays() -> None:
    from dataclasses import replace

    launch = Codex().launch(replace(task("codex"), model_url="", program="/opt/codex"))
    assert launch.argv[0] == "/opt/codex"
    assert "model_provider" not in settings(launch)
    assert launch.variables == {"CODEX_HOME": "/home/agent/.codex"}
    assert "-m" not in launch.argv


def test_a_good_session_is_normalised() -> None:
    events = read(CodexReader(), recorded("codex-ok"))
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
    assert events[4] == FileEdit(path="/workspace/hello.txt", kind="add")
    assert events[6] == ToolResult(call_id="item_2", ok=False, output="hello\n", exit_code=3)
    assert events[-1] == Finish(ok=True, text="Done.")


RUN = Usage(tokens_in=3600, tokens_out=102)
ONE = Usage(tokens_in=1200, tokens_out=34)
NONE = Usage()


@pytest.mark.parametrize(
    ("name", "code", "changed", "reason", "retryable", "usage"),
    [
        ("codex-ok", 0, True, None, False, RUN),
        ("codex-ok", 0, False, Reason.NO_CHANGES, False, RUN),
        ("codex-ok", 1, True, Reason.HARNESS_FAILED, False, RUN),
        ("codex-529-twice", 0, True, None, False, RUN),
        ("codex-unknown-model", 0, True, None, False, RUN),
        ("codex-lying", 0, False, Reason.NO_EVIDENCE, False, ONE),
        ("codex-401", 1, False, Reason.PROVIDER_ERROR, False, NONE),
        ("codex-401", 0, True, Reason.PROVIDER_ERROR, False, NONE),
        ("codex-429", 1, False, Reason.PROVIDER_ERROR, True, NONE),
        ("codex-400-midway", 1, True, Reason.PROVIDER_ERROR, False, NONE),
        ("codex-hang", -15, True, Reason.HARNESS_FAILED, False, NONE),
        ("codex-hang", 0, True, Reason.NO_END_MARKER, False, NONE),
    ],
)
def test_what_a_session_means(
    name: str, code: int, changed: bool, reason: Reason | None, retryable: bool, usage: Usage
) -> None:
    found = judged(Codex(), recorded(name), exited(code), changed)
    assert (found.ok, found.reason, found.retryable) == (reason is None, reason, retryable)
    assert found.usage == usage
    assert found.session_id


def test_waiting_for_a_model_that_is_not_there_may_be_tried_again() -> None:
    found = judged(Codex(), recorded("codex-down"), stopped("idle"), False)
    assert (found.reason, found.retryable) == (Reason.IDLE, True)
    assert "waiting for network" in found.message
    worked = judged(Codex(), recorded("codex-hang"), stopped("idle"), False)
    assert (worked.reason, worked.retryable) == (Reason.IDLE, False)


def test_a_refusal_is_told_in_the_providers_words() -> None:
    found = judged(Codex(), recorded("codex-400-midway"), exited(1), False)
    assert found.message == "the model's provider answered 400: prompt is too long"


@pytest.mark.parametrize(
    ("message", "reason", "retryable"),
    [
        ("stream disconnected before completion: timed out", Reason.PROVIDER_ERROR, True),
        ("unexpected status 503 Service Unavailable: x, url: y", Reason.PROVIDER_ERROR, True),
        ("Codex ran out of room in the model's context window.", Reason.HARNESS_FAILED, False),
    ],
)
def test_why_a_turn_failed(message: str, reason: Reason, retryable: bool) -> None:
    stream = lines({"type": "turn.failed", "error": {"message": message}})
    found = judged(Codex(), stream, exited(1), True)
    assert (found.reason, found.retryable) == (reason, retryable)
    assert message in found.message


def test_commands_that_could_not_run_are_no_evidence() -> None:
    item = {"id": "i", "type": "command_execution", "command": "ls", "status": "failed", "exit_code": -1}
    stream = lines(
        {"type": "item.started", "item": item},
        {"type": "item.completed", "item": item},
        {"type": "turn.completed", "usage": {}},
    )
    found = judged(Codex(), stream, exited(0), False)
    assert found.reason is Reason.NO_EVIDENCE
    assert "all of its 1 tool calls failed" in found.message


PONG = {"content": [{"type": "text", "text": "pong"}]}


def test_other_items() -> None:
    call = {"id": "m", "type": "mcp_tool_call", "server": "probe", "tool": "ping", "arguments": {"a": 1}}
    stream = lines(
        {"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}},
        {"type": "item.started", "item": call},
        {"type": "item.updated", "item": call},
        {"type": "item.completed", "item": {**call, "status": "failed", "result": PONG}},
        {"type": "item.started", "item": {"type": "todo_list"}},
        {"type": "item.completed", "item": {"type": "todo_list"}},
        {"type": "item.completed", "item": {"type": "error", "message": "careful"}},
        {"type": "error", "message": "bad"},
        {"type": "new"},
    )
    assert read(CodexReader(), stream + b"text\n\n") == [
        Reasoning(text="hm"),
        ToolCall(call_id="m", tool="probe/ping", arguments={"a": 1}),
        ToolResult(call_id="m", ok=False, output="pong"),
        Unknown(text='{"type": "todo_list"}'),
        Problem(message="careful"),
        Problem(message="bad"),
        Unknown(text='{"type": "new"}'),
        Unknown(text="text"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "thread.started", "thread_id": 5},
        {"type": "item.completed"},
        {"type": "item.completed", "item": {"type": ["command_execution"]}},
        {"type": "item.completed", "item": {"type": "command_execution", "exit_code": "0", "status": 5}},
        {
            "type": "item.completed",
            "item": {"type": "file_change", "changes": [None, {"path": 1, "kind": {}}]},
        },
        {"type": "turn.failed", "error": "x"},
        {"type": "turn.failed", "error": {"message": '{"error": 5}'}},
        {"type": ["turn.completed"]},
    ],
)
def test_nothing_that_a_stream_says_breaks_the_reader(data: Any) -> None:
    assert not judged(Codex(), lines(data), exited(0), True).ok


def test_complaints_explain_a_death() -> None:
    found = judged(Codex(), b"", exited(101), False, stderr=b"thread 'main' panicked\nat x\n")
    assert found.message == "codex exited with code 101: thread 'main' panicked\nat x"
    assert UsageReport(usage=NONE, total=True).usage == found.usage


@pytest.mark.parametrize(("allowed", "offered"), [((), False), (("web_search",), True)])
def test_a_search_of_the_web_is_offered_only_where_the_skill_allows_it(
    allowed: tuple[str, ...], offered: bool
) -> None:
    """Codex offers it with every request by itself, and the gateway would let none through."""
    config = Codex().launch(replace(task("codex"), provider=allowed)).home[CONFIGURATION].decode()
    assert ('web_search = "disabled"' in config) is not offered
