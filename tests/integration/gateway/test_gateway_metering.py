"""The gateway's meter between a client and a server: what passes, what is counted, what is refused."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from runner.core.model import Reason, Usage
from runner.gateway import factory
from runner.gateway.model.budget import Account, Call
from runner.gateway.model.refusals import BudgetError
from runner.gateway.server import GatewayAddress
from runner.harnesses.claude_code import ClaudeCode
from runner.harnesses.codex import Codex
from runner.harnesses.model_apis import OPENAI
from tests.parts.gateway import open_gateway
from tests.parts.model_server import ModelServer, Server
from tests.parts.protocols.steps import TOKENS_IN, TOKENS_OUT

KEY = "sk-real-key-0123456789"
MODEL = "claude-sonnet-4-5"
ONE = 0.00411  # dollars of one scripted answer of it
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
CHAT = OPENAI


def call(
    gateway: GatewayAddress, path: str, body: Any, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    return post(gateway.url, path, body, headers)


def post(base: str, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    url = urlsplit(base)
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)) as connection:
        connection.request("POST", url.path + path, body=json.dumps(body).encode(), headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def _unnumbered(answer: bytes) -> bytes:
    """Each answer of the model has an id of its own."""
    return re.sub(rb"msg_[0-9]+", b"msg", answer)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_passes_unchanged_and_is_counted(model_server: ModelServer, streamed: bool) -> None:
    upstream = model_server.url(f"meter-{streamed}", [[{"say": "Hello. " * 10_000}]])
    kept: list[Call] = []
    account = Account(keep=kept.append)
    ask = {**ASK, "stream": streamed}
    with open_gateway(ClaudeCode.model, KEY, upstream, account) as gateway:
        passed = call(gateway, "/v1/messages", ask)
        call(gateway, "/v1/messages/count_tokens", ask)
    direct = post(upstream, "/v1/messages", ask)
    assert passed[0] == direct[0] == 200
    assert _unnumbered(passed[1]) == _unnumbered(direct[1])
    assert account.usage == Usage(tokens_in=TOKENS_IN, tokens_out=TOKENS_OUT, cost_usd=ONE)
    assert [(one.status, one.usage.model) for one in kept] == [(200, MODEL)]


def test_the_call_after_the_last_cent_is_refused_in_the_providers_words(model_server: ModelServer) -> None:
    upstream = model_server.url("meter-limit", [[{"say": "Hello."}]])
    account = Account(limit=ONE)
    with open_gateway(ClaudeCode.model, KEY, upstream, account) as gateway:
        assert call(gateway, "/v1/messages", {**ASK, "stream": True})[0] == 200
        status, told = call(gateway, "/v1/messages", ASK)
        assert call(gateway, "/v1/messages/count_tokens", ASK)[0] == 404  # costs nothing, so it passes
    assert (status, json.loads(told)["error"]["type"]) == (402, "billing_error")
    assert len(model_server.asked("meter-limit")) == 2
    with pytest.raises(BudgetError):
        account.check()


def test_a_model_without_a_price_never_reaches_the_provider(model_server: ModelServer) -> None:
    upstream = model_server.url("meter-price", [[{"say": "Hello."}]])
    account = Account(limit=1)
    with open_gateway(Codex.model, KEY, upstream, account) as gateway:
        status, told = call(gateway, "/responses", {"model": "mystery-1", "input": []})
    assert (status, json.loads(told)["error"]["code"]) == (429, "insufficient_quota")
    assert model_server.asked("meter-price") == []
    with pytest.raises(BudgetError) as caught:
        account.check()
    assert caught.value.reason is Reason.INVALID_CONFIG


class Heard:
    """What an upstream was asked: (headers in lower case, body) of each request."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []


@contextmanager
def answering(*pieces: bytes, between: threading.Event | None = None) -> Iterator[tuple[str, Heard]]:
    """An upstream that answers with these bytes; after the first piece it waits for `between`."""
    heard = Heard()

    class Raw(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                if between is not None:
                    between.wait(60)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides has
            pass

    server = Server(("127.0.0.1", 0), Raw)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 0}
