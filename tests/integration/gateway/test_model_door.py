"""What passes between a harness and its model's provider: listed endpoints, headers and uses, and no key."""

import json
from email.message import Message
from typing import Any

import pytest

from runner.gateway.model.budget import Account
from runner.gateway.model.headers import request_headers
from runner.harnesses import ModelAccess
from runner.harnesses.model_apis import ANTHROPIC, GEMINI, MODELS, OPENAI
from tests.integration.gateway.test_gateway import call
from tests.integration.gateway.test_gateway_budget import KEY, Provider, metered, post
from tests.integration.gateway.test_gateway_metering import answering
from tests.parts.gateway import open_gateway
from tests.parts.model_server import ModelServer

CHAT, RESPONSES, GENERATE = "/chat/completions", "/responses", "/v1beta/models/gemini-2.5-pro:generateContent"


# --- endpoints ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "method", "path"),
    [
        ("anthropic", "POST", "/v1/messages/batches"),
        ("anthropic", "GET", "/v1/messages/batches"),
        ("anthropic", "GET", "/v1/messages/batches/msgbatch_1/results"),
        ("anthropic", "GET", "/v1/messages"),
        ("anthropic", "POST", "/v1/models"),
        ("anthropic", "GET", "/v1/models/a/b"),
        ("anthropic", "GET", "/v1/models/.."),
        ("anthropic", "GET", "/v1/files"),
        ("openai", "GET", "/responses/resp_1"),
        ("openai", "GET", "/responses/resp_1/input_items"),
        ("openai", "POST", "/responses/resp_1/cancel"),
        ("openai", "GET", "/chat/completions"),
        ("openai", "GET", "/chat/completions/chatcmpl-1"),
        ("openai", "POST", "/chat/completions/chatcmpl-1"),
        ("openai", "POST", "/images/generations"),
        ("openai", "DELETE", "/models/ft-1"),
        ("gemini", "GET", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("gemini", "POST", "/v1beta/models/gemini-2.5-pro:batchGenerateContent"),
        ("gemini", "POST", "/v1beta/models/gemini-2.5-pro/operations/1:cancel"),
        ("gemini", "GET", "/v1beta/models/gemini-2.5-pro/operations"),
        ("gemini", "POST", "/v1beta/models/x:generateContent:countTokens"),
    ],
)
def test_only_the_harness_endpoints_pass(model_server: ModelServer, api: str, method: str, path: str) -> None:
    before = len(model_server.requests)
    with open_gateway(MODELS[api], KEY, model_server.url(f"door-{api}", [])) as gateway:
        assert call(gateway, method, path, {} if method == "POST" else None)[0] == 404
    assert len(model_server.requests) == before


# --- headers and parameters ---------------------------------------------------------------------------


def test_only_listed_headers_and_parameters_pass(model_server: ModelServer) -> None:
    sent = {
        "X-HTTP-Method-Override": "DELETE",
        "X-Goog-User-Project": "other",
        "OpenAI-Organization": "org-other",
        "OpenAI-Project": "proj-other",
        "OpenAI-Beta": "assistants=v2",
        "Api-Key": "their-own",
        "X-Forwarded-For": "10.0.0.1",
        "Authorization": "Bearer their-own",
        "Anthropic-Version": "2023-06-01",
        "User-Agent": "agent/1",
        "anthropic-beta": "interleaved-thinking-2025-05-14,mcp-client-2025-04-04,files-api-2025-04-14",
    }
    upstream = model_server.url("door-headers", [[{"say": "Hello."}]])
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    with open_gateway(ANTHROPIC, KEY, upstream) as gateway:
        path = "/v1/messages?beta=true&key=their-own&$httpMethod=DELETE&alt=media&access_token=x"
        assert call(gateway, "POST", path, body, sent)[0] == 200
    asked = model_server.asked("door-headers")[-1]
    assert asked.path == "/door-headers/v1/messages?beta=true"
    own = {"accept-encoding", "content-length", "content-type", "host", "x-api-key"}
    assert asked.headers.keys() == own | {"anthropic-beta", "anthropic-version", "user-agent"}
    assert asked.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    assert asked.headers["x-api-key"] == KEY


