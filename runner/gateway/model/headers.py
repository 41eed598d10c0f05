"""The headers that pass between a harness and its model's provider: those on these lists and no others. Pure.

A header can name another method, another account, project or organisation, or switch on what the provider
does besides answering.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from email.message import Message

_ASKED = {  # with the values that they may have: a header is no place for a text of the agent's own
    "accept": re.compile(r"[\w*/+.,;= -]{1,200}", re.A),
    "anthropic-version": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "user-agent": re.compile(r"[\w ./;:,()+@-]{1,200}", re.A),
}
_ANSWERED = frozenset(
    {
        *("content-type", "date", "retry-after", "retry-after-ms", "x-should-retry", "cache-control"),
        *("request-id", "x-request-id", "openai-processing-ms", "x-reasoning-included"),
    }
)
_ANSWERED_BEGINNINGS = ("anthropic-ratelimit-", "x-ratelimit-")
_LONGEST = 500  # characters of a value

_BETA = "anthropic-beta"
_DATED = re.compile(r"-[0-9]{4}-?[0-9]{2}-?[0-9]{2}$")
_HARMLESS = frozenset(  # features of the answer itself; what changes its price is told with its usage
    {
        *("claude-code", "interleaved-thinking", "adaptive-thinking", "redact-thinking", "dev-full-thinking"),
        *("thinking-token-count", "effort", "task-budgets", "output-128k", "output-300k", "context-1m"),
        *("fine-grained-tool-streaming", "token-efficient-tools", "advanced-tool-use", "tool-examples"),
        *("tool-search-tool", "structured-outputs", "computer-use", "pdfs", "token-counting"),
        *("prompt-caching", "prompt-caching-scope", "extended-cache-ttl", "cache-diagnosis"),
        *("context-management", "compact", "model-context-window-exceeded", "mid-conversation-system"),
    }
)
_BETAS = {  # features by which the provider does something besides, by what allows it
    "web-search": "web_search",
    "web-fetch": "web_fetch",
    "mcp-client": "mcp",
    "code-execution": "code",
    "skills": "code",
    "files-api": "stored",
}


def request_headers(headers: Message, uses: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The headers to send, and what was left out of those that switch on features.

    `uses`: what the provider may do besides answering.
    """
    passed = {
        name: value
        for name, value in _passed(headers.items(), _ASKED)
        if _ASKED[name.lower()].fullmatch(value)
    }
    betas = [one.strip() for line in headers.get_all(_BETA, []) for one in line.split(",") if one.strip()]
    kept = [one for one in betas if _is_allowed(one, uses)]
    if kept:
        passed[_BETA] = ",".join(kept)
    return passed, [one for one in betas if one not in kept]


def answer_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers of an answer that the harness gets."""
    return dict(_passed(headers, _ANSWERED, _ANSWERED_BEGINNINGS))


def _passed(
    headers: Iterable[tuple[str, str]], names: Collection[str], beginnings: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        known = name.lower() in names or name.lower().startswith(beginnings or ("\0",))
        if known and value.isascii() and value.isprintable() and len(value) <= _LONGEST:
            yield name, value


def _is_allowed(beta: str, uses: Collection[str]) -> bool:
    name = _DATED.sub("", beta.lower())
    return name in _HARMLESS or _BETAS.get(name) in uses


_QUERY = {  # parameters of a request's address, with the values that they may have
    "beta": re.compile("true"),
    "alt": re.compile("sse|json"),
    **dict.fromkeys(("limit", "pageSize"), re.compile("[0-9]{1,4}")),
    **dict.fromkeys(
        ("after_id", "before_id", "pageToken", "client_version"), re.compile(r"[\w.=-]{1,200}", re.A)
    ),
    "api-version": re.compile(r"[0-9a-z.-]{1,40}"),
}


def request_query(query: str) -> str:
    """The parameters to send. Others could name a key, a method or an account of somebody's own."""
    pairs = (one.partition("=") for one in query.split("&"))
    return "&".join(
        f"{name}={value}" for name, _, value in pairs if name in _QUERY and _QUERY[name].fullmatch(value)
    )
