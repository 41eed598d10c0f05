"""The door to tools: what it answers to messages, to what is no message, and to strangers."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import Field

from runner.config.documents import Model, Text
from runner.config.network import NetworkRules
from runner.gateway.factory import ModelRouteOptions, open_gateway
from runner.gateway.mcp import Tool, ToolError
from runner.gateway.server import GatewayAddress

META = "io.modelcontextprotocol/protocolVersion"


class Word(Model):
    word: Text = Field(description="What to shout")
    times: int = 1


def shout(given: Word) -> str:
    if given.word == "no":
        raise ToolError("it is not polite")
    return given.word.upper() * given.times


SHOUT = Tool(name="shout", description="Say it loudly", arguments=Word, call=shout)


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayAddress]:
    listener = socket.create_server(("127.0.0.1", 0))
    with open_gateway(listener, ModelRouteOptions(), NetworkRules(), lambda _: None, [SHOUT]) as opened:
        yield opened


class Answer:
    def __init__(self, got: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.content = got.status, got.headers, got.read()

    @property
    def data(self) -> Any:
        return json.loads(self.content)


def ask(
    gateway: GatewayAddress,
    body: bytes | None,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    path: str = "",
) -> Answer:
    host, port = gateway.address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request(method, path or f"/{gateway.token}/mcp", body=body, headers=dict(headers or {}))
        return Answer(connection.getresponse())
    finally:
        connection.close()


def call(gateway: GatewayAddress, method: str, params: Any = None, headers: Any = None) -> Answer:
    message = {"jsonrpc": "2.0", "id": 7, "method": method, **({} if params is None else {"params": params})}
    return ask(gateway, json.dumps(message).encode(), headers)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("2025-03-26", "2025-03-26"),
        ("2025-11-25", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        (None, "2025-11-25"),
        (7, "2025-11-25"),
    ],
)
def test_a_handshake_settles_the_revision(gateway: GatewayAddress, asked: Any, answered: str) -> None:
    found = call(gateway, "initialize", {"protocolVersion": asked, "capabilities": {}, "clientInfo": {}})
    assert found.status == 200
    assert found.headers["Content-Type"] == "application/json"
    assert found.headers["Mcp-Session-Id"] is None
    assert found.data["id"] == 7
    result = found.data["result"]
    assert (result["protocolVersion"], result["capabilities"]) == (answered, {"tools": {}})
    assert result["serverInfo"]["name"] == "skillrunner"


def test_tools_are_listed_with_their_schemas(gateway: GatewayAddress) -> None:
    (tool,) = call(gateway, "tools/list").data["result"]["tools"]
    assert (tool["name"], tool["description"]) == ("shout", "Say it loudly")
    schema = tool["inputSchema"]
    assert schema["type"] == "object"
    assert schema["required"] == ["word"]
    assert schema["properties"]["word"]["description"] == "What to shout"
    assert "title" not in schema


def test_a_tool_is_called(gateway: GatewayAddress) -> None:
    found = call(gateway, "tools/call", {"name": "shout", "arguments": {"word": "hey", "times": 2}})
    assert found.data["result"] == {"content": [{"type": "text", "text": "HEYHEY"}], "isError": False}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"word": "no"}, "it is not polite"),
        ({}, "word: Field required"),
        ({"word": 7}, "word: Input should be a valid string"),
        ({"word": "a", "loud": True}, "loud: Extra inputs"),
        (["hey"], "valid dictionary"),
        ("hey", "valid dictionary"),
    ],
)
def test_a_tools_failure_is_for_the_agent_to_read(gateway: GatewayAddress, arguments: Any, said: str) -> None:
    result = call(gateway, "tools/call", {"name": "shout", "arguments": arguments}).data["result"]
    assert result["isError"]
    assert said in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {"name": "whisper"}, -32602),
        ("tools/call", {}, -32602),
        ("tools/call", [], -32602),
        ("tools/call", None, -32602),
        ("resources/list", {}, -32601),
        ("server/discover", {}, -32601),
        ("", {}, -32601),
    ],
)
def test_an_error_of_the_protocol_answers_the_request(
    gateway: GatewayAddress, method: str, params: Any, code: int
) -> None:
    found = call(gateway, method, params)
    assert (found.status, found.data["id"], found.data["error"]["code"]) == (200, 7, code)


def test_a_ping_is_answered(gateway: GatewayAddress) -> None:
    assert call(gateway, "ping").data["result"] == {}


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/never-heard-of", "params": {"a": 1}},
        {"jsonrpc": "2.0", "id": 3, "result": {}},
        {"jsonrpc": "2.0", "id": 3, "error": {"code": 1, "message": "no"}},
    ],
)
def test_what_asks_for_nothing_is_taken(gateway: GatewayAddress, message: Any) -> None:
    found = ask(gateway, json.dumps(message).encode())
    assert (found.status, found.content) == (202, b"")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 100_000, -32700),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600),
        (b"[]", -32600),
        (b"7", -32600),
        (b"null", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
    ],
)
def test_what_is_no_message_is_refused(gateway: GatewayAddress, body: bytes, code: int) -> None:
    found = ask(gateway, body)
    assert (found.status, found.data["error"]["code"]) == (400, code)
    assert found.data["id"] is None or code == -32600


def test_the_revision_without_a_handshake(gateway: GatewayAddress) -> None:
    meta = {"_meta": {META: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}
    version = {"MCP-Protocol-Version": "2026-07-28"}
    found = call(gateway, "server/discover", meta, version).data["result"]
    assert (found["resultType"], found["supportedVersions"]) == ("complete", ["2026-07-28"])
    assert found["capabilities"] == {"tools": {}}
    listed = call(gateway, "tools/list", meta, version).data["result"]
    assert (listed["resultType"], len(listed["tools"])) == ("complete", 1)
    shouted = {"name": "shout", "arguments": {"word": "hey"}, **meta}
    result = call(gateway, "tools/call", shouted, version).data["result"]
    assert (result["resultType"], result["isError"]) == ("complete", False)
    gone = call(gateway, "ping", meta, version)
    assert (gone.status, gone.data["error"]["code"]) == (404, -32601)


@pytest.mark.parametrize(
    ("header", "inside", "code"),
    [("2031-01-01", None, -32022), (None, "2031-01-01", -32022), ("2025-11-25", "2026-07-28", -32020)],
)
def test_a_revision_that_is_not_ours_is_refused(
    gateway: GatewayAddress, header: str | None, inside: str | None, code: int
) -> None:
    params = {"_meta": {META: inside}} if inside else {}
    found = call(gateway, "tools/list", params, {"MCP-Protocol-Version": header} if header else {})
    assert (found.status, found.data["id"], found.data["error"]["code"]) == (400, 7, code)
    if code == -32022:
        assert found.data["error"]["data"]["supported"][0] == "2026-07-28"


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "%00", "%C3%BC"])
def test_another_runs_address_is_refused(gateway: GatewayAddress, token: str) -> None:
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    found = ask(gateway, body, path=f"/{token}/mcp")
    assert found.status in (403, 404)
    assert b"shout" not in found.content


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(gateway: GatewayAddress, method: str) -> None:
    found = ask(gateway, None, method=method)
    assert (found.status, found.headers["Allow"]) == (405, "POST, DELETE")


def test_a_connection_outlives_a_refused_stream_and_says_when_it_does_not(gateway: GatewayAddress) -> None:
    """Clients ask for a stream, and send their next message over the same connection."""
    host, port = gateway.address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    path, message = f"/{gateway.token}/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    connection.request("GET", path)
    assert Answer(connection.getresponse()).status == 405
    used = connection.sock
    connection.request("POST", path, body=message)
    assert Answer(connection.getresponse()).status == 200
    assert connection.sock is used
    connection.request("PUT", path, body=message)
    refused = Answer(connection.getresponse())
    assert (refused.status, refused.headers["Connection"]) == (405, "close")
    connection.close()


def test_a_session_that_never_was_can_be_ended(gateway: GatewayAddress) -> None:
    assert ask(gateway, None, method="DELETE").status == 200


@pytest.mark.parametrize("below", ["/", "/x", "/mcp", "/../v1"])
def test_nothing_is_below_it(gateway: GatewayAddress, below: str) -> None:
    assert ask(gateway, b"{}", path=f"/{gateway.token}/mcp{below}").status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": str(3 * 1024**2)}, 413),
        ({"Content-Length": "many"}, 411),
        ({"Content-Length": "-1"}, 411),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_what_is_too_large_or_of_no_known_size_is_not_read(
    gateway: GatewayAddress, headers: Mapping[str, str], status: int
) -> None:
    assert ask(gateway, None, headers).status == status


def test_a_query_changes_nothing(gateway: GatewayAddress) -> None:
    body = b'{"jsonrpc": "2.0", "id": "a", "method": "ping"}'
    assert ask(gateway, body, path=f"/{gateway.token}/mcp?x=1").data["id"] == "a"


def test_without_tools_there_is_no_such_door() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with open_gateway(listener, ModelRouteOptions(), NetworkRules(), lambda _: None) as opened:
        assert call(opened, "tools/list").status == 404


def test_calls_do_not_wait_for_each_other() -> None:
    met = threading.Barrier(2, timeout=60)
    meet = Tool(name="meet", description="", arguments=Model, call=lambda _: str(met.wait() >= 0))
    listener = socket.create_server(("127.0.0.1", 0))
    with open_gateway(listener, ModelRouteOptions(), NetworkRules(), lambda _: None, [meet]) as opened:
        answers: list[Answer] = []
        threads = [
            threading.Thread(target=lambda: answers.append(call(opened, "tools/call", {"name": "meet"})))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [one.data["result"]["isError"] for one in answers] == [False, False]
