"""OpenAI Responses. Source: OpenAI's API reference, "Responses" and "Streaming events"."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT, Steps, arguments, chosen, frame, runs


def turn(body: Any) -> int:
    """Runs of items that the model made."""
    return runs([_is_models(item) for item in body["input"]]) if isinstance(body["input"], list) else 0


def _is_models(item: Mapping[str, Any]) -> bool:
    kind = item.get("type", "message")
    return kind in ("function_call", "custom_tool_call", "reasoning") or (
        kind == "message" and item.get("role") == "assistant"
    )


def aside(body: Any) -> bool:
    return False


def answer(body: Any, steps: Steps, serial: int) -> dict[str, Any]:
    usage = {
        "input_tokens": TOKENS_IN,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": TOKENS_OUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": TOKENS_IN + TOKENS_OUT,
    }
    return {
        "id": f"resp_{serial}",
        "object": "response",
        "status": "completed",
        "model": body["model"],
        "output": list(_output(body, steps, serial)),
        "usage": usage,
    }


def _output(body: Any, steps: Steps, serial: int) -> Iterator[dict[str, Any]]:
    for index, step in enumerate(steps):
        for tool, call, value in chosen(body.get("tools", ()), step):
            yield _call(tool, call, value, f"{serial}_{index}")
        if "say" in step:
            text = {"type": "output_text", "text": step["say"], "annotations": []}
            yield {"type": "message", "id": f"msg_{serial}_{index}", "role": "assistant", "content": [text]}


def _call(tool: Mapping[str, Any], call: str, value: Any, key: str) -> dict[str, Any]:
    common = {"id": f"fc_{key}", "call_id": f"call_{key}", "name": tool["name"], "status": "completed"}
    if call == "tool":  # Codex keeps the tools of a server in a namespace
        space = tool["namespace"]
        own = {"namespace": space, "name": tool["name"].removeprefix(f"{space}__")}
        return {"type": "function_call", "arguments": json.dumps(value), **common, **own}
    if tool["type"] == "custom":
        lines = "".join(f"+{line}\n" for line in value["content"].splitlines())
        patch = f"*** Begin Patch\n*** Add File: {value['path']}\n{lines}*** End Patch\n"
        return {"type": "custom_tool_call", "input": patch, **common}
    filled = arguments(tool["parameters"], call, value)
    return {"type": "function_call", "arguments": json.dumps(filled), **common}


def events(made: Mapping[str, Any]) -> Iterator[bytes]:
    yield frame({"type": "response.created", "response": {**made, "status": "in_progress", "output": []}})
    for index, item in enumerate(made["output"]):
        yield frame({"type": "response.output_item.added", "output_index": index, "item": item})
        yield frame({"type": "response.output_item.done", "output_index": index, "item": item})
    yield frame({"type": "response.completed", "response": made})


def error(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "scripted", "message": message}}
