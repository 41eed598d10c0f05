"""A model's provider that is busy, is not there, or breaks off: who is asked then, and how often."""

import json
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from runner.config.network import NetworkRules
from runner.core.errors import RunnerError
from runner.core.model import Reason, Route
from runner.gateway.factory import ModelRouteOptions, open_gateway
from runner.gateway.model import provider, proxy
from runner.gateway.model.budget import Account, Call
from runner.gateway.model.provider import Fallback
from runner.gateway.server import GatewayAddress
from runner.harnesses.claude_code import ClaudeCode
from runner.harnesses.gemini import Gemini
from tests.integration.gateway.test_gateway_metering import HEAD, answering, post
from tests.parts.model_server import ModelServer
from tests.parts.protocols.steps import Script

MODEL, OTHER = "claude-sonnet-4-5", "claude-haiku-4-5"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
GOOD: Script = [[{"say": "Hello."}]]
KEY, OTHER_KEY = "sk-first-0123456789", "sk-second-0123456789"


def busy(status: int = 529, **more: Any) -> Script:
    return [[{"error": status, **more}, {"say": "Hello."}]]


class Opened:
    """A gateway with these providers, and what was entered in its account."""

    def __init__(self, *upstreams: str, limit: float | None = None, **more: Any) -> None:
        self.calls: list[Call] = []
        others = [Fallback(upstream=one, key=OTHER_KEY, model=more.get("model", "")) for one in upstreams[1:]]
        self.door = ModelRouteOptions(
            access=more.get("access", ClaudeCode.model),
            key=KEY,
            upstream=upstreams[0],
            fallback=others,
            routes=more.get("routes", ()),
            account=Account(limit, keep=self.calls.append),
        )

    def ask(self, times: int = 1, body: Any = ASK, path: str = "/v1/messages") -> Sequence[tuple[int, bytes]]:
        def one(gateway: GatewayAddress) -> tuple[int, bytes]:
            return post(gateway.url, path, body)

        with open_gateway(
            socket.create_server(("127.0.0.1", 0)), self.door, NetworkRules(), lambda _: None
        ) as gateway:
            return [one(gateway) for _ in range(times)]

    @property
    def statuses(self) -> list[int]:
        return [one.status for one in self.calls]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "_PAUSES", (0.01, 0.02))


