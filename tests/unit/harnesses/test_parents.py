"""What a sub-agent says and does names the call that began it."""

from typing import Any

import pytest

from runner.core.model import Message, SessionStart, ToolCall, ToolResult, UsageReport
from runner.harnesses import HARNESSES
from tests.parts.recordings import lines, read


@pytest.mark.parametrize("kind", ["claude-code", "qwen"])
def test_a_sub_agent_names_the_call_that_began_it(kind: str) -> None:
    said = [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "2", "name": "Read"}]
    result = [{"type": "tool_result", "tool_use_id": "2", "content": "x"}]
    inside: dict[str, Any] = {"parent_tool_use_id": "1"}
    stream = lines(
        {"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "1", "name": "Task"}]}},
        {"type": "assistant", "message": {"content": said}, **inside},
        {"type": "user", "message": {"content": result}, **inside},
    )
    assert read(HARNESSES.get(kind).reader(), stream) == [
        ToolCall(call_id="1", tool="Task"),
        Message(text="I look.", parent="1"),
        ToolCall(call_id="2", tool="Read", parent="1"),
        ToolResult(call_id="2", ok=True, output="x", parent="1"),
    ]


def test_copilots_sub_agents_its_model_and_its_tokens_are_told() -> None:
    used = {"model": "gpt-5", "inputTokens": 9, "outputTokens": 2, "cacheReadTokens": 4}
    stream = lines(
        {"type": "assistant.message", "data": {"content": "I look.", "parentToolCallId": "1"}},
        {"type": "assistant.usage", "data": used},
        {"type": "assistant.message", "data": {"content": "Done."}},
        {"type": "assistant.message", "data": {"content": "And I too.", "parentToolCallId": "1"}},
        {"type": "result", "sessionId": "s", "exitCode": 0},
    )
    events = read(HARNESSES.get("copilot").reader(), stream)
    assert events[0] == Message(text="I look.", parent="1")
    (usage,) = (event.usage for event in events if isinstance(event, UsageReport))
    assert (usage.tokens_in, usage.tokens_out, usage.tokens_cached) == (9, 2, 4)
    assert SessionStart(session_id="s", model="gpt-5") in events
    assert events[-1].text == "Done."  # type: ignore[union-attr]
