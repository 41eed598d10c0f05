"""What other providers' Chat Completions tell of an answer: the reasoning, the cache, and other charges."""

from decimal import Decimal
from typing import Any

import pytest

from runner.gateway.model.budget import Account
from runner.gateway.model.prices import Price
from runner.gateway.model.tokens import TokenUsage, token_usage

CHAT = {"prompt_tokens": 100, "completion_tokens": 50}
THOUGHT = {"completion_tokens_details": {"reasoning_tokens": 30}}


@pytest.mark.parametrize(
    ("provider", "told", "expected"),
    [
        ("OpenAI: the output holds the reasoning", {**CHAT, **THOUGHT, "total_tokens": 150}, (100, 50, 0)),
        ("xAI: it does not", {**CHAT, **THOUGHT, "total_tokens": 180}, (100, 80, 0)),
        (
            "xAI without a total",
            {**CHAT, "completion_tokens_details": {"reasoning_tokens": 90}},
            (100, 140, 0),
        ),
        ("Google: only the total tells it", {**CHAT, "total_tokens": 450}, (100, 350, 0)),
        ("a total that is too small", {**CHAT, "total_tokens": 10}, (100, 50, 0)),
        (
            "DeepSeek",
            {**CHAT, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36, "total_tokens": 150},
            (36, 50, 64),
        ),
        (
            "DeepSeek, told twice",
            {**CHAT, "prompt_cache_hit_tokens": 64, "prompt_tokens_details": {"cached_tokens": 64}},
            (36, 50, 64),
        ),
        ("Mistral", {**CHAT, "num_cached_tokens": 40}, (60, 50, 40)),
        ("Moonshot", {**CHAT, "cached_tokens": 40}, (60, 50, 40)),
        ("more cached than sent", {**CHAT, "cached_tokens": 400}, (0, 50, 100)),
    ],
)
def test_reasoning_and_cache_in_each_providers_words(
    provider: str, told: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    sent, output, cached = expected
    assert token_usage(told) == TokenUsage(input=sent, output=output, cached=cached), provider


def test_openrouter_tells_what_it_cost() -> None:
    told = {**CHAT, "cost": 0.95, "cost_details": {"upstream_inference_cost": 19}, "is_byok": False}
    assert token_usage(told).told_cost == Decimal("0.95")
    assert token_usage({**told, "is_byok": True}).told_cost == Decimal("19.95")
    for wrong in (None, "0.95", True, -1, float("nan")):
        assert token_usage({**CHAT, "cost": wrong}).told_cost is None
    own = Price(**dict.fromkeys(("input", "output", "cached", "cache_written"), Decimal(1)))  # type: ignore[arg-type]
    assert Account().cost(token_usage(told), "some/model") == Decimal("0.95")
    assert Account(own={"some/*": own}).cost(token_usage(told), "some/model") == Decimal("0.00015")


@pytest.mark.parametrize(
    "told",
    [
        {**CHAT, "num_sources_used": 3},
        {**CHAT, "prompt_audio_seconds": 9},
        {**CHAT, "num_search_queries": 2},
        {**CHAT, "prompt_tokens_details": {"audio_tokens": 5}},
        {**CHAT, "service_tier": "priority"},
        {"input_tokens": 5, "service_tier": "priority"},
        {"input_tokens": 5, "speed": "fast"},
        {"input_tokens": 5, "inference_geo": "us"},
        {"input_tokens": 5, "server_tool_use": {"code_execution_requests": 1}},
        {"input_tokens": 5, "iterations": [{"type": "advisor_message", "input_tokens": 9}]},
        {"promptTokenCount": 5, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}]},
        {"promptTokenCount": 5, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 5}]},
    ],
)
def test_what_has_a_price_of_its_own_makes_the_cost_unknown(told: dict[str, Any]) -> None:
    used = token_usage({**told, "model": "gpt-5"})
    assert used.unpriced
    assert Account().cost(used, "gpt-5") is None


@pytest.mark.parametrize(
    "told",
    [
        {**CHAT, "num_sources_used": 0, "service_tier": "default"},
        {
            "input_tokens": 5,
            "service_tier": "standard",
            "inference_geo": "not_available",
            "speed": "standard",
        },
        {"input_tokens": 5, "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 2}},
        {"promptTokenCount": 5, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}]},
        {"promptTokenCount": 5, "promptTokensDetails": "text", "trafficType": "ON_DEMAND"},
    ],
)
def test_what_is_plain_has_the_plain_price(told: dict[str, Any]) -> None:
    assert token_usage(told).unpriced == ""


def test_searches_of_anthropic_are_priced_and_others_unknown() -> None:
    used = token_usage({"input_tokens": 100_000, "server_tool_use": {"web_search_requests": 3}})
    assert Account().cost(used, "claude-sonnet-4-5") == Decimal("0.33")


def test_a_conversation_that_was_summed_up_costs_both_steps() -> None:
    steps = [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
    ]
    used = token_usage({"input_tokens": 23_000, "output_tokens": 1_000, "iterations": steps})
    assert (used.input, used.output) == (203_000, 4_500)


@pytest.mark.parametrize(
    ("told", "written", "for_an_hour"),
    [
        ({"cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6}}, 10, 6),
        ({"cache_creation_input_tokens": 10, "cache_creation": {"ephemeral_1h_input_tokens": 6}}, 10, 6),
        ({"cache_creation_input_tokens": 10}, 10, 0),
    ],
)
def test_what_is_kept_for_an_hour_costs_more(told: dict[str, Any], written: int, for_an_hour: int) -> None:
    used = token_usage(told)
    assert (used.cache_written, used.cache_written_1h) == (written, for_an_hour)
    short = token_usage({"cache_creation_input_tokens": 10})
    dearer = Account().cost(used, "claude-sonnet-4-5")
    plain = Account().cost(short, "claude-sonnet-4-5")
    assert dearer is not None
    assert plain is not None
    assert (dearer > plain) is (for_an_hour > 0)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"usage": {}}',
        b'{"usage": null}',
        b'{"usage": {"input_tokens": 0}}',
        b'{"usage": {"input_tokens": "many"}}',
        b'{"usage": {"prompt_tokens": -5}}',
    ],
)
def test_an_answer_that_tells_nothing_of_use_has_an_unknown_cost(answer: bytes) -> None:
    account = Account()
    for body in (answer, b'{"model": "gpt-5", "usage": {"prompt_tokens": 1000, "completion_tokens": 0}}'):
        ongoing = account.begin("POST", "/chat/completions", {"model": "gpt-5"})
        ongoing.status = 200
        ongoing.feed(body)
        ongoing.end(True)
    assert (account.usage.cost_usd, account.usage.cost_at_least) == (None, 0.00125)
    assert account.usage.tokens_in == 1_000
