"""The APIs of models: where each is, how its key is sent, and which of its calls a harness needs.

Sources: Anthropic, "Messages API"; OpenAI, "Responses API" and "Chat Completions API"; Google, "Gemini API".
"""

from collections.abc import Mapping
from dataclasses import replace

from runner.harnesses import ModelAccess

_CHAT = "POST /chat/completions"
_RESPONSES = ("POST /responses", "POST /responses/input_tokens", "POST /responses/compact")
_OPENAI_MODELS = ("GET /models", "GET /models/*")

ANTHROPIC = ModelAccess(
    key_variable="ANTHROPIC_API_KEY",
    upstream_variable="ANTHROPIC_BASE_URL",
    upstream="https://api.anthropic.com",
    header="x-api-key",
    endpoints=(
        *("POST /v1/messages", "POST /v1/messages/count_tokens"),
        *("GET /v1/models", "GET /v1/models/*"),
        *("GET /api/hello", "HEAD /api/hello"),
    ),
)
OPENAI = ModelAccess(
    key_variable="OPENAI_API_KEY",
    upstream_variable="OPENAI_BASE_URL",
    upstream="https://api.openai.com/v1",
    header="authorization",
    endpoints=(_CHAT, *_RESPONSES, *_OPENAI_MODELS),
)
OPENAI_CHAT = replace(OPENAI, endpoints=(_CHAT, *_OPENAI_MODELS))
OPENAI_RESPONSES = replace(OPENAI, endpoints=(*_RESPONSES, *_OPENAI_MODELS))
GEMINI = ModelAccess(
    key_variable="GEMINI_API_KEY",
    upstream_variable="GOOGLE_GEMINI_BASE_URL",
    upstream="https://generativelanguage.googleapis.com",
    header="x-goog-api-key",
    endpoints=(
        *("POST /v1beta/models/*:generateContent", "POST /v1beta/models/*:streamGenerateContent"),
        *("POST /v1beta/models/*:countTokens", "GET /v1beta/models", "GET /v1beta/models/*"),
    ),
)

MODELS: Mapping[str, ModelAccess] = {"anthropic": ANTHROPIC, "openai": OPENAI, "gemini": GEMINI}
"""By the value of the option `api`, of harnesses that run a program of the skill's choice."""

_VARIABLES = {  # of each API: where the model is, the key, the model
    "anthropic": ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_MODEL"),
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"),
    "gemini": ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GEMINI_MODEL"),
}


def model_variables(api: str, url: str, token: str, model: str | None) -> dict[str, str]:
    """The variables by which a program that uses the provider's own library finds the gateway."""
    return {name: value for name, value in zip(_VARIABLES[api], (url, token, model), strict=True) if value}
