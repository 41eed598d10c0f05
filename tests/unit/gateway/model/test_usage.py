"""What a call used, from the answers of four APIs as their providers document them, cut anywhere."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.model.tokens import TokenUsage
from runner.gateway.model.usage import UsageMeter, dialect, is_billed, with_usage_requested


def sse(*events: Any, named: bool = True) -> bytes:
    """Server-sent events, with the name that Anthropic and OpenAI's Responses give each, or without."""
    name = [f"event: {event['type']}\n" if named else "" for event in events]
    data = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join(one + two for one, two in zip(name, data, strict=True)).encode()


CACHED = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 48}
STARTED = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 148,
    "cache_read_input_tokens": 2000,
    "cache_creation": CACHED,
    "output_tokens": 1,
}
MESSAGE = {"id": "m", "type": "message", "model": "claude-opus-5", "usage": STARTED}
MESSAGES = sse(
    {"type": "message_start", "message": MESSAGE},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'a "usage": {} ü\n'}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 89, "input_tokens": None}},
    {"type": "message_stop"},
)
ANTHROPIC = TokenUsage(
    model="claude-opus-5", input=12, output=89, cached=2000, cache_written=148, cache_written_1h=48
)

RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "error": None,
    "model": "gpt-5.5-2026-04-23",
    "output": [
        {"type": "message", "content": [{"type": "output_text", "text": '"usage":{"input_tokens":9}'}]}
    ],
    "usage": {
        "input_tokens": 3000,
        "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 500},
        "output_tokens": 70,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 3070,
    },
}
RESPONSES = sse(
    {"type": "response.created", "response": {**RESPONSE, "usage": None}},
    {"type": "response.output_text.delta", "delta": "usage"},
    {"type": "response.completed", "response": RESPONSE},
)
OPENAI = TokenUsage(model="gpt-5.5-2026-04-23", input=1476, output=70, cached=1024, cache_written=500)

CHUNK = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4.1"}
CHAT_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "total_tokens": 25,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
CHAT_STREAM = (
    sse(
        {**CHUNK, "choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": None},
        {**CHUNK, "choices": [], "usage": CHAT_USAGE},
        named=False,
    )
    + b"data: [DONE]\n\n"
)
CHAT = TokenUsage(model="gpt-4.1", input=12, output=5, cached=8)


def gemini(candidates: int, thoughts: int) -> dict[str, Any]:
    usage = {
        "promptTokenCount": 100,
        "candidatesTokenCount": candidates,
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": 40,
        "toolUsePromptTokenCount": 7,
        "totalTokenCount": 107 + candidates + thoughts,
    }
    parts = [{"text": "Hi", "usage": {"input_tokens": 5}}]
    return {
        "candidates": [{"content": {"parts": parts}}],
        "usageMetadata": usage,
        "modelVersion": "gemini-3.1-pro-preview",
    }


GEMINI = TokenUsage(model="gemini-3.1-pro-preview", input=67, output=33, cached=40)
GEMINI_STREAM = b"".join(
    b"data: " + json.dumps(gemini(*one)).encode() + b"\r\n\r\n" for one in ((1, 0), (3, 30))
)
GEMINI_ARRAY = json.dumps([gemini(1, 0), gemini(3, 30)], indent=2).encode()

ANSWERS = [
    pytest.param(MESSAGES, ANTHROPIC, id="messages"),
    pytest.param(
        json.dumps({**MESSAGE, "usage": {**STARTED, "output_tokens": 89}}).encode(),
        ANTHROPIC,
        id="messages-plain",
    ),
    pytest.param(RESPONSES, OPENAI, id="responses"),
    pytest.param(json.dumps(RESPONSE).encode(), OPENAI, id="responses-plain"),
    pytest.param(CHAT_STREAM, CHAT, id="chat"),
    pytest.param(json.dumps({**CHUNK, "choices": [], "usage": CHAT_USAGE}).encode(), CHAT, id="chat-plain"),
    pytest.param(GEMINI_STREAM, GEMINI, id="gemini"),
    pytest.param(GEMINI_ARRAY, GEMINI, id="gemini-array"),
    pytest.param(json.dumps(gemini(3, 30)).encode(), GEMINI, id="gemini-plain"),
]


def metered(*pieces: bytes, longest: int = 1_000_000) -> tuple[TokenUsage, UsageMeter]:
    meter = UsageMeter(max_bytes=longest)
    for piece in pieces:
        meter.feed(piece)
    return meter.end(), meter


@pytest.mark.parametrize(("answer", "used"), ANSWERS)
def test_what_each_api_tells(answer: bytes, used: TokenUsage) -> None:
    found, meter = metered(answer)
    assert found == used
    assert (meter.has_usage, meter.is_error) == (True, False)


@pytest.mark.parametrize(("answer", "used"), ANSWERS)
@given(data=st.data())
def test_pieces_may_be_cut_anywhere(answer: bytes, used: TokenUsage, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(answer)), max_size=40))
    cuts = [0, *sorted(places), len(answer)]
    pieces = [answer[one:two] for one, two in itertools.pairwise(cuts)]
    assert metered(*pieces)[0] == used