@pytest.mark.parametrize(
    ("name", "value", "passes"),
    [
        ("anthropic-version", "2023-06-01", True),
        ("anthropic-version", "2023-06-01 and a secret", False),
        ("anthropic-version", "c2VjcmV0", False),
        ("User-Agent", "claude-cli/2.1.329 (external, sdk-cli)", True),
        ("User-Agent", "codex_exec/0.150.0 (Ubuntu 24.4.0; x86_64) xterm-256color", True),
        ("User-Agent", "a/1 " + "x" * 300, False),
        ("User-Agent", 'a/1 {"stolen": 1}', False),
        ("User-Agent", "a/1 \x00\x1b[0m", False),
        ("Accept", "application/json, text/event-stream;q=0.9, */*", True),
        ("Accept", "<stolen>", False),
    ],
)
def test_a_header_passes_only_in_its_plain_form(name: str, value: str, passes: bool) -> None:
    headers = Message()
    headers[name] = value
    assert request_headers(headers, ()) == ({name: value} if passes else {}, [])


def test_a_feature_of_the_provider_passes_where_the_skill_allows_it() -> None:
    provider = Provider(output=10)
    headers = {"anthropic-beta": "mcp-client-2025-04-04,unheard-of-2030-01-01"}
    body = {"model": "m", "max_tokens": 9, "mcp_servers": [{"type": "url", "url": "https://e.example"}]}
    with metered(provider, Account(), uses=frozenset({"mcp", "urls"})) as opened:
        assert post(opened, body, headers=headers)[0] == 200
    assert provider.requests[0][1]["anthropic-beta"] == "mcp-client-2025-04-04"


# --- what a provider does besides answering -----------------------------------------------------------

