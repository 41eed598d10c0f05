"""Messages made of content blocks, as Claude Code and those who follow it print them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.core.model import Message, Reasoning, ToolCall, ToolResult, TranscriptEvent, Unknown
from runner.harnesses._fields import text, unknown_event


def content_block(part: Mapping[str, Any], parent: str) -> Iterator[TranscriptEvent]:
    """`parent`: the call of the tool that began the sub-agent which says it; empty: the agent itself."""
    match part.get("type"):
        case "text":
            yield Message(text=text(part, "text"), parent=parent)
        case "thinking":
            yield Reasoning(text=text(part, "thinking"), parent=parent)
        case "tool_use" | "server_tool_use":
            call, tool = text(part, "id"), text(part, "name")
            yield ToolCall(call_id=call, tool=tool, arguments=part.get("input"), parent=parent)
        case _:
            yield Unknown(text=unknown_event(part))


def tool_result(part: Mapping[str, Any], exit_code: re.Pattern[str], parent: str) -> ToolResult:
    """`exit_code` finds the code of a shell command in its result."""
    output = _flat(part.get("content"))
    code = exit_code.search(output)
    return ToolResult(
        call_id=text(part, "tool_use_id"),
        ok=part.get("is_error") is not True,
        output=output,
        exit_code=int(code[1]) if code else None,
        parent=parent,
    )


def _flat(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(text(part, "text") for part in parts if isinstance(part, dict))
