"""Chat Completions and Gemini through the gateway, plain and as a stream."""

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from runner.harnesses import ModelAccess
from runner.harnesses.gemini import Gemini
from runner.harnesses.qwen import Qwen
from tests.parts.gateway import open_gateway
from tests.parts.model_server import ModelServer
from tests.parts.protocols.steps import Script

KEY = "sk-real-key-0123456789"
WRITE: Script = [[{"say": "I will."}, {"write": {"path": "a.md", "content": "x"}}], [{"say": "Done."}]]
SCHEMA = {
    "type": "object",
    "properties": {"path": {}, "content": {}, "why": {"type": "string"}},
    "required": ["why"],
}
FILLED = {"path": "a.md", "content": "x", "why": "x"}
CHAT: Mapping[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [{"type": "function", "function": {"name": "write", "parameters": SCHEMA}}],
}
ASKED: Mapping[str, Any] = {
    "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    "tools": [{"functionDeclarations": [{"name": "write_file", "parametersJsonSchema": SCHEMA}]}],
}
GEMINI = "/v1beta/models/gemini-2.5-pro"


def ask(
    server: ModelServer, access: ModelAccess, script: Script, path: str, body: Any, **headers: str
) -> tuple[int, bytes]:
    """A call through a gateway to a model that plays `script`."""
    upstream = server.url("apis", script)
    with open_gateway(access, KEY, upstream) as gateway:
        url = urlsplit(gateway.url)
        with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)) as connection:
            connection.request("POST", url.path + path, json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


def frames(body: bytes) -> list[Any]:
    data = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(one) for one in data if one != b"[DONE]"]


def test_chat_calls_a_tool_and_tells_usage(model_server: ModelServer) -> None:
    status, body = ask(
        model_server, Qwen.model, WRITE, "/chat/completions", CHAT, Authorization="Bearer placeholder"
    )
    answer = json.loads(body)
    message = answer["choices"][0]["message"]
    assert (status, message["content"]) == (200, "I will.")
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == FILLED
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["usage"]["prompt_tokens"] == 1200
    asked = model_server.asked("apis")[-1]
    assert asked.path == "/apis/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("usage", [True, False])
def test_chat_streams_and_tells_usage_in_any_case(model_server: ModelServer, usage: bool) -> None:
    """The gateway asks for it: nobody else could say what the call cost."""
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": usage}}
    _, streamed = ask(model_server, Qwen.model, WRITE, "/chat/completions", body)
    chunks = frames(streamed)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "I will."
    calls = [delta["tool_calls"][0]["function"] for delta in deltas if "tool_calls" in delta]
    assert calls[0]["name"] == "write"
    assert json.loads("".join(call["arguments"] for call in calls)) == FILLED
    assert chunks[-1]["usage"]["prompt_tokens"] == 1200
    assert streamed.endswith(b"data: [DONE]\n\n")


def test_the_turn_follows_the_history(model_server: ModelServer) -> None:
    history = [
        *CHAT["messages"],
        {"role": "assistant", "content": "I will."},
        {"role": "tool", "content": "ok"},
    ]
    _, body = ask(model_server, Qwen.model, WRITE, "/chat/completions", {**CHAT, "messages": history})
    assert json.loads(body)["choices"][0]["message"] == {"role": "assistant", "content": "Done."}


def test_a_side_question_is_not_part_of_the_script(model_server: ModelServer) -> None:
    question = {"model": "m", "messages": CHAT["messages"]}
    _, body = ask(model_server, Qwen.model, [[{"error": 500}]], "/chat/completions", question)
    assert json.loads(body)["choices"][0]["message"]["content"] == "A title"


@pytest.mark.parametrize("name", ["x-goog-api-key", "X-Goog-Api-Key"])
def test_gemini_gets_its_key_once(model_server: ModelServer, name: str) -> None:
    status, body = ask(
        model_server, Gemini.model, WRITE, f"{GEMINI}:generateContent", ASKED, **{name: "placeholder"}
    )
    answer = json.loads(body)
    said, called = answer["candidates"][0]["content"]["parts"]
    assert (status, said) == (200, {"text": "I will."})
    assert called == {"functionCall": {"name": "write_file", "args": FILLED}}
    assert answer["usageMetadata"]["totalTokenCount"] == 1234
    assert model_server.asked("apis")[-1].headers["x-goog-api-key"] == KEY


def test_gemini_streams_a_part_an_event(model_server: ModelServer) -> None:
    path = f"{GEMINI}:streamGenerateContent?alt=sse"
    _, body = ask(model_server, Gemini.model, WRITE, path, ASKED)
    first, last = frames(body)
    assert first["candidates"][0]["content"]["parts"] == [{"text": "I will."}]
    assert "usageMetadata" not in first
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"]["promptTokenCount"] == 1200
    assert model_server.asked("apis")[-1].path.endswith(":streamGenerateContent?alt=sse")


def test_each_refuses_in_its_own_words(model_server: ModelServer) -> None:
    refuse: Script = [[{"error": 401, "message": "invalid key"}]]
    status, body = ask(model_server, Gemini.model, refuse, f"{GEMINI}:generateContent", ASKED)
    told = {"code": 401, "message": "invalid key", "status": "UNAUTHENTICATED"}
    assert (status, json.loads(body)["error"]) == (401, told)
    status, body = ask(model_server, Qwen.model, refuse, "/chat/completions", CHAT)
    assert (status, json.loads(body)["error"]["message"]) == (401, "invalid key")


def test_a_stream_that_breaks_off_arrives_cut(model_server: ModelServer) -> None:
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(
            model_server,
            Qwen.model,
            [[{"say": "Hello."}, {"cut": 1}]],
            "/chat/completions",
            {**CHAT, "stream": True},
        )
    assert len(frames(caught.value.partial)) == 1
