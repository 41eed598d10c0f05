"""OpenAI Chat Completions. Source: OpenAI's API reference, "Chat Completions" and its streaming chunks."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT, Steps, arguments, chosen, frame, runs

_USAGE = {
    "prompt_tokens": TOKENS_IN,
    "completion_tokens": TOKENS_OUT,
    "total_tokens": TOKENS_IN + TOKENS_OUT,
    "prompt_tokens_details": {"cached_tokens": 0},
}


def turn(body: Any) -> int:
    return runs([message["role"] == "assistant" for message in body["messages"]])


def aside(body: Any) -> bool:
    """An agent at work declares its tools; one that wants a title for its session does not."""
    return not body.get("tools")


def answer(body: Any, steps: Steps, serial: int) -> dict[str, Any]:
    said = "\n".join(step["say"] for step in steps if "say" in step)
    calls = list(_calls(body, steps, serial))
    message = {"role": "assistant", "content": said or None, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    # In a stream the usage comes only where it is asked for.
    streamed = not body.get("stream") or (body.get("stream_options") or {}).get("include_usage")
    return {
        "id": f"chatcmpl-{serial}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body["model"],
        "choices": [choice],
        **({"usage": _USAGE} if streamed else {}),
    }


def _calls(body: Any, steps: Steps, serial: int) -> Iterator[dict[str, Any]]:
    tools = [tool["function"] for tool in body.get("tools", ()) if tool.get("type") == "function"]
    for index, step in enumerate(steps):
        for tool, call, value in chosen(tools, step):
            filled = arguments(tool.get("parameters", {}), call, value)
            function = {"name": tool["name"], "arguments": json.dumps(filled)}
            yield {"id": f"call_{serial}_{index}", "type": "function", "function": function}


def events(made: Mapping[str, Any]) -> Iterator[bytes]:
    (choice,) = made["choices"]
    message = choice["message"]
    yield _chunk(made, {"role": "assistant", "content": ""})
    if message["content"]:
        yield _chunk(made, {"content": message["content"]})
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        begun = {**call, "index": index, "function": {"name": function["name"], "arguments": ""}}
        yield _chunk(made, {"tool_calls": [begun]})
        yield _chunk(
            made, {"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]}
        )
    yield _chunk(made, {}, choice["finish_reason"])
    if "usage" in made:
        yield frame({**made, "object": "chat.completion.chunk", "choices": []})
    yield b"data: [DONE]\n\n"


def _chunk(made: Mapping[str, Any], delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    common = {name: made[name] for name in ("id", "created", "model")}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return frame({**common, "object": "chat.completion.chunk", "choices": [choice]})


def error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "scripted", "param": None, "code": None}}
