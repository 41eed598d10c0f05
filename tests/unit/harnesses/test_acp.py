"""The Agent Client Protocol: what is said to an agent, and what recordings of real agents' sessions mean."""

import json
from collections.abc import Mapping
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
    TranscriptEvent,
    Unknown,
    Usage,
    UsageReport,
)
from runner.harnesses.acp import Acp, AcpReader
from tests.parts.recordings import exited, lines, recorded, stopped, task


class Talk:
    """A conversation with an agent whose part the test speaks."""

    def __init__(self, model: str | None = None) -> None:
        self.reader = AcpReader()
        self.reader.speaker().begin(task("acp", model=model, command=("agent",)))
        self.events: list[TranscriptEvent] = []

    def said(self) -> list[Any]:
        return [json.loads(line) for line in (self.reader.speaker().say() or b"").splitlines()]

    def hear(self, *messages: Mapping[str, Any] | bytes) -> list[Any]:
        """What is answered to these."""
        data = b"".join(one if isinstance(one, bytes) else lines(one) for one in messages)
        for line in data.splitlines():
            self.events += self.reader.read("stdout", line)
        return self.said()

    def update(self, update: str, /, **fields: Any) -> list[Any]:
        return self.hear(
            {"method": "session/update", "params": {"update": {"sessionUpdate": update, **fields}}}
        )

    def open(self) -> Any:
        """Come to the prompt; returns it."""
        (hello,) = self.said()
        (new,) = self.hear({"id": hello["id"], "result": {"protocolVersion": 1}})
        *_, prompt = self.hear({"id": new["id"], "result": {"sessionId": "s1"}})
        return prompt

    def end(self, prompt: Any, reason: str = "end_turn", **result: Any) -> list[Any]:
        return self.hear({"id": prompt["id"], "result": {"stopReason": reason, **result}})

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def play(name: str, model: str | None = None) -> Talk:
    made = Talk(model)
    made.said()
    for line in recorded(name).splitlines(keepends=True):
        made.hear(line)
    return made


def test_an_api_decides_where_the_model_is() -> None:
    options = {"command": ("agent",), "api": "anthropic"}
    launch = Acp().launch(task("acp", model="m", **options))
    assert launch.argv == ("agent",)
    assert launch.variables == {
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "ANTHROPIC_BASE_URL": "http://10.0.0.1:4000/token",
        "ANTHROPIC_API_KEY": "placeholder",
        "ANTHROPIC_MODEL": "m",
    }
    found = Acp().model_for(options)
    assert found is not None
    assert found.key_variable == "ANTHROPIC_API_KEY"


def test_without_an_api_there_is_no_model() -> None:
    assert "ANTHROPIC_BASE_URL" not in Acp().launch(task("acp", command=("agent",))).variables
    assert Acp().model_for({"command": ("agent",), "api": None}) is None


def test_a_session_is_opened_in_the_workspace_and_prompted(talk: Talk) -> None:
    (hello,) = talk.said()
    assert (hello["jsonrpc"], hello["method"]) == ("2.0", "initialize")
    assert hello["params"]["protocolVersion"] == 1
    assert hello["params"]["clientCapabilities"]["terminal"] is False
    agent = {"name": "agent", "version": "7"}
    (new,) = talk.hear({"id": hello["id"], "result": {"protocolVersion": 1, "agentInfo": agent}})
    assert (new["method"], new["params"]) == ("session/new", {"cwd": "/workspace", "mcpServers": []})
    (prompt,) = talk.hear({"id": new["id"], "result": {"sessionId": "s1"}})
    assert prompt["method"] == "session/prompt"
    assert prompt["params"] == {"sessionId": "s1", "prompt": [{"type": "text", "text": "Do the work.\n"}]}
    assert talk.events == [SessionStart(session_id="s1", version="agent 7")]


