"""The tokens of a call, read from the numbers that its answer tells, in each provider's words. Pure.

Sources: Anthropic, "Messages API", "Compaction", "Service tiers"; OpenAI, "Responses API", "Chat Completions
API", "Prompt caching"; Google, "Gemini API: generateContent" (UsageMetadata); xAI, DeepSeek, Mistral,
Moonshot and OpenRouter: their pages on the usage of Chat Completions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

_ABSURD = 10**12  # no call has so many tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """The tokens of one call, each counted once, so that a price goes with each number.

    Anthropic's input_tokens leave out what went through the cache, as `input` does. OpenAI's input_tokens
    and prompt_tokens and Google's promptTokenCount hold it, so it is taken out of them. Google's tokens of
    tools' results are further input, and its thoughts are output; OpenAI's output holds its reasoning, and
    xAI's does not.
    """

    model: str = ""  # as the answer names it
    input: int = 0  # neither read from a cache nor written to one
    output: int = 0
    cached: int = 0  # read from a cache
    cache_written: int = 0
    cache_written_1h: int = 0  # part of `cache_written`: kept for an hour, which costs more
    searches: int = 0  # of the web, by the provider
    unpriced: str = ""  # what else it tells that has a price of its own; empty: nothing
    told_cost: Decimal | None = None  # in US dollars, where the provider tells it

    @property
    def prompt(self) -> int:
        """All prompt tokens, which some prices depend on."""
        return self.input + self.cached + self.cache_written


def token_usage(told: Mapping[str, Any]) -> TokenUsage:
    """What an answer's numbers, by the provider's names for them, say that it used."""
    model = told.get("model", "")
    if "promptTokenCount" in told or "candidatesTokenCount" in told:
        used = _gemini(told, model)
    elif "prompt_tokens" in told or "completion_tokens" in told:
        used = _openai(told, model, "prompt_tokens", "completion_tokens")
    elif "input_tokens_details" in told or "total_tokens" in told:
        used = _openai(told, model, "input_tokens", "output_tokens")
    else:
        used = _anthropic(told, model)
    return replace(used, unpriced=next(_unpriced(told), ""), told_cost=_told_cost(told))


def _anthropic(told: Mapping[str, Any], model: str) -> TokenUsage:
    """Where a call took several steps, such as a summary before its answer, `iterations` has them all."""
    one = _anthropic_step(told, model)
    steps = told.get("iterations")
    several = (
        [_anthropic_step(step, model) for step in steps if isinstance(step, dict)]
        if (isinstance(steps, list))
        else []
    )
    whole = _sum(several, model) if several else one
    searches = _count(part(told, "server_tool_use"), "web_search_requests")
    return replace(max(one, whole, key=lambda used: used.prompt + used.output), searches=searches)


def _anthropic_step(told: Mapping[str, Any], model: str) -> TokenUsage:
    """Writes to the cache are told as a sum, and by how long they last: one of them may be missing."""
    lasting = part(told, "cache_creation")
    for_an_hour = _count(lasting, "ephemeral_1h_input_tokens")
    parts = for_an_hour + _count(lasting, "ephemeral_5m_input_tokens")
    written = max(_count(told, "cache_creation_input_tokens"), parts)
    return TokenUsage(
        model=model,
        input=_count(told, "input_tokens"),
        output=_count(told, "output_tokens"),
        cached=_count(told, "cache_read_input_tokens"),
        cache_written=written,
        cache_written_1h=for_an_hour,
    )


def _sum(steps: Sequence[TokenUsage], model: str) -> TokenUsage:
    names = ("input", "output", "cached", "cache_written", "cache_written_1h")
    return TokenUsage(model=model, **{name: sum(getattr(one, name) for one in steps) for name in names})


def _openai(told: Mapping[str, Any], model: str, prompt: str, output: str) -> TokenUsage:
    """The dialects differ in where they tell of the cache, and in whether the output holds the reasoning."""
    details, all_of_it = part(told, f"{prompt}_details"), _count(told, prompt)
    elsewhere = (
        "prompt_cache_hit_tokens",
        "num_cached_tokens",
        "cached_tokens",
    )  # DeepSeek, Mistral, Moonshot
    known = (_count(details, "cached_tokens"), *(_count(told, name) for name in elsewhere))
    cached = min(all_of_it, max(known))
    written = min(all_of_it - cached, _count(details, "cache_write_tokens"))
    return TokenUsage(
        model=model,
        input=all_of_it - cached - written,
        output=_whole_output(told, all_of_it, output),
        cached=cached,
        cache_written=written,
    )


def _whole_output(told: Mapping[str, Any], prompt: int, name: str) -> int:
    """All that was written. xAI, and Google in this API, tell the reasoning apart, or in the total alone."""
    output, total = _count(told, name), _count(told, "total_tokens")
    thought = _count(part(told, f"{name}_details"), "reasoning_tokens")
    if total:
        return max(output, total - prompt)
    return output if thought <= output else output + thought


def _gemini(told: Mapping[str, Any], model: str) -> TokenUsage:
    prompt, tools = _count(told, "promptTokenCount"), _count(told, "toolUsePromptTokenCount")
    cached = min(prompt, _count(told, "cachedContentTokenCount"))
    output = _count(told, "candidatesTokenCount") + _count(told, "thoughtsTokenCount")
    return TokenUsage(
        model=model,
        input=prompt - cached + tools,
        output=max(output, _count(told, "totalTokenCount") - prompt - tools),
        cached=cached,
    )


def _unpriced(told: Mapping[str, Any]) -> Iterator[str]:
    """What an answer tells that is not paid by its model's tokens of text."""
    yield from _unusual_terms(told)
    yield from (name for name in _EXTRAS if _count(told, name))
    for holder, names in _COUNTED.items():
        yield from (name for name in names if _count(part(told, holder), name))
    for name, value in part(told, "server_tool_use").items():
        if name not in ("web_search_requests", "web_fetch_requests") and value:
            yield name[:30]
    for name, as_text in _READ_AS_TEXT.items():
        for one in _parts(told, name):
            kind = str(one.get("modality", "TEXT")).upper()
            if kind not in as_text and _count(one, "tokenCount"):
                yield f"tokens of {kind[:20].lower()}"


