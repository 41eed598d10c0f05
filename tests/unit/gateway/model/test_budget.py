"""A run's account: exact sums from many threads, and a stop where the money or the knowledge ends."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from runner.core.model import Reason, Usage
from runner.gateway.model.budget import Account, Call, OpenCall
from runner.gateway.model.prices import Price
from runner.gateway.model.refusals import BudgetError, budget_answer
from runner.gateway.model.request import RequestError

PATH = "/v1/messages"
MODEL = "claude-sonnet-4-5"  # 3 and 15 dollars
DEAR = Price(**dict.fromkeys(("input", "output", "cached", "cache_written"), Decimal(1000)))  # type: ignore[arg-type]


def asking(model: str = MODEL) -> dict[str, Any]:
    return {"model": model, "stream": True, "max_tokens": 10}


def answer(tokens: int, model: str = f"{MODEL}-20250929") -> bytes:
    """An answer that costs three dollars for a million tokens."""
    usage = {"input_tokens": tokens, "output_tokens": 0}
    return json.dumps({"type": "message", "model": model, "usage": usage}).encode()


def stream(tokens: int) -> bytes:
    message = {"model": MODEL, "usage": {"input_tokens": tokens, "output_tokens": 0}}
    return b"data: " + json.dumps({"type": "message_start", "message": message}).encode() + b"\n\n"


def call(account: Account, body: bytes, status: int = 200, whole: bool = True, model: str = MODEL) -> None:
    ongoing = account.begin("POST", PATH, asking(model))
    ongoing.status = status
    ongoing.feed(body)
    ongoing.end(whole)


@contextmanager
def stopped(
    account: Account, reason: Reason = Reason.COST_LIMIT
) -> Iterator[pytest.ExceptionInfo[BudgetError]]:
    with pytest.raises(BudgetError) as caught:
        yield caught
    assert caught.value.reason is reason
    with pytest.raises(BudgetError):
        account.check()
    with pytest.raises(BudgetError):
        account.begin("POST", PATH, asking())


def test_calls_add_up_to_the_last_digit() -> None:
    kept: list[Call] = []
    account = Account(keep=kept.append)
    assert account.usage == Usage()
    for _ in range(3):
        call(account, answer(1_001))
    call(account, b'{"type": "error", "error": {}}', status=529)
    assert account.usage == Usage(tokens_in=3_003, cost_usd=0.009009)
    assert [one.cost for one in kept] == [Decimal("0.003003")] * 3 + [0]
    line = json.loads(kept[0].line())
    assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    assert line.pop("seconds") >= 0
    assert line == {
        "provider": "",
        "model": f"{MODEL}-20250929",
        "input": 1_001,
        "output": 0,
        "cached": 0,
        "cache_written": 0,
        "cost_usd": 0.003003,
        "status": 200,
    }


def test_many_threads_lose_nothing() -> None:
    account = Account(limit=1_000)

    def work() -> None:
        for _ in range(200):
            call(account, answer(7))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert account.calls == 1_600
    assert account.usage == Usage(tokens_in=11_200, cost_usd=0.0336)
    account.check()


def test_the_answer_that_goes_over_the_limit_is_the_last() -> None:
    account = Account(limit=0.05)
    call(account, answer(17_000))
    with stopped(account) as caught:
        account.check()
    assert caught.value.message == "it has cost $0.0510, and `limits.cost_usd` allows $0.05"
    assert account.usage.cost_usd == 0.051


def test_who_spent_it_all_may_end_but_ask_no_more() -> None:
    account = Account(limit=0.003)
    call(account, answer(1_000))
    account.check()
    with stopped(account):
        account.begin("POST", PATH, asking())


def test_earlier_attempts_count() -> None:
    account = Account(limit=0.1, before=0.09)
    call(account, answer(4_000))
    with stopped(account):
        account.check()
    assert account.usage.cost_usd == 0.012
    again = Account(limit=0.1, before=0.1)
    with stopped(again):
        again.begin("POST", PATH, asking())


def test_what_an_answer_has_told_counts_before_its_end() -> None:
    account = Account(limit=0.003)
    ongoing = account.begin("POST", PATH, asking())
    ongoing.feed(stream(1_000))
    with stopped(account):
        account.begin("POST", PATH, asking())


def test_a_model_without_a_price_is_refused_before_it_costs_anything() -> None:
    account = Account(limit=1)
    with stopped(account, Reason.INVALID_CONFIG) as caught:
        account.begin("POST", PATH, asking("mystery-1"))
    assert "price of the model mystery-1" in caught.value.message
    assert (
        'prices: {"mystery-1": {input: ..., output: ..., cached: ..., cache_written: ...}}'
        in caught.value.hint
    )
    gemini = Account(limit=1)
    with stopped(gemini, Reason.INVALID_CONFIG):
        gemini.begin("POST", "/v1beta/models/mystery-1:generateContent", {})


def test_a_request_that_names_no_model_is_refused_under_a_limit() -> None:
    account = Account(limit=1)
    with pytest.raises(RequestError, match="names no model"):
        account.begin("POST", PATH, asking(""))
    account.check()


def test_the_name_that_was_asked_for_helps_out() -> None:
    account = Account(limit=1)
    call(account, answer(1_000, "deployment-7"))
    account.check()
    assert account.usage.cost_usd == 0.003


def test_without_a_limit_an_unknown_price_is_an_unknown_cost() -> None:
    account = Account()
    call(account, answer(1_000))
    call(account, answer(1_000, "mystery-1"), model="mystery-1")
    account.check()
    assert account.usage == Usage(tokens_in=2_000, cost_usd=None, cost_at_least=0.003)


def test_ones_own_prices() -> None:
    account = Account(limit=0.7, own={"claude-*": DEAR})
    call(account, answer(1_000))
    with stopped(account):
        account.check()


@pytest.mark.parametrize("body", [b"", b"{}", b"\x1f\x8b compressed", b'{"id": "batch", "status": "queued"}'])
def test_a_whole_answer_that_does_not_tell_stops_a_run_with_a_limit(body: bytes) -> None:
    account = Account(limit=1)
    call(account, body)
    with stopped(account) as caught:
        account.check()
    assert "does not tell" in caught.value.message
    free = Account()
    call(free, body)
    free.check()
    assert free.usage.cost_usd is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages/batches", {"requests": []}),
        ("/responses", {"model": "gpt-5.5", "background": True}),
        ("/v1beta/models/gemini-2.5-pro:batchGenerateContent", {}),
    ],
)
def test_what_will_not_tell_is_not_even_asked_under_a_limit(path: str, body: dict[str, object]) -> None:
    account = Account(limit=1)
    with pytest.raises(RequestError, match=r"nobody knows what a (batch|background job) costs"):
        account.begin("POST", path, body)
    account.check()
    Account().begin("POST", path, body)


@pytest.mark.parametrize(
    ("body", "status", "whole"),
    [
        (b'{"error": {"message": "m"}}', 200, True),
        (b"", 401, True),
        (b"<html>", 502, True),
    ],
)
def test_an_error_costs_nothing(body: bytes, status: int, whole: bool) -> None:
    account = Account(limit=1)
    call(account, body, status, whole)
    account.check()
    assert account.usage == Usage(cost_usd=0)


def test_what_is_under_way_at_the_end_counts_as_far_as_it_told() -> None:
    kept: list[Call] = []
    account = Account(keep=kept.append)
    ongoing = account.begin("POST", PATH, asking())
    ongoing.feed(stream(1_000))
    account.close(0)
    assert account.usage.tokens_in == 1_000
    ongoing.feed(stream(5_000))
    ongoing.end(True)
    assert len(kept) == account.calls == 1


def test_the_end_waits_for_what_is_about_to_end() -> None:
    account = Account()
    ongoing = account.begin("POST", PATH, asking())
    ongoing.status = 200
    ending = threading.Thread(target=finish, args=(ongoing,))
    ending.start()
    account.close(60)
    assert account.usage.cost_usd == 0.003
    ending.join()


def finish(ongoing: OpenCall) -> None:
    ongoing.feed(answer(1_000))
    ongoing.end(True)


def test_names_of_models_are_made_fit_to_be_shown() -> None:
    account = Account(limit=1, shown=lambda name: name.replace("secret", "***"))
    with stopped(account, Reason.INVALID_CONFIG) as caught:
        account.begin("POST", PATH, asking("my-secret"))
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/messages", 402, ("error", "type", "billing_error")),
        ("/responses", 429, ("error", "code", "insufficient_quota")),
        ("/v1/chat/completions", 429, ("error", "code", "insufficient_quota")),
        ("/v1beta/models/m:generateContent", 429, ("error", "status", "RESOURCE_EXHAUSTED")),
    ],
)
def test_a_refusal_speaks_as_the_provider_does(path: str, status: int, kind: tuple[str, str, str]) -> None:
    code, content = budget_answer(path, "enough")
    assert code == status
    assert content[kind[0]][kind[1]] == kind[2]
    assert content["error"]["message"] == "enough"