def test_input_ends_with_the_turn(talk: Talk) -> None:
    prompt = talk.open()
    assert talk.reader.speaker().say() == b""
    talk.end(prompt)
    assert talk.reader.speaker().say() is None
    assert talk.events[-1] == Finish(ok=True)


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("gemini", Usage(tokens_in=3600, tokens_out=102)),
        ("opencode", Usage(tokens_in=1200, tokens_out=34)),
    ],
)
def test_a_good_session_is_normalised(name: str, usage: Usage) -> None:
    talk = play(f"acp-{name}-ok", "own/scripted" if name == "opencode" else None)
    assert [type(event) for event in talk.events] == [
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
    assert [event.text for event in talk.of(Message)] == ["I will write it.", "Done."]
    assert talk.of(FileEdit)[0].path == "/workspace/hello.txt"
    outcome = talk.reader.outcome(exited(), True)
    assert (outcome.ok, outcome.summary, outcome.reason) == (True, "Done.", None)
    assert (outcome.usage.tokens_in, outcome.usage.tokens_out) == (usage.tokens_in, usage.tokens_out)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gemini-401", Reason.PROVIDER_ERROR),
        ("opencode-401", Reason.HARNESS_FAILED),
        ("gemini-lying", Reason.NO_EVIDENCE),
        ("opencode-lying", Reason.NO_EVIDENCE),
    ],
)
def test_a_session_that_came_to_nothing(name: str, reason: Reason) -> None:
    talk = play(f"acp-{name}", "own/scripted" if name.startswith("opencode") else None)
    assert talk.reader.speaker().say() is None
    outcome = talk.reader.outcome(exited(), False)
    assert (outcome.ok, outcome.reason) == (False, reason)
    assert ("wrong key" in outcome.message) == name.endswith("401")


@pytest.mark.parametrize("cause", ["timeout", "cancelled"])
def test_what_was_stopped_has_no_good_end(cause: str) -> None:
    assert not play("acp-gemini-ok").reader.outcome(stopped(cause), True).ok


def test_words_come_line_by_line(talk: Talk) -> None:
    talk.open()
    for piece in ("I ", "will.\nAnd", " so on"):
        talk.update("agent_message_chunk", content={"type": "text", "text": piece})
    talk.update("agent_thought_chunk", content={"type": "text", "text": "Hm."})
    talk.update("plan", entries=[{"content": "write", "status": "completed"}, {"content": "test"}])
    assert talk.events[1:] == [
        Message(text="I will."),
        Message(text="And so on"),
        Reasoning(text="Hm."),
        Reasoning(text="Plan:\n- [x] write\n- [ ] test"),
    ]


def test_a_permission_is_given_once(talk: Talk) -> None:
    talk.open()
    options = [
        {"optionId": "no", "kind": "reject_once"},
        {"optionId": "all", "kind": "allow_always"},
        {"optionId": "yes", "kind": "allow_once"},
    ]
    asked = {"id": "a1", "method": "session/request_permission", "params": {"options": options}}
    (answer,) = talk.hear(asked)
    assert answer["id"] == "a1"
    assert answer["result"] == {"outcome": {"outcome": "selected", "optionId": "yes"}}
    (answer,) = talk.hear({**asked, "params": {"options": options[:1]}})
    assert answer["result"] == {"outcome": {"outcome": "cancelled"}}


def test_what_is_not_offered_is_refused_and_notices_are_not_answered(talk: Talk) -> None:
    talk.open()
    (answer,) = talk.hear({"id": 9, "method": "fs/read_text_file", "params": {}})
    assert (answer["id"], answer["error"]["code"]) == (9, -32601)
    assert talk.hear({"method": "own/notify", "params": {}}) == []


def test_a_failed_tool_is_no_work(talk: Talk) -> None:
    prompt = talk.open()
    talk.update("tool_call", toolCallId="c1", title="Run", kind="execute", rawInput={"command": "x"})
    talk.update("tool_call_update", toolCallId="c1", status="failed", rawOutput={"error": "no"})
    talk.end(prompt)
    assert talk.of(ToolCall) == [ToolCall(call_id="c1", tool="Run", arguments={"command": "x"})]
    assert talk.of(ToolResult) == [ToolResult(call_id="c1", ok=False, output='{"error": "no"}')]
    assert talk.reader.outcome(exited(), False).reason is Reason.NO_EVIDENCE


def test_an_edit_without_a_diff_is_known_by_its_place(talk: Talk) -> None:
    talk.open()
    places = [{"path": "/workspace/a"}]
    talk.update("tool_call", toolCallId="c1", title="rm", kind="delete", locations=places)
    talk.update("tool_call_update", toolCallId="c1", status="completed")
    assert talk.of(FileEdit) == [FileEdit(path="/workspace/a", kind="delete")]