def _unusual_terms(told: Mapping[str, Any]) -> Iterator[str]:
    for name, plain in _PLAIN.items():
        value = told.get(name)
        if isinstance(value, str) and value.lower() not in plain:
            yield f"{name} {value[:30]}"
    for step in _parts(told, "iterations"):
        if step.get("type", "message") not in ("message", "compaction"):
            yield f"a step of the type {str(step['type'])[:30]}"


_EXTRAS = ("num_sources_used", "prompt_audio_seconds", "num_search_queries", "citation_tokens")
_PLAIN = {
    "service_tier": ("standard", "default", "auto", "on_demand"),
    "serviceTier": ("standard", "default", "on_demand"),
    "trafficType": ("on_demand", "traffic_type_unspecified"),
    "speed": ("standard", "normal"),
    "inference_geo": ("global", "not_available"),
}
_AUDIO = ("audio_tokens", "video_tokens")
_COUNTED = {
    **dict.fromkeys(("prompt_tokens_details", "completion_tokens_details"), _AUDIO),
    **dict.fromkeys(("input_tokens_details", "output_tokens_details"), _AUDIO),
    "server_side_tool_usage_details": ("web_search_calls", "x_search_calls", "code_interpreter_calls"),
}
_READ_AS_TEXT = {
    "promptTokensDetails": ("TEXT", "IMAGE", "DOCUMENT", "MODALITY_UNSPECIFIED"),
    "candidatesTokensDetails": ("TEXT", "MODALITY_UNSPECIFIED"),
}


def _told_cost(told: Mapping[str, Any]) -> Decimal | None:
    """OpenRouter tells it, and apart from it what a key of one's own pays upstream."""
    value = told.get("cost")
    if not _is_amount(value):
        return None
    upstream = part(told, "cost_details").get("upstream_inference_cost")
    own_key = told.get("is_byok") is True and _is_amount(upstream)
    return Decimal(str(value)) + (Decimal(str(upstream)) if own_key else 0)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _ABSURD


def part(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def _parts(told: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    value = told.get(key)
    yield from (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))


def _count(told: Mapping[str, Any], key: str) -> int:
    """A number of tokens; 0 when it is missing or absurd."""
    value = told.get(key)
    return value if type(value) is int and 0 <= value < _ABSURD else 0
