"""Gemini. Source: Google's API reference, "Generating content" (`generateContent` and its stream)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT, Steps, arguments, chosen, frame, runs

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
}
_USAGE = {
    "promptTokenCount": TOKENS_IN,
    "candidatesTokenCount": TOKENS_OUT,
    "totalTokenCount": TOKENS_IN + TOKENS_OUT,
}


def turn(body: Any) -> int:
    return runs([content.get("role") == "model" for content in body["contents"]])


def aside(body: Any) -> bool:
    return not _tools(body)


def _tools(body: Any) -> list[Mapping[str, Any]]:
    return [one for tool in body.get("tools", ()) for one in tool.get("functionDeclarations", ())]


def answer(body: Any, steps: Steps, serial: int) -> dict[str, Any]:
    candidate = {"index": 0, "content": {"role": "model", "parts": list(_parts(body, steps))}}
    return {
        "candidates": [{**candidate, "finishReason": "STOP"}],
        "usageMetadata": _USAGE,
        "modelVersion": "scripted",
        "responseId": f"resp_{serial}",
    }


def _parts(body: Any, steps: Steps) -> Iterator[dict[str, Any]]:
    for step in steps:
        for tool, call, value in chosen(_tools(body), step):
            schema = tool.get("parametersJsonSchema") or tool.get("parameters") or {}
            yield {"functionCall": {"name": tool["name"], "args": arguments(schema, call, value)}}
        if "say" in step:
            yield {"text": _routed(body) or step["say"]}


def _routed(body: Any) -> str:
    """The answer to Gemini CLI's question which model shall do the work; empty: it asks something else."""
    asked = body.get("generationConfig", {}).get("responseJsonSchema", {}).get("properties", {})
    known = {"complexity_reasoning": "It is simple.", "complexity_score": 1}
    return json.dumps(known) if known.keys() == asked.keys() else ""


def events(made: Mapping[str, Any]) -> Iterator[bytes]:
    """A part an event; the reason of the end and the usage come with the last one."""
    (candidate,) = made["candidates"]
    *before, last = candidate["content"]["parts"] or [{"text": ""}]
    common = {name: made[name] for name in ("modelVersion", "responseId")}
    for part in before:
        yield frame({**common, "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]})
    yield frame({**made, "candidates": [{**candidate, "content": {"role": "model", "parts": [last]}}]})


def error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNAVAILABLE")}}