CHUNK = {"object": "chat.completion.chunk", "model": "gpt-4.1", "choices": []}


def test_a_stream_of_chat_completions_tells_its_usage() -> None:
    account = Account()
    with (
        answering(HEAD + sse({**CHUNK, "usage": None}, {**CHUNK, "usage": USAGE})) as (address, heard),
        open_gateway(CHAT, KEY, address, account) as gateway,
    ):
        ask = {"model": "gpt-4.1", "messages": [], "stream": True}
        call(gateway, "/chat/completions", ask, {"Accept-Encoding": "gzip, br"})
    headers, body = heard.requests[0]
    assert headers["accept-encoding"] == "identity"
    assert int(headers["content-length"]) == len(body)
    assert json.loads(body) == {**ask, "stream_options": {"include_usage": True}}
    assert account.usage == Usage(tokens_in=1_000, cost_usd=0.002)


@pytest.mark.parametrize("limit", [1.0, None])
def test_who_leaves_before_the_end_pays_all_the_same_where_there_is_a_limit(limit: float | None) -> None:
    """OpenAI tells the usage last: a client that hangs up before would never reach its limit."""
    told = threading.Event()
    filler = sse(*[{**CHUNK, "choices": [{"delta": {"content": "x" * 1_000}}]}] * 2_000)
    account = Account(limit)
    with (
        answering(HEAD + sse(CHUNK), filler + sse({**CHUNK, "usage": USAGE}), between=told) as (address, _),
        open_gateway(CHAT, KEY, address, account) as gateway,
    ):
        url = urlsplit(gateway.url)
        body = json.dumps({"model": "gpt-4.1", "stream": True}).encode()
        with closing(socket.create_connection((url.hostname, url.port), timeout=60)) as client:
            head = f"POST {url.path}/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            assert client.recv(1_000)
        told.set()
        account.close(60)
    assert account.usage == Usage(tokens_in=1_000 if limit else 0, cost_usd=0.002 if limit else None)


def test_a_call_under_way_at_the_end_counts_as_far_as_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "_CLOSE_TIMEOUT", 0.1)
    hold = threading.Event()
    message = {"model": MODEL, "usage": {"input_tokens": 1_000, "output_tokens": 0}}
    started = sse({"type": "message_start", "message": message})
    account = Account()
    with (
        answering(HEAD + started, b"", between=hold) as (address, _),
        open_gateway(ClaudeCode.model, KEY, address, account) as gateway,
    ):
        url = urlsplit(gateway.url)
        client = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        client.request("POST", f"{url.path}/v1/messages", body=json.dumps(ASK).encode())
        assert client.getresponse().read1(10)
    hold.set()
    client.close()
    assert account.usage == Usage(tokens_in=1_000, cost_usd=0.003)


def test_calls_side_by_side_all_count(model_server: ModelServer) -> None:
    upstream = model_server.url("meter-many", [[{"say": "Hello."}]])
    account = Account()
    with open_gateway(ClaudeCode.model, KEY, upstream, account) as gateway:
        clients = [
            threading.Thread(target=call, args=(gateway, "/v1/messages", {**ASK, "stream": True}))
            for _ in range(20)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert account.usage == Usage(tokens_in=20 * TOKENS_IN, tokens_out=20 * TOKENS_OUT, cost_usd=0.0822)


def test_a_compressed_answer_is_not_passed_on_and_its_cost_is_unknown() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
    account = Account(limit=1)
    with (
        answering(head + b"\x1f\x8b\x08\x00") as (address, _),
        open_gateway(ClaudeCode.model, KEY, address, account) as gateway,
    ):
        status, told = call(gateway, "/v1/messages", ASK)
    assert (status, "compresses its answer" in json.loads(told)["error"]["message"]) == (502, True)
    assert (account.calls, account.usage.cost_usd) == (1, None)
    assert account.charged > 0
