"""How long an answer may become, as its request says it in each API; what of a request has no price. Pure.

A provider never answers with more tokens than a request allows. Where a request allows as many as the model
can write, nobody knows beforehand what it may cost.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.gateway.model.request import RequestError, plain_name, value_of
from runner.gateway.model.usage import Dialect

USUAL = 32_768  # tokens of an answer, where its request sets no limit: few answers are longer
_SMALLER = (  # models that refuse a request for so many, by the beginning of their names
    (re.compile(r"gpt-4o|gpt-4\.5|chatgpt-4o"), 16_384),
    (re.compile(r"gpt-4\.1|o1-preview|gpt-5-chat"), 16_384),
    (re.compile(r"gpt-4|gpt-3\.5"), 4_096),
    (re.compile(r"gemini-(1|2\.0)|deepseek-chat|claude-3-5|mistral|codestral|devstral"), 8_192),
    (re.compile(r"claude-3"), 4_096),
)
_KEYS: Mapping[Dialect, tuple[str, ...]] = {
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "chat": ("max_completion_tokens", "max_tokens"),
    "gemini": ("maxOutputTokens",),
}
_MANY: Mapping[Dialect, tuple[str, ...]] = {"chat": ("n", "best_of"), "gemini": ("candidateCount",)}
_LONG_NAME_HOSTS = ("openai.com", "openai.azure.com")  # newer models of OpenAI refuse `max_tokens`
_PLAIN = {"servicetier": {"auto", "default", "standard", "standard_only"}, "speed": {"standard", "normal"}}
_SOUND = re.compile(rb'"(input_audio|audio_url|video_url)"|"(mime_?[tT]ype|media_type)":"(audio|video)/')


def usual_size(model: str) -> int:
    """The tokens that an answer may have where its request does not say it."""
    return next((size for name, size in _SMALLER if name.match(model.rpartition("/")[2])), USUAL)


def asked_size(api: Dialect, told: Mapping[str, Any]) -> int | None:
    """The most tokens of each answer that a request allows; None: as many as the model can write.

    Raises RequestError when it is no number of tokens.
    """
    found = [value for key in _KEYS[api] if (value := value_of(_holder(api, told), key)) is not None]
    for value in found:
        if type(value) is not int or value < 1:
            raise RequestError(400, f"{' or '.join(_KEYS[api])} should be a number of tokens")
    return max(found, default=None)


def with_size(api: Dialect, told: Mapping[str, Any], size: int, host: str) -> dict[str, Any]:
    """The request, so that its answer has at most so many tokens."""
    if api == "gemini":
        key = next((key for key in told if plain_name(key) == "generationconfig"), "generationConfig")
        return {**told, key: {**_without_empty(api, _holder(api, told)), "maxOutputTokens": size}}
    name = _KEYS[api][0]
    if api == "chat" and not f".{host}".endswith(tuple(f".{one}" for one in _LONG_NAME_HOSTS)):
        name = "max_tokens"
    return {**_without_empty(api, told), name: size}


def number_of_answers(api: Dialect, told: Mapping[str, Any]) -> int:
    """How many answers a request asks for. Raises RequestError when it is no such number."""
    asked = [value_of(_holder(api, told), key) for key in _MANY.get(api, ())]
    for value in asked:
        if value is not None and (type(value) is not int or not 1 <= value <= 128):
            raise RequestError(400, f"{' or '.join(_MANY[api])} should be a number of answers")
    return max((value for value in asked if value is not None), default=1)


def unpriced_parts(api: Dialect, told: Mapping[str, Any], body: bytes) -> Iterator[str]:
    """What a request asks for whose price is not that of the model's tokens of text."""
    for key, value in told.items():
        plain = _PLAIN.get(plain_name(key))
        if plain is not None and value is not None and str(value).lower() not in plain:
            yield f"{key}: {str(value)[:30]}"
        elif plain_name(key) in ("audio", "prediction") and value:
            yield f"the key {key}"
        elif plain_name(key) == "inferencegeo" and value not in (None, "global"):
            yield f"{key}: {str(value)[:30]}"
    wanted = value_of(told, "modalities") or value_of(_holder(api, told), "responseModalities") or ()
    for one in wanted if isinstance(wanted, list | tuple) else (wanted,):
        if str(one).lower() != "text":
            yield f"an answer in {str(one)[:30].lower()}"
    if (found := _SOUND.search(body)) is not None:
        yield f"a request with {found[0][:40].decode(errors='replace')}"


def _holder(api: Dialect, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object with the options of the answer."""
    inner = value_of(told, "generationConfig") if api == "gemini" else told
    return inner if isinstance(inner, dict) else {}


def _without_empty(api: Dialect, options: Mapping[str, Any]) -> dict[str, Any]:
    names = {plain_name(key) for key in _KEYS[api]}
    return {key: value for key, value in options.items() if plain_name(key) not in names}
