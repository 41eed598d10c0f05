"""OpenAI Responses. Source: OpenAI's API reference, "Responses" and "Streaming events"."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT, Steps, arguments, chosen, frame, patch, runs


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


def tools(body: Any) -> list[Mapping[str, Any]]:
    """Those that a request offers; Codex's newer models are told of theirs in the conversation."""
    told = [one for item in body["input"] if isinstance(item, dict) for one in item.get("tools", ())]
    return [*body.get("tools", ()), *(one for space in told for one in space.get("tools", ()))]


def _output(body: Any, steps: Steps, serial: int) -> Iterator[dict[str, Any]]:
    offered = tools(body)
    scripted = any(one["type"] == "custom" and one["name"] == "exec" for one in offered)
    for index, step in enumerate(steps):
        key = f"{serial}_{index}"
        if scripted and ("write" in step or "shell" in step):
            yield _script(step, key)
        else:
            yield from (_call(tool, call, value, key) for tool, call, value in chosen(offered, step))
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
        return {"type": "custom_tool_call", "input": patch(value), **common}
    filled = arguments(tool["parameters"], call, value)
    return {"type": "function_call", "arguments": json.dumps(filled), **common}


def _script(step: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A call of the tool that runs JavaScript, in which all others are functions."""
    if "write" in step:
        code = f"text(await tools.apply_patch({json.dumps(patch(step['write']))}))"
    else:
        code = f"text(await tools.exec_command({json.dumps({'cmd': step['shell']})}))"
    common = {"id": f"fc_{key}", "call_id": f"call_{key}", "status": "completed"}
    return {"type": "custom_tool_call", "name": "exec", "namespace": "functions", "input": code, **common}


def events(made: Mapping[str, Any]) -> Iterator[bytes]:
    yield frame({"type": "response.created", "response": {**made, "status": "in_progress", "output": []}})
    for index, item in enumerate(made["output"]):
        yield frame({"type": "response.output_item.added", "output_index": index, "item": item})
        yield frame({"type": "response.output_item.done", "output_index": index, "item": item})
    yield frame({"type": "response.completed", "response": made})


def error(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "scripted", "message": message}}
