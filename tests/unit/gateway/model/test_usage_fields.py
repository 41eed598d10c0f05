"""Each number of each provider, alone and at its edges: where it goes, and what it is taken out of."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.model.tokens import TokenUsage
from runner.gateway.model.usage import (
    UsageMeter,
    dialect,
    is_billed,
    reports_usage,
    requested_model,
    with_usage_requested,
)


def metered(answer: Any, longest: int = 1_000_000) -> tuple[TokenUsage, UsageMeter]:
    meter = UsageMeter(max_bytes=longest)
    meter.feed(answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    return meter.end(), meter


def used(key: str, **usage: Any) -> TokenUsage:
    return metered({key: usage})[0]


# --- Anthropic --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 7}, TokenUsage(input=7)),
        ({"output_tokens": 7}, TokenUsage(output=7)),
        ({"cache_read_input_tokens": 7}, TokenUsage(cached=7)),
        ({"cache_creation_input_tokens": 7}, TokenUsage(cache_written=7)),
        (
            {"cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 3}},
            TokenUsage(cache_written=7, cache_written_1h=3),
        ),
        (
            {"cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 7}},
            TokenUsage(cache_written=7, cache_written_1h=7),
        ),
        (
            {"cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 9}},
            TokenUsage(cache_written=9, cache_written_1h=9),
        ),
        (
            {"cache_creation": {"ephemeral_1h_input_tokens": 3}},
            TokenUsage(cache_written=3, cache_written_1h=3),
        ),
        ({"cache_creation_input_tokens": 7, "cache_creation": [3]}, TokenUsage(cache_written=7)),
        (
            {"cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_5m_input_tokens": 7}},
            TokenUsage(cache_written=7),
        ),
        ({"input_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}, TokenUsage(input=1)),
    ],
)
def test_anthropic(usage: dict[str, Any], expected: TokenUsage) -> None:
    assert used("usage", **usage) == expected


# --- OpenAI -----------------------------------------------------------------------------------------

OPENAI = [("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")]


@pytest.mark.parametrize(("prompt", "output"), OPENAI)
@pytest.mark.parametrize(
    ("sent", "answered", "details", "expected"),
    [
        (9, 4, {}, TokenUsage(input=9, output=4)),
        (9, 0, {"cached_tokens": 2}, TokenUsage(input=7, cached=2)),
        (9, 0, {"cached_tokens": 9}, TokenUsage(cached=9)),
        (9, 0, {"cached_tokens": 10}, TokenUsage(cached=9)),
        (9, 0, {"cache_write_tokens": 2}, TokenUsage(input=7, cache_written=2)),
        (9, 0, {"cache_write_tokens": 10}, TokenUsage(cache_written=9)),
        (
            9,
            4,
            {"cached_tokens": 2, "cache_write_tokens": 3},
            TokenUsage(input=4, output=4, cached=2, cache_written=3),
        ),
        (9, 0, {"cached_tokens": 5, "cache_write_tokens": 6}, TokenUsage(cached=5, cache_written=4)),
        (9, 0, {"audio_tokens": 2}, TokenUsage(input=9, unpriced="audio_tokens")),
        (9, 0, None, TokenUsage(input=9)),
        (9, 0, [2], TokenUsage(input=9)),
    ],
)
def test_openai(
    prompt: str, output: str, sent: int, answered: int, details: Any, expected: TokenUsage
) -> None:
    usage = {prompt: sent, output: answered, "total_tokens": sent + answered, f"{prompt}_details": details}
    assert used("usage", **usage) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9}, TokenUsage(input=9)),
        ({"completion_tokens": 4}, TokenUsage(output=4)),
        ({"prompt_tokens": 9, "input_tokens": 3, "output_tokens": 2}, TokenUsage(input=9)),
        ({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 2}}, TokenUsage(input=7, cached=2)),
        ({"input_tokens": 9, "total_tokens": 9, "cache_read_input_tokens": 2}, TokenUsage(input=9)),
        ({"input_tokens": 9, "input_tokens_details": {}, "cache_read_input_tokens": 2}, TokenUsage(input=9)),
        ({"input_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2}}, TokenUsage(input=9)),
    ],
)
def test_which_of_openais_apis_it_is(usage: dict[str, Any], expected: TokenUsage) -> None:
    assert used("usage", **usage) == expected


# --- Gemini -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"promptTokenCount": 9}, TokenUsage(input=9)),
        ({"candidatesTokenCount": 4}, TokenUsage(output=4)),
        ({"candidatesTokenCount": 4, "thoughtsTokenCount": 3}, TokenUsage(output=7)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 3}, TokenUsage(input=9, output=3)),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 2}, TokenUsage(input=11)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 2}, TokenUsage(input=7, cached=2)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 9}, TokenUsage(cached=9)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 10}, TokenUsage(cached=9)),
        (
            {"promptTokenCount": 9, "cachedContentTokenCount": 10, "toolUsePromptTokenCount": 2},
            TokenUsage(input=2, cached=9),
        ),
        ({"promptTokenCount": 9, "totalTokenCount": 90}, TokenUsage(input=9, output=81)),
        ({"totalTokenCount": 9}, TokenUsage()),
        ({"candidatesTokenCount": 4, "output_tokens": 8}, TokenUsage(output=4)),
    ],
)
def test_gemini(usage: dict[str, Any], expected: TokenUsage) -> None:
    assert used("usageMetadata", **usage) == expected


# --- any number -------------------------------------------------------------------------------------

NUMBERS = {
    "usage": [
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "prompt_tokens",
        "completion_tokens",
    ],
    "usageMetadata": ["promptTokenCount", "candidatesTokenCount"],
}
EACH = [(key, name) for key, names in NUMBERS.items() for name in names]


def total(found: TokenUsage) -> int:
    return found.prompt + found.output


@pytest.mark.parametrize(("key", "name"), EACH)
@pytest.mark.parametrize(
    ("value", "counted"),
    [
        (0, 0),
        (1, 1),
        (10**12 - 1, 10**12 - 1),
        (10**12, 0),
        (-1, 0),
        (True, 0),
        (1.0, 0),
        ("7", 0),
        (None, 0),
        ([7], 0),
    ],
)
def test_only_a_sane_number_counts(key: str, name: str, value: Any, counted: int) -> None:
    assert total(used(key, **{name: value})) == counted


@given(
    st.sampled_from(EACH),
    st.lists(st.none() | st.integers(0, 10**6), min_size=1, max_size=5),
)
def test_of_a_stream_the_last_number_counts(where: tuple[str, str], values: list[int | None]) -> None:
    key, name = where
    meter = UsageMeter()
    last = 0
    for value in values:
        meter.feed(f"data: {json.dumps({key: {name: value}})}\n\n".encode())
        last = last if value is None else value
        assert total(meter.usage_until_now) == last
    assert total(meter.end()) == last
    assert meter.has_usage is any(value is not None for value in values)


def test_all_that_was_sent() -> None:
    one = TokenUsage(input=1, output=10, cached=100, cache_written=1_000, cache_written_1h=10_000)
    assert one.prompt == 1_101


# --- where it stands, and whose it is ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "model"),
    [
        ({"model": "a", "usage": {"input_tokens": 1}}, "a"),
        ({"message": {"model": "a", "usage": {"input_tokens": 1}}}, "a"),
        ({"response": {"model": "a", "usage": {"input_tokens": 1}}}, "a"),
        ({"response": {"modelVersion": "a"}, "usageMetadata": {"promptTokenCount": 1}}, "a"),
        ({"modelVersion": "a", "usageMetadata": {"promptTokenCount": 1}}, "a"),
        ({"model": "a", "modelVersion": "b", "usage": {"input_tokens": 1}}, "a"),
        ({"message": {"model": "a"}, "model": "b", "usage": {"input_tokens": 1}}, "a"),
        ({"usage": {"input_tokens": 1}}, ""),
        ({"model": 7, "usage": {"input_tokens": 1}}, ""),
        ({"model": "m" * 201, "usage": {"input_tokens": 1}}, "m" * 200),
    ],
)
def test_the_model_that_the_answer_names(answer: dict[str, Any], model: str) -> None:
    assert metered(answer)[0] == TokenUsage(model=model, input=1)


def test_a_name_stays_when_later_events_name_none() -> None:
    meter = UsageMeter()
    for event in (
        {"message": {"model": "a", "usage": {"input_tokens": 1}}},
        {"usage": {"output_tokens": 2}},
    ):
        meter.feed(f"data: {json.dumps(event)}\n".encode())
    assert meter.end() == TokenUsage(model="a", input=1, output=2)


@pytest.mark.parametrize(
    ("path", "asked", "model"),
    [
        ("/v1/messages", {"model": "a"}, "a"),
        ("/v1/messages", {}, ""),
        ("/v1/messages", {"model": 7}, ""),
        ("/v1/messages", {"model": "m" * 201}, "m" * 200),
        ("/v1beta/models/gemini-3:generateContent", {"model": "a"}, "gemini-3"),
        (f"/v1beta/models/{'g' * 201}:generateContent", {}, "g" * 200),
    ],
)
def test_the_model_that_is_asked_for(path: str, asked: dict[str, Any], model: str) -> None:
    assert requested_model(path, asked) == model


@pytest.mark.parametrize(
    ("path", "asked", "told"),
    [
        ("/v1/messages", {}, True),
        ("/v1/messages/batches", {}, False),
        ("/v1/messages/batches/msgbatch_1", {}, False),
        ("/v1/messages/batchesx", {}, True),
        ("/v1beta/models/g:batchGenerateContent", {}, False),
        ("/v1beta/models/g:generateContent", {}, True),
        ("/responses", {"background": True}, False),
        ("/responses", {"background": False}, True),
        ("/responses", {"background": "yes"}, False),
        ("/responses", {"Background": True}, False),
    ],
)
def test_what_will_tell_what_it_used(path: str, asked: dict[str, Any], told: bool) -> None:
    assert reports_usage(path, asked) is told


@pytest.mark.parametrize(
    ("path", "kind", "paid"),
    [
        ("/v1/responses/input_tokens", "responses", False),
        ("/v1/messages/count_tokens", "messages", False),
        ("/v1beta/models/g:countTokens", "gemini", False),
        ("/v1/responses/resp_1/cancel", "responses", False),
        ("/v1/responses/resp_1/cancelled", "responses", True),
        ("/v1/chat/completions/chatcmpl-1", "chat", True),
        ("/v1/chat", None, True),
        ("/v1/completions", None, True),
        ("/models/g", None, True),
        ("/models/a/b:generateContent", None, True),
    ],
)
def test_further_paths(path: str, kind: str | None, paid: bool) -> None:
    assert (dialect(path), is_billed(path)) == (kind, paid)


# --- how it is read ---------------------------------------------------------------------------------

PLAIN = json.dumps({"usage": {"input_tokens": 1}}).encode()
LINE = b"data: " + PLAIN + b"\n"


@pytest.mark.parametrize(("answer", "room"), [(PLAIN, len(PLAIN)), (LINE, len(LINE))])
def test_an_answer_that_just_fits_is_read(answer: bytes, room: int) -> None:
    halves = (answer[:9], answer[9:])
    for longest, told in ((room, True), (room - 2, False)):  # a line may lose its end
        meter = UsageMeter(max_bytes=longest)
        for half in halves:
            meter.feed(half)
        assert (meter.end(), meter.has_usage) == (TokenUsage(input=1) if told else TokenUsage(), told)


@pytest.mark.parametrize(
    "answer",
    [
        b" \n\t" + PLAIN,
        b"[" + PLAIN + b"]",
        b"[" + PLAIN + b",\r\n\t {}]",
        b"[7, " + PLAIN + b", {",
        LINE,
        b"\n\n" + LINE,
        b": a comment\nevent: x\n" + LINE,
        LINE.rstrip(b"\n"),
        b"event: x\n" + LINE.rstrip(b"\n"),
        b"data:" + PLAIN + b"\n",
        LINE + b"data: not json\ndata: [1]\n",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_it_is_read_in_any_form_and_any_pieces(answer: bytes, size: int) -> None:
    meter = UsageMeter()
    for at in range(0, len(answer), size):
        meter.feed(answer[at : at + size])
    assert (meter.end(), meter.has_usage, meter.is_error) == (TokenUsage(input=1), True, False)


@pytest.mark.parametrize("answer", [b"id: " + PLAIN + b"\n", b"x" + LINE, PLAIN[:-1], b"(" + PLAIN])
def test_what_is_no_data_is_not_read(answer: bytes) -> None:
    found, meter = metered(answer)
    assert (found, meter.has_usage) == (TokenUsage(), False)


def test_a_stream_tells_as_it_goes_and_a_plain_answer_at_its_end() -> None:
    stream, plain = UsageMeter(), UsageMeter()
    stream.feed(LINE)
    plain.feed(PLAIN)
    assert (stream.usage_until_now, plain.usage_until_now) == (TokenUsage(input=1), TokenUsage())
    assert (stream.has_usage, plain.has_usage) == (False, False), "only the end tells whether that is all"


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ({"error": {"message": "m"}}, True),
        ({"error": None}, False),
        ({"response": {"error": {"code": "c"}}}, True),
        ({"message": {}, "error": {"code": "c"}}, True),
        ({"error": {"message": "m"}, "usage": {"input_tokens": 1}}, True),
        ({"usage": {"input_tokens": 1}}, False),
    ],
)
def test_an_answer_says_that_it_failed(answer: dict[str, Any], failed: bool) -> None:
    for body in (json.dumps(answer).encode(), f"data: {json.dumps(answer)}\n".encode()):
        _, meter = metered(body)
        assert meter.is_error is failed
        assert meter.has_usage is ("usage" in answer)


def test_a_line_that_is_no_data_hides_no_failure_behind_it() -> None:
    assert metered(b'"error"\ndata: {"error": {"code": 1}}\n')[1].is_error
    assert metered(b'"usage"\n' + LINE)[0] == TokenUsage(input=1)


def test_a_failure_stays_one_and_does_not_matter_once_it_told() -> None:
    failing, telling = b'data: {"error": {"code": "c"}}\n', LINE
    assert metered(failing + telling)[1].is_error
    meter = UsageMeter()
    meter.feed(telling)
    meter.feed(failing)
    assert (meter.end(), meter.has_usage, meter.is_error) == (TokenUsage(input=1), True, False)


@pytest.mark.parametrize(
    ("sent", "options"),
    [
        ({"stream": True}, {"include_usage": True}),
        ({"stream": True, "stream_options": {"include_usage": 1}}, {"include_usage": True}),
        ({"stream": True, "stream_options": []}, {"include_usage": True}),
        ({"stream": 1}, None),
        (
            {"stream": True, "stream_options": {"include_usage": True, "x": 1}},
            {"include_usage": True, "x": 1},
        ),
    ],
)
def test_a_stream_is_asked_for_its_usage(sent: dict[str, Any], options: Any) -> None:
    found = with_usage_requested("/v1/chat/completions", sent)
    assert found.get("stream_options") == options
    assert found["stream"] == sent["stream"]