def nobody() -> str:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 529])
def test_a_busy_provider_is_asked_again(model_server: ModelServer, status: int) -> None:
    opened = Opened(model_server.url(f"again-{status}", busy(status, times=2)))
    ((answered, body),) = opened.ask()
    assert (answered, json.loads(body)["content"][0]["text"]) == (200, "Hello.")
    assert opened.statuses == [status, status, 200]
    assert [one.cost for one in opened.calls[:2]] == [0, 0]
    assert {one.provider for one in opened.calls} == {"127.0.0.1"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_what_will_not_change_is_told_at_once(model_server: ModelServer, status: int) -> None:
    opened = Opened(model_server.url(f"no-{status}", busy(status)), model_server.url(f"none-{status}", GOOD))
    assert opened.ask()[0][0] == status
    assert opened.statuses == [status]


def test_our_tries_and_the_agents_add_up_and_do_not_multiply(model_server: ModelServer) -> None:
    """An agent that is refused tries again itself."""
    opened = Opened(model_server.url("bounded", busy()))
    assert [status for status, _ in opened.ask(times=5)] == [529] * 5
    assert opened.statuses == [529] * 7


def test_a_good_answer_makes_up_for_tries(model_server: ModelServer) -> None:
    opened = Opened(model_server.url("restored", busy(times=2)))
    assert [status for status, _ in opened.ask(times=2)] == [200, 200]
    model_server.failures.clear()
    assert opened.ask()[0][0] == 200
    assert opened.statuses == [529, 529, 200, 200, 529, 529, 200]


@pytest.mark.parametrize(("wished", "tries"), [("0.05", 3), ("60", 1), ("Wed, 21 Oct 2099 07:28:00 GMT", 1)])
def test_the_pause_that_a_provider_asks_for(model_server: ModelServer, wished: str, tries: int) -> None:
    """One that is too long for us is the agent's to wait for, which is told of it."""
    opened = Opened(model_server.url(f"wished-{tries}-{wished[:2]}", busy(429, retry_after=wished)))
    began = time.monotonic()
    assert opened.ask()[0][0] == 429
    assert time.monotonic() - began >= (0.1 if tries == 3 else 0)
    assert opened.statuses == [429] * tries


def test_one_that_is_not_there_is_tried_again_and_then_told() -> None:
    opened = Opened(nobody())
    ((status, body),) = opened.ask()
    assert (status, opened.statuses) == (502, [0, 0, 0])
    assert b"Connection refused" in body


def test_a_request_that_may_have_been_billed_is_not_sent_twice() -> None:
    with answering(b"") as (address, heard):
        opened = Opened(address)
        assert opened.ask()[0][0] == 502
    assert len(heard.requests) == 1


def test_an_answer_that_has_begun_is_never_begun_again(model_server: ModelServer) -> None:
    other = model_server.url("begun-other", GOOD)
    with answering(HEAD.replace(b"200 OK\r\n", b"200 OK\r\nContent-Length: 100\r\n") + b"data: {}") as (
        address,
        heard,
    ):
        with pytest.raises(Exception, match="IncompleteRead"):
            Opened(address, other).ask()
        assert len(heard.requests) == 1
    assert model_server.asked("begun-other") == []


def test_the_next_provider_answers_with_its_own_key_and_model(model_server: ModelServer) -> None:
    first, second = model_server.url("fall-1", busy()), model_server.url("fall-2", GOOD)
    opened = Opened(first, second, model=OTHER, limit=5)
    ((status, body),) = opened.ask()
    assert (status, json.loads(body)["model"]) == (200, OTHER)
    assert opened.statuses == [529, 529, 529, 200]
    assert [one.body["model"] for one in model_server.asked("fall-2")] == [OTHER]
    assert {one.headers["x-api-key"] for one in model_server.asked("fall-1")} == {KEY}
    assert {one.headers["x-api-key"] for one in model_server.asked("fall-2")} == {OTHER_KEY}
    assert dict(opened.door.log.fallbacks) == {"127.0.0.1": 1}
    assert opened.calls[-1].cost == Decimal("0.00137")  # a third of the larger one's


def test_one_that_failed_rests_while_another_answers(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = model_server.url("rest-1", busy()), model_server.url("rest-2", GOOD)
    opened = Opened(first, second)
    assert [status for status, _ in opened.ask(times=3)] == [200] * 3
    assert opened.statuses == [529, 529, 529, 200, 200, 200]
    monkeypatch.setattr(provider, "_REST", 0.0)
    assert [status for status, _ in Opened(first, second).ask(times=2)] == [200] * 2
    assert len(model_server.asked("rest-1")) == 3 + 3 + 3


@pytest.mark.parametrize("cut", [False, True])
def test_who_is_not_there_or_breaks_off_is_replaced(model_server: ModelServer, cut: bool) -> None:
    second = model_server.url(f"gone-{cut}", GOOD)
    with answering(b"") as (address, _):
        opened = Opened(address if cut else nobody(), second)
        assert opened.ask()[0][0] == 200
    assert opened.statuses == ([0, 200] if cut else [0, 0, 0, 200])


def test_when_all_fail_the_last_one_is_heard(model_server: ModelServer) -> None:
    first, second = model_server.url("all-1", busy(529)), model_server.url("all-2", busy(503))
    opened = Opened(first, second)
    assert opened.ask()[0][0] == 503
    assert opened.statuses == [529, 529, 529, 503]


def test_a_fallback_needs_a_key_that_can_be_sent(model_server: ModelServer) -> None:
    opened = Opened(model_server.address)
    opened.door = ModelRouteOptions(
        access=ClaudeCode.model,
        key=KEY,
        fallback=[Fallback(upstream="https://models.example.com", key="two\nlines")],
    )
    with pytest.raises(RunnerError) as caught:
        opened.ask()
    assert caught.value.reason is Reason.SECRET_MISSING
    assert "https://models.example.com" in caught.value.message
    assert "lines" not in caught.value.message


def test_the_model_that_the_rules_choose_is_asked_and_paid(model_server: ModelServer) -> None:
    upstream = model_server.url("routed", GOOD)
    routes = (Route(model=OTHER, tools=False), Route(model=MODEL))
    opened = Opened(upstream, limit=5, routes=routes)
    opened.ask(body={**ASK, "model": "whatever"})
    opened.ask(body={**ASK, "model": "whatever", "tools": [{"name": "x", "input_schema": {}}]})
    assert [one.body["model"] for one in model_server.asked("routed")] == [OTHER, MODEL]
    assert [one.cost for one in opened.calls] == [Decimal("0.00137"), Decimal("0.00411")]


def test_what_is_spent_leads_to_a_cheaper_model(model_server: ModelServer) -> None:
    upstream = model_server.url("spent", GOOD)
    routes = (Route(model=OTHER, spent_over=0.5), Route(model=MODEL))
    Opened(upstream, limit=0.012, routes=routes).ask(times=3)
    assert [one.body["model"] for one in model_server.asked("spent")] == [MODEL, MODEL, OTHER]


def test_a_model_in_the_path_is_routed(model_server: ModelServer) -> None:
    upstream = model_server.url("routed-path", GOOD)
    opened = Opened(upstream, access=Gemini.model, routes=(Route(model="gemini-2.5-flash"),))
    assert (
        opened.ask(body={"contents": []}, path="/v1beta/models/gemini-2.5-pro:generateContent")[0][0] == 200
    )
    assert model_server.asked("routed-path")[0].path.endswith("/models/gemini-2.5-flash:generateContent")


def test_no_key_shows(model_server: ModelServer) -> None:
    opened = Opened(model_server.address, model_server.address)
    assert KEY not in repr(opened.door)
    assert OTHER_KEY not in repr(opened.door)