USES: list[tuple[ModelAccess, str, dict[str, Any], str]] = [
    (ANTHROPIC, "/v1/messages", {"tools": [{"type": "web_search_20250305", "name": "s"}]}, "web_search"),
    (ANTHROPIC, "/v1/messages", {"tools": [{"type": "web_fetch_20250910", "name": "f"}]}, "web_fetch"),
    (ANTHROPIC, "/v1/messages", {"tools": [{"type": "code_execution_20250825", "name": "c"}]}, "code"),
    (ANTHROPIC, "/v1/messages", {"mcp_servers": [{"url": "https://evil.example"}]}, "mcp"),
    (ANTHROPIC, "/v1/messages", {"container": "container_of_others"}, "code"),
    (OPENAI, RESPONSES, {"tools": [{"type": "web_search_preview_2025_03_11"}]}, "web_search"),
    (OPENAI, RESPONSES, {"tools": [{"type": "mcp", "server_url": "https://evil.example"}]}, "mcp"),
    (OPENAI, RESPONSES, {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code"),
    (OPENAI, RESPONSES, {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "code"),
    (OPENAI, RESPONSES, {"tools": [{"type": "image_generation"}]}, "images"),
    (OPENAI, RESPONSES, {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "stored"),
    (OPENAI, RESPONSES, {"tools": [{"type": "namespace", "tools": [{"type": "mcp"}]}]}, "mcp"),
    (OPENAI, RESPONSES, {"previous_response_id": "resp_of_others"}, "stored"),
    (OPENAI, RESPONSES, {"conversation": {"id": "conv_of_others"}}, "stored"),
    (OPENAI, RESPONSES, {"prompt": {"id": "pmpt_of_others"}}, "stored"),
    (OPENAI, RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}, "stored"),
    (OPENAI, CHAT, {"web_search_options": {"search_context_size": "high"}}, "web_search"),
    (OPENAI, CHAT, {"search_parameters": {"mode": "on"}}, "web_search"),
    (OPENAI, CHAT, {"plugins": [{"id": "web"}]}, "web_search"),
    (OPENAI, CHAT, {"model": "openai/gpt-5:online"}, "web_search"),
    (
        OPENAI,
        CHAT,
        {"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]},
        "web_search",
    ),
    (GEMINI, GENERATE, {"tools": [{"googleSearch": {}}]}, "web_search"),
    (GEMINI, GENERATE, {"tools": [{"google_search_retrieval": {}}]}, "web_search"),
    (GEMINI, GENERATE, {"tools": [{"functionDeclarations": []}, {"urlContext": {}}]}, "web_fetch"),
    (GEMINI, GENERATE, {"tools": [{"code_execution": {}}]}, "code"),
    (GEMINI, GENERATE, {"cachedContent": "cachedContents/of-others"}, "stored"),
    (GEMINI, GENERATE, {"cached_content": "cachedContents/of-others"}, "stored"),
]
URL = "https://evil.example/?q=secret"
PARTS: list[tuple[ModelAccess, str, Any]] = [
    (ANTHROPIC, "/v1/messages", {"type": "image", "source": {"type": "url", "url": URL}}),
    (ANTHROPIC, "/v1/messages", {"type": "document", "source": {"type": "url", "url": URL}}),
    (
        ANTHROPIC,
        "/v1/messages",
        {"type": "tool_result", "content": [{"type": "image", "source": {"type": "url", "url": URL}}]},
    ),
    (OPENAI, CHAT, {"type": "image_url", "image_url": {"url": URL}}),
    (OPENAI, CHAT, {"type": "file", "file": {"file_data": URL}}),
    (OPENAI, CHAT, {"type": "document_url", "document_url": URL}),
    (OPENAI, RESPONSES, {"type": "input_image", "image_url": URL}),
    (OPENAI, RESPONSES, {"type": "input_file", "file_url": URL}),
    (GEMINI, GENERATE, {"fileData": {"fileUri": URL, "mimeType": "text/plain"}}),
    (GEMINI, GENERATE, {"file_data": {"file_uri": URL}}),
]
HISTORY = {ANTHROPIC: "messages", GEMINI: "contents"}


def asking(access: ModelAccess, **more: Any) -> dict[str, Any]:
    return {"model": "m", **more} if access is not GEMINI else more


@pytest.mark.parametrize(("access", "path", "more", "use"), USES)
def test_what_a_provider_does_besides_has_to_be_allowed(
    access: ModelAccess, path: str, more: dict[str, Any], use: str
) -> None:
    provider, body = Provider(output=10), {**asking(access), **more}
    others = frozenset({"web_search", "web_fetch", "urls", "mcp", "code", "images", "stored"}) - {use}
    with metered(provider, Account(), access, others) as opened:
        status, told = post(opened, body, path)
    assert (status, provider.requests) == (403, [])
    assert f"environment.network.provider: [{use}]" in told["error"]["message"]
    with metered(provider, Account(), access, frozenset({use})) as opened:
        post(opened, body, path)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(("access", "path", "part"), PARTS)
def test_an_address_in_a_message_has_to_be_allowed(access: ModelAccess, path: str, part: Any) -> None:
    key = "input" if path == RESPONSES else HISTORY.get(access, "messages")
    inner = {"parts": [part]} if access is GEMINI else {"content": [part]}
    body = asking(access, **{key: [{"role": "user", **inner}]})
    provider = Provider(output=10)
    with metered(provider, Account(), access) as opened:
        status, told = post(opened, body, path)
        assert (status, provider.requests) == (403, [])
        assert "[urls]" in told["error"]["message"]
        inline = json.loads(json.dumps(body).replace(URL, "data:image/png;base64,AA=="))
        if (
            "fileUri" not in json.dumps(body)
            and "file_uri" not in json.dumps(body)
            and access is not ANTHROPIC
        ):
            post(opened, inline, path)
            assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("access", "path", "more"),
    [
        (ANTHROPIC, "/v1/messages", {"tools": [{"type": "unheard_of_20300101"}]}),
        (OPENAI, RESPONSES, {"tools": [{"type": "unheard_of"}]}),
        (OPENAI, CHAT, {"tools": ["web_search"]}),
        (OPENAI, CHAT, {"models": ["dear/model"]}),
        (OPENAI, CHAT, {"api_base": "https://evil.example"}),
        (GEMINI, GENERATE, {"tools": [{"unheardOf": {}}]}),
    ],
)
def test_what_is_unknown_is_never_allowed(access: ModelAccess, path: str, more: dict[str, Any]) -> None:
    provider = Provider(output=10)
    everything = frozenset({"web_search", "web_fetch", "urls", "mcp", "code", "images", "stored"})
    with metered(provider, Account(), access, everything) as opened:
        assert post(opened, {**asking(access), **more}, path)[0] == 403
    assert provider.requests == []


@pytest.mark.parametrize(
    ("access", "path", "more"),
    [
        (
            ANTHROPIC,
            "/v1/messages",
            {
                "tools": [
                    {"name": "Read", "input_schema": {"properties": {"image_url": {"type": "url"}}}},
                    {"type": "custom", "name": "x"},
                    {"type": "text_editor_20250728", "name": "e"},
                    {"type": "bash_20250124", "name": "b"},
                ],
                "messages": [
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "tool_use", "input": {"image_url": URL, "type": "url", "url": URL}}
                        ],
                    },
                    {"role": "user", "content": f"see {URL}"},
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "base64", "data": "AA"}}],
                    },
                ],
            },
        ),
        (
            OPENAI,
            RESPONSES,
            {
                "tools": [
                    {"type": "function", "name": "f", "parameters": {"properties": {"file_url": {}}}},
                    {"type": "custom", "name": "apply_patch"},
                    {"type": "tool_search", "execution": "client"},
                    {"type": "shell", "environment": {"type": "local"}},
                ],
                "input": [{"type": "function_call", "arguments": json.dumps({"image_url": URL})}],
                "store": False,
            },
        ),
        (
            GEMINI,
            GENERATE,
            {
                "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"fileUri": {}}}]}],
                "contents": [{"parts": [{"functionCall": {"name": "f", "args": {"fileUri": URL}}}]}],
            },
        ),
    ],
)
def test_the_agents_own_tools_and_data_pass(access: ModelAccess, path: str, more: dict[str, Any]) -> None:
    provider = Provider(output=10)
    with metered(provider, Account(), access) as opened:
        post(opened, {**asking(access), **more}, path)
    assert len(provider.requests) == 1


# --- the key in an answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["401 Unauthorized", "200 OK"])
@pytest.mark.parametrize("cut", [0, 1, 9, len(KEY) - 1])
def test_a_provider_that_tells_the_key_tells_it_to_nobody(status: str, cut: int) -> None:
    said = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}. sk-the-"}}).encode()
    at = said.index(KEY.encode()) + cut
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Request-Id: {KEY}\r\n"
        f"OpenAI-Organization: org-ours\r\nSet-Cookie: a=b\r\nContent-Length: {len(said)}\r\n\r\n"
    ).encode()
    with (
        answering(head, said[:at], said[at:]) as (upstream, _),
        open_gateway(OPENAI, KEY, upstream) as gateway,
    ):
        _, headers, body = call(gateway, "POST", CHAT, {"model": "m", "messages": []})
    assert json.loads(body)["error"]["message"] == f"Incorrect API key provided: {'*' * len(KEY)}. sk-the-"
    assert headers["x-request-id"] == "*" * len(KEY)
    assert not {"openai-organization", "set-cookie"} & headers.keys()
