"""Anthropic Messages. Source: Anthropic's API reference, "Messages" and "Streaming messages"."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT, Steps, arguments, chosen, frame


def turn(body: Any) -> int:
    return sum(message["role"] == "assistant" for message in body["messages"])


def aside(body: Any) -> bool:
    return False


def answer(body: Any, steps: Steps, serial: int) -> dict[str, Any]:
    content = list(_content(body, steps, serial))
    stop = "tool_use" if any(part["type"] == "tool_use" for part in content) else "end_turn"
    return {
        "id": f"msg_{serial}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT},
    }


def _content(body: Any, steps: Steps, serial: int) -> Iterator[dict[str, Any]]:
    for index, step in enumerate(steps):
        for tool, call, value in chosen(body.get("tools", ()), step):
            filled = arguments(tool["input_schema"], call, value)
            yield {"type": "tool_use", "id": f"toolu_{serial}_{index}", "name": tool["name"], "input": filled}
        if "say" in step:
            yield {"type": "text", "text": step["say"]}


def events(made: Mapping[str, Any]) -> Iterator[bytes]:
    yield from map(frame, _events(made))


def _events(made: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": TOKENS_IN, "output_tokens": 1}
    yield {"type": "message_start", "message": {**made, "content": [], "stop_reason": None, "usage": usage}}
    for index, part in enumerate(made["content"]):
        if part["type"] == "text":
            start, delta = {**part, "text": ""}, {"type": "text_delta", "text": part["text"]}
        else:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(part["input"])}
            start = {**part, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": made["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": TOKENS_OUT}}
    yield {"type": "message_stop"}


def error(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "scripted", "message": message}}
