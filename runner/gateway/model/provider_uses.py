"""Finds what a request has the provider do besides answering: search, fetch, run code, remember. Pure.

That is the provider's own way out, past the gateway's. Tools by name are an allow-list: one that the gateway
does not know is refused, whatever a skill allows.

Sources: Anthropic, "Tool use"; OpenAI, "Responses API: tools"; Google, "Gemini API: tools"; xAI, "Live
Search"; OpenRouter, "Web search"; Mistral, "Connectors"; LiteLLM, "Clientside credentials".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.gateway.model.request import plain_name, value_of
from runner.gateway.model.usage import Dialect, dialect, requested_model


@dataclass(frozen=True, slots=True)
class ProviderUse:
    """One thing that a request asks for. No skill can allow what has no `use`."""

    use: str  # of `runner.config.network.PROVIDER_USES`; empty: unknown
    what: str  # how the request says it


_LOCAL: Mapping[Dialect, re.Pattern[str]] = {  # tools that the agent carries out itself
    "messages": re.compile("custom|(bash|text_editor|computer|memory|tool_search_tool_[a-z0-9]+)_[0-9]{8}"),
    "responses": re.compile(
        "function|custom|local_shell|apply_patch|tool_search|computer|computer_use_preview|namespace"
    ),
    "chat": re.compile("function|custom"),
    "gemini": re.compile("functiondeclarations|computeruse"),
}
_TOOLS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), use)
    for pattern, use in (
        (r"(openrouter:)?(web_search|browser_search|x_search|live_search|\$web_search).*", "web_search"),
        (r"(googlesearch|googlesearchretrieval|enterprisewebsearch|googlemaps)", "web_search"),
        (r"(openrouter:)?(web_fetch|urlcontext|visit_website|browser_automation).*", "web_fetch"),
        (r"(code_execution|code_interpreter|codeexecution|shell).*", "code"),
        (r"(mcp|mcp_toolset|mcpservers|connector)", "mcp"),
        (r"(image_generation).*", "images"),
        (
            r"(file_search|filesearch|retrieval|document_library|collections_search|attachment_search)",
            "stored",
        ),
    )
)
_KEYS = {  # top-level keys, in their plain names
    "mcpservers": "mcp",
    "container": "code",
    "websearchoptions": "web_search",
    "searchparameters": "web_search",
    "enablesearch": "web_search",
    "plugins": "web_search",
    "previousresponseid": "stored",
    "conversation": "stored",
    "prompt": "stored",
    "cachedcontent": "stored",
    # They would choose another model, another provider or another key.
    **dict.fromkeys(("models", "fallbacks", "apibase", "baseurl", "apikey", "extrabody", "extraheaders"), ""),
}
_SEARCHING = re.compile(r"(:online$|search-preview|(^|/)sonar|(^|/)compound)")
_ADDRESSES = frozenset(
    {"imageurl", "fileurl", "videourl", "audiourl", "documenturl", "filedata", "fileuri"}
)  # keys whose value is an address, or the content itself as `data:`
_INERT = frozenset(  # keys whose value is the agent's own data, that no provider looks into
    {"arguments", "args", "response", "input", "inputschema", "parameters", "metadata", "clientmetadata"}
)


def provider_uses(path: str, told: Mapping[str, Any]) -> Iterator[ProviderUse]:
    """What a request to a model asks of its provider besides an answer."""
    api = dialect(path)
    if api is None:
        return
    yield from _by_key(told)
    yield from _by_tools(api, value_of(told, "tools"))
    if _SEARCHING.search(model := requested_model(path, told)):
        yield ProviderUse("web_search", f"the model {model}")
    for key, value in told.items():
        if plain_name(key) not in {"tools", *_INERT - {"input"}}:
            yield from _by_content(api, value)


def _by_key(told: Mapping[str, Any]) -> Iterator[ProviderUse]:
    for key, value in told.items():
        if value and (use := _KEYS.get(plain_name(key))) is not None:
            off = isinstance(value, dict) and value.get("mode") == "off"
            if not off:
                yield ProviderUse(use, f"the key {key[:50]}")


def _by_tools(api: Dialect, tools: Any) -> Iterator[ProviderUse]:
    for tool in tools if isinstance(tools, list) else [tools] if tools else ():
        for name in _names(api, tool):
            if _LOCAL[api].fullmatch(name) is None:
                yield ProviderUse(_use_of(name), f"the tool {name[:50] or 'of no type'}")
        if isinstance(tool, dict) and tool.get("type") == "namespace":
            yield from _by_tools(api, tool.get("tools"))


def _names(api: Dialect, tool: Any) -> Iterator[str]:
    """What says who carries out a tool."""
    if not isinstance(tool, dict):
        yield ""
    elif api == "gemini":
        yield from (plain_name(key) for key, value in tool.items() if value is not None)
    elif tool.get("type") == "shell" and value_of(tool.get("environment") or {}, "type") == "local":
        yield "local_shell"
    elif tool.get("type") == "builtin_function":
        yield str(value_of(tool.get("function") or {}, "name"))
    else:
        yield str(tool.get("type") or ("custom" if api == "messages" else ""))


def _use_of(name: str) -> str:
    return next((use for pattern, use in _TOOLS if pattern.fullmatch(name)), "")


def _by_content(api: Dialect, value: Any) -> Iterator[ProviderUse]:
    """What the messages bring along by address or by name."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += [child for child in one if isinstance(child, dict | list)]
        elif isinstance(one, dict):
            yield from _by_part(api, one)
            waiting += [
                child
                for key, child in one.items()
                if isinstance(child, dict | list) and plain_name(key) not in _INERT
            ]


def _by_part(api: Dialect, part: Mapping[str, Any]) -> Iterator[ProviderUse]:
    kind = part.get("type")
    if kind == "url" and isinstance(part.get("url"), str):
        yield ProviderUse("urls", "a source of the type url")
    if kind == "item_reference":
        yield ProviderUse("stored", "an item_reference")
    for key, value in part.items():
        name = plain_name(key)
        if name == "fileid" and value:
            yield ProviderUse("stored", f"a {key}")
        elif name in _ADDRESSES and _is_address(name, value):
            yield ProviderUse("urls", f"a {key}")
        elif name == "tools" and api == "responses":
            yield from _by_tools(api, value)


def _is_address(name: str, value: Any) -> bool:
    inner = value_of(value, "url") or value_of(value, "fileuri") if isinstance(value, dict) else value
    if not isinstance(inner, str):
        return False
    return (
        ":" in inner[:40]
        if name == "filedata" and not inner.startswith("data:")
        else (inner.strip()[:5].lower() != "data:")
    )