def test_cost_is_told_of_the_whole_session(talk: Talk) -> None:
    prompt = talk.open()
    talk.update("usage_update", used=1, size=2, cost={"amount": 0.25, "currency": "USD"})
    talk.end(prompt, usage={"inputTokens": 10, "outputTokens": 2, "cachedReadTokens": 3})
    usage = talk.reader.outcome(exited(), True).usage
    assert usage == Usage(tokens_in=10, tokens_out=2, tokens_cached=3, cost_usd=0.25)


@pytest.mark.parametrize("reason", ["", "a_new_one"])
def test_an_end_without_a_reason_that_the_protocol_knows_is_no_good_end(talk: Talk, reason: str) -> None:
    talk.end(talk.open(), reason)
    outcome = talk.reader.outcome(exited(), True)
    assert (outcome.ok, outcome.reason) == (False, Reason.HARNESS_FAILED)
    assert (reason or "does not say why") in outcome.message


@pytest.mark.parametrize("reason", ["refusal", "max_tokens", "max_turn_requests", "cancelled"])
def test_another_reason_to_stop_is_no_good_end(talk: Talk, reason: str) -> None:
    talk.end(talk.open(), reason)
    outcome = talk.reader.outcome(exited(), True)
    reasons = {"refusal": Reason.REFUSED}
    assert (outcome.ok, outcome.reason) == (False, reasons.get(reason, Reason.HARNESS_FAILED))
    assert reason in outcome.message


def test_an_agent_that_wants_a_login_is_told_so(talk: Talk) -> None:
    (hello,) = talk.said()
    (new,) = talk.hear({"id": hello["id"], "result": {}})
    talk.hear({"id": new["id"], "error": {"code": -32000, "message": "Authentication required"}})
    assert talk.reader.speaker().say() is None
    outcome = talk.reader.outcome(exited(), False)
    assert "session/new: Authentication required" in outcome.message


def test_the_model_is_chosen_where_the_agent_lists_models() -> None:
    talk = Talk("b")
    (hello,) = talk.said()
    (new,) = talk.hear({"id": hello["id"], "result": {}})
    choices = [{"options": [{"value": "a"}, {"value": "b"}]}]
    option = {"id": "m", "category": "model", "currentValue": "a", "options": choices}
    chosen, prompt = talk.hear({"id": new["id"], "result": {"sessionId": "s", "configOptions": [option]}})
    assert chosen["params"] == {"sessionId": "s", "configId": "m", "value": "b"}
    assert prompt["method"] == "session/prompt"


def test_a_model_that_is_not_offered_is_a_problem() -> None:
    talk = Talk("c")
    (hello,) = talk.said()
    (new,) = talk.hear({"id": hello["id"], "result": {}})
    option = {"id": "m", "category": "model", "options": [{"value": "a"}]}
    (prompt,) = talk.hear({"id": new["id"], "result": {"sessionId": "s", "configOptions": [option]}})
    assert prompt["method"] == "session/prompt"
    assert "does not offer the model" in talk.of(Problem)[0].message


def test_a_message_ends_the_turn_and_is_the_next_prompt(talk: Talk) -> None:
    prompt = talk.open()
    assert talk.reader.speaker().steer("Rather write b.")
    assert talk.reader.speaker().steer("And c.")
    (cancel,) = talk.said()
    assert (cancel["method"], "id" in cancel) == ("session/cancel", False)
    (after,) = talk.end(prompt, "cancelled")
    assert [part["text"] for part in after["params"]["prompt"]] == ["Rather write b.", "And c."]
    assert talk.of(Finish) == []
    talk.end(after)
    assert talk.reader.outcome(exited(), True).ok
    assert not talk.reader.speaker().steer("More?")


def test_an_interruption_ends_the_turn_and_all(talk: Talk) -> None:
    prompt = talk.open()
    talk.reader.speaker().interrupt()
    (cancel,) = talk.said()
    assert cancel["method"] == "session/cancel"
    talk.end(prompt, "cancelled")
    assert talk.reader.speaker().say() is None


def test_what_is_no_message_is_kept(talk: Talk) -> None:
    talk.open()
    talk.hear(b"Welcome!\n", {"id": 77, "result": {}}, {"method": "session/update", "params": {"update": {}}})
    assert [type(event) for event in talk.events[1:]] == [Unknown, Unknown, Unknown]