@pytest.mark.parametrize(("answer", "used"), ANSWERS)
@given(data=st.data())
def test_an_answer_that_is_cut_off_never_tells_more_than_the_whole(
    answer: bytes, used: TokenUsage, data: st.DataObject
) -> None:
    found, _ = metered(answer[: data.draw(st.integers(0, len(answer)))])
    assert found.prompt <= used.prompt
    assert found.output <= used.output


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    found, meter = metered(*pieces)
    assert found == TokenUsage() or meter.has_usage


@given(st.sampled_from(["message", "response", "usage", "usageMetadata", "error", "model"]), st.data())
def test_no_shape_breaks_it(key: str, data: st.DataObject) -> None:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    names = st.sampled_from(["usage", "input_tokens", "prompt_tokens", "prompt_tokens_details", "model"])
    anything = st.recursive(
        scalars, lambda inner: st.dictionaries(names, inner) | st.lists(inner), max_leaves=8
    )
    value = data.draw(anything)
    for answer in (json.dumps({key: value}).encode(), b"data: " + json.dumps({key: value}).encode()):
        found, _ = metered(answer)
        assert min(found.input, found.output, found.cached, found.cache_written) >= 0


def test_a_stream_that_is_cut_tells_what_was_known() -> None:
    found, _ = metered(MESSAGES[: MESSAGES.index(b"event: ping")])
    assert found == TokenUsage(
        model="claude-opus-5", input=12, output=1, cached=2000, cache_written=148, cache_written_1h=48
    )
    assert metered(RESPONSES[:-30])[0] == TokenUsage()
    assert metered(GEMINI_ARRAY[:-3])[0].output == 1


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}).encode(),
        json.dumps({"error": {"message": "m", "type": "insufficient_quota", "code": None}}).encode(),
        json.dumps({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m"}}).encode(),
        sse({"type": "error", "error": {"type": "overloaded_error"}}),
        sse({"type": "response.failed", "response": {"error": {"code": "server_error"}, "usage": None}}),
    ],
)
def test_an_error_uses_nothing(answer: bytes) -> None:
    found, meter = metered(answer)
    assert found == TokenUsage()
    assert (meter.has_usage, meter.is_error) == (False, True)


@pytest.mark.parametrize("kind", ["incomplete", "failed"])
def test_a_response_that_ends_badly_was_paid_for_too(kind: str) -> None:
    ended = {**RESPONSE, "error": {"code": "server_error"} if kind == "failed" else None}
    found, meter = metered(sse({"type": f"response.{kind}", "response": ended}))
    assert found == OPENAI
    assert meter.is_error is (kind == "failed")


@pytest.mark.parametrize(
    "answer", [b"", b"\n", b"<html>", b"{", b'{"input_tokens": 4}', b"\x1f\x8b\x08\x00\x00", b'{"usage": {}}']
)
def test_what_tells_nothing_is_known_to_tell_nothing(answer: bytes) -> None:
    found, meter = metered(answer)
    assert (found, meter.has_usage, meter.is_error) == (TokenUsage(), False, False)


def test_only_so_much_is_held() -> None:
    found, meter = metered(*[b'{"a": "' + b"x" * 99] * 50, longest=1000)
    assert (found, meter.has_usage) == (TokenUsage(), False)
    long = sse({"type": "x", "text": "usage" + "x" * 1000})
    found, meter = metered(*MESSAGES.splitlines(keepends=True), long[:700], long[700:], longest=600)
    assert (found, meter.has_usage) == (ANTHROPIC, False)


@pytest.mark.parametrize(
    ("path", "kind", "paid"),
    [
        ("/v1/messages", "messages", True),
        ("/v1/messages/batches", "messages", True),
        ("/v1/messages/count_tokens", "messages", False),
        ("/responses", "responses", True),
        ("/v1/responses/compact", "responses", True),
        ("/v1/responses/resp_1/cancel", "responses", False),
        ("/v1/chat/completions", "chat", True),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini", True),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "gemini", True),
        ("/v1beta/models/gemini-2.5-pro:batchGenerateContent", "gemini", True),
        ("/v1beta/models/gemini-2.5-pro:countTokens", "gemini", False),
        ("/v1/models", None, True),  # what is not known to be free costs something
        ("/notmessages", None, True),
    ],
)
def test_paths_tell_the_api(path: str, kind: str | None, paid: bool) -> None:
    assert (dialect(path), is_billed(path)) == (kind, paid)


@pytest.mark.parametrize(
    "options", [{}, {"stream_options": None}, {"stream_options": {"include_usage": False}}]
)
def test_a_stream_of_chat_completions_is_asked_to_tell_its_usage(options: dict[str, Any]) -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "ü\ud800"}], "stream": True, "top_p": 0.1}
    sent = with_usage_requested("/v1/chat/completions", {**asked, **options})
    assert sent == {**asked, "stream_options": {"include_usage": True}}


def test_other_options_of_a_stream_stay() -> None:
    body = {"stream": True, "stream_options": {"include_obfuscation": False}}
    options = with_usage_requested("/chat/completions", body)["stream_options"]
    assert options == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"stream": False}),
        ("/chat/completions", {"messages": []}),
        ("/chat/completions", {"stream": True, "stream_options": {"include_usage": True}}),
        ("/v1/messages", {"stream": True}),
        ("/responses", {"stream": True}),
        ("/v1/models", {}),
    ],
)
def test_every_other_body_is_sent_as_it_is(path: str, body: dict[str, Any]) -> None:
    assert with_usage_requested(path, body) == body
