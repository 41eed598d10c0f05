"""An account at the edge of its limit, at every way an answer ends, and in what it keeps of a call."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from http.client import IncompleteRead
from typing import Any

import pytest

from runner.core.model import Phase, Reason, Usage
from runner.gateway.model.budget import Account, Call, OpenCall
from runner.gateway.model.prices import Price
from runner.gateway.model.refusals import BudgetError, budget_answer
from runner.gateway.model.tokens import TokenUsage

PATH = "/v1/messages"
MODEL = "m"
OWN = {"m": Price(input=Decimal(1), output=Decimal(2), cached=Decimal("0.1"), cache_written=Decimal("1.25"))}
MILLION = 1_000_000


def answer(**usage: Any) -> bytes:
    return json.dumps({"model": MODEL, "usage": usage}).encode()


def event(**usage: Any) -> bytes:
    return b"data: " + answer(**usage) + b"\n"


def begin(account: Account, provider: str = "", path: str = PATH, method: str = "POST") -> OpenCall:
    ongoing = account.begin(method, path, {"model": MODEL, "max_tokens": 1}, provider)
    ongoing.status = 200
    return ongoing


def call(account: Account, body: bytes = b"", whole: bool = True, status: int = 200) -> None:
    ongoing = begin(account)
    ongoing.status = status
    ongoing.feed(body)
    ongoing.end(whole)


def error_of(action: Callable[[], object]) -> BudgetError:
    with pytest.raises(BudgetError) as caught:
        action()
    assert caught.value.phase is Phase.HARNESS
    return caught.value


# --- what a call costs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"input_tokens": MILLION}, 1.0),
        ({"output_tokens": MILLION}, 2.0),
        ({"cache_read_input_tokens": MILLION}, 0.1),
        ({"cache_creation_input_tokens": MILLION}, 1.25),
        ({"input_tokens": MILLION, "output_tokens": 1}, 1.000002),
    ],
)
def test_each_kind_of_token_costs_its_own_price(usage: dict[str, int], cost: float) -> None:
    account = Account(own=OWN)
    call(account, answer(**usage))
    assert account.usage.cost_usd == cost


def test_all_that_was_used_adds_up() -> None:
    account = Account(own=OWN)
    usage = {
        "input_tokens": 1,
        "output_tokens": 20,
        "cache_read_input_tokens": 300,
        "cache_creation_input_tokens": 4_000,
    }
    for _ in range(2):
        call(account, answer(**usage))
    assert account.usage == Usage(
        tokens_in=8_602, tokens_out=40, tokens_cached=600, cost_usd=2 * (1 + 40 + 30 + 5_000) / MILLION
    )
    assert account.calls == 2


def test_what_used_nothing_costs_nothing_whatever_the_model() -> None:
    assert Account().cost(TokenUsage(model="unheard-of"), "unheard-of") == 0
    assert Account().cost(TokenUsage(model="unheard-of", input=1), "unheard-of") is None
    assert Account().cost(TokenUsage(model="unheard-of", output=1), "unheard-of") is None
    assert Account(own=OWN).cost(TokenUsage(model="unheard-of", output=MILLION), "m") == 2
    assert Account(own=OWN).cost(TokenUsage(model="m", output=MILLION), "unheard-of") == 2


def test_a_line_of_the_record() -> None:
    kept: list[Call] = []
    account = Account(own=OWN, keep=kept.append, shown=str.upper)
    before = datetime.now(UTC)
    ongoing = begin(account, "api.example.com")
    ongoing.status = 201
    ongoing.feed(
        answer(
            input_tokens=1, output_tokens=20, cache_read_input_tokens=300, cache_creation_input_tokens=4_000
        )
    )
    time.sleep(0.02)
    ongoing.end(True)
    line = json.loads(kept[0].line())
    assert kept[0].line().endswith(b"}\n")
    assert before.replace(microsecond=0) <= datetime.fromisoformat(line.pop("at")) <= datetime.now(UTC)
    assert 0.02 <= line.pop("seconds") < 60
    assert line == {
        "provider": "api.example.com",
        "model": "M",
        "input": 1,
        "output": 20,
        "cached": 300,
        "cache_written": 4_000,
        "cost_usd": 0.005071,
        "status": 201,
    }


def test_a_call_without_an_answer_has_no_status() -> None:
    kept: list[Call] = []
    account = Account(own=OWN, keep=kept.append)
    account.begin("POST", PATH, {}).end()
    assert [(one.status, one.cost, one.provider, one.usage) for one in kept] == [(0, 0, "", TokenUsage())]
    assert account.usage == Usage(cost_usd=0)


def test_times_are_kept_to_the_millisecond() -> None:
    one = Call(
        at=datetime(2026, 11, 21, 12, 0, 0, 123_456, UTC),
        status=0,
        seconds=1.23456,
        usage=TokenUsage(),
        cost=None,
    )
    line = json.loads(one.line())
    assert (line["at"], line["seconds"], line["cost_usd"]) == ("2026-11-21T12:00:00.123+00:00", 1.235, None)
    assert (line["provider"], line["status"]) == ("", 0)


# --- the limit --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "over"), [(999_999, False), (1_000_000, False), (1_000_001, True)])
def test_all_of_the_limit_may_be_spent_and_no_more(tokens: int, over: bool) -> None:
    account = Account(limit=1, own=OWN)
    call(account, answer(input_tokens=tokens))
    if over:
        error = error_of(account.check)
        assert (error.reason, error.message) == (
            Reason.COST_LIMIT,
            "it has cost $1.0000, and `limits.cost_usd` allows $1",
        )
        assert error.hint == "raise the limit, or give the skill less to do"
    else:
        account.check()


@pytest.mark.parametrize(("before", "asks"), [(0.99, True), (1.0, False), (1.01, False), (None, True)])
def test_who_has_spent_all_of_it_may_not_ask(before: float | None, asks: bool) -> None:
    account = Account(limit=1, own=OWN, before=before)
    if asks:
        begin(account)
        return
    assert error_of(lambda: begin(account)).message.startswith(f"it has cost ${before:.4f}")
    assert error_of(account.check).reason is Reason.COST_LIMIT


@pytest.mark.parametrize(
    ("limit", "before", "tokens", "share"),
    [
        (None, None, MILLION, 0.0),
        (None, 5.0, MILLION, 0.0),
        (4, None, MILLION, 0.25),
        (4, 1.0, MILLION, 0.5),
        (4, None, 8 * MILLION, 2.0),
    ],
)
def test_how_much_of_the_limit_is_spent(
    limit: float | None, before: float | None, tokens: int, share: float
) -> None:
    account = Account(limit, OWN, before=before)
    call(account, answer(input_tokens=tokens))
    assert account.spent_share == share


def test_what_earlier_attempts_cost_counts_with_what_is_under_way() -> None:
    account = Account(limit=1, own=OWN, before=0.25)
    first = begin(account)
    first.feed(event(input_tokens=MILLION // 2))
    assert first.cost_until_now() == Decimal("0.5")
    second = begin(account)
    second.feed(event(input_tokens=MILLION // 4))
    assert error_of(lambda: begin(account)).message.startswith("it has cost $1.0000")
    first.end()
    second.end()
    assert account.usage.cost_usd == 0.75
    assert account.spent_share == 1.0


def test_the_first_error_stays() -> None:
    account = Account(limit=1, own=OWN)
    call(account, answer(input_tokens=2 * MILLION))
    first = error_of(account.check)
    assert str(error_of(lambda: begin(account))) == str(error_of(account.check)) == str(first)


def test_a_call_that_was_under_way_does_not_take_the_place_of_the_first_error() -> None:
    account = Account(limit=1, own=OWN)
    under_way = begin(account)
    call(account, answer(input_tokens=2 * MILLION))
    first = error_of(account.check)
    under_way.feed(answer(input_tokens=5 * MILLION))
    under_way.end(True)
    assert error_of(account.check).reason is first.reason
    assert error_of(account.check).message.startswith("it has cost $7.0000,"), "the end tells the final sum"
    assert account.usage.cost_usd == 7


def test_without_a_limit_nothing_stops_a_run() -> None:
    account = Account(own=OWN)
    call(account, answer(input_tokens=900 * MILLION))
    account.check()
    begin(account)


# --- how an answer ends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "whole", "known"),
    [
        (b"{}", 200, True, False),
        (b"{}", 299, True, False),
        (b"{}", 300, True, True),
        (b"{}", 199, True, True),
        (b"{}", 200, False, False),
        (b'{"error": {"code": 1}}', 200, True, True),
        (answer(input_tokens=MILLION), 200, True, True),
        (answer(input_tokens=MILLION), 200, False, True),
        (answer(input_tokens=MILLION), 500, True, True),
    ],
)
def test_when_nobody_knows_what_it_cost(body: bytes, status: int, whole: bool, known: bool) -> None:
    account = Account(own=OWN)
    call(account, body, whole, status)
    cost = 1.0 if b"usage" in body else 0.0
    assert account.usage.cost_usd == (cost if known else None)
    call(account, answer(input_tokens=MILLION))
    assert account.usage.cost_usd == (cost + 1 if known else None), "it is not known from then on"
    assert account.usage.cost_at_least == (None if known else 1.0), "what is known is kept"


def test_a_limit_that_cannot_be_held_stops_the_run() -> None:
    account = Account(limit=1, own=OWN)
    call(account, b"{}")
    error = error_of(account.check)
    assert error.reason is Reason.COST_LIMIT
    assert error.message == (
        "an answer of the model does not tell what it used, so the limit of $1 cannot be held"
    )
    unpriced = Account(limit=1, own=OWN)
    call(unpriced, answer(output_tokens=1, service_tier="priority"))
    error = error_of(unpriced.check)
    assert error.message == (
        "an answer of the model used something without a known price (service_tier priority),"
        " so the limit of $1 cannot be held"
    )


def test_the_price_that_is_missing_is_named() -> None:
    unpriced = Account(limit=1)
    error = error_of(lambda: unpriced.begin("POST", PATH, {"model": 'x"y', "max_tokens": 1}))
    assert error.reason is Reason.INVALID_CONFIG
    assert error.message == 'nobody knows the price of the model x"y, so the limit of $1 cannot be held'
    assert error.hint.endswith(
        'prices: {"x\\"y": {input: ..., output: ..., cached: ..., cache_written: ...}}'
    )


def test_it_ends_once() -> None:
    kept: list[Call] = []
    account = Account(own=OWN, keep=kept.append)
    ongoing = begin(account)
    assert not ongoing.has_ended
    ongoing.feed(event(input_tokens=MILLION))
    ongoing.end()
    assert ongoing.has_ended
    ongoing.feed(event(input_tokens=5 * MILLION))
    ongoing.end(True)
    assert (account.calls, account.usage.cost_usd, len(kept)) == (1, 1.0, 1)
    assert ongoing.cost_until_now() == 1


@pytest.mark.parametrize(
    ("method", "path", "counts"),
    [
        ("POST", PATH, True),
        ("GET", PATH, False),
        ("POST", "/v1/messages/count_tokens", False),
    ],
)
def test_what_costs_nothing_is_no_call(method: str, path: str, counts: bool) -> None:
    account = Account(limit=1, own=OWN, before=0 if counts else 5)
    ongoing = account.begin(method, path, {"model": MODEL})
    assert ongoing.has_ended is not counts
    ongoing.status = 200
    ongoing.feed(answer(input_tokens=1))
    ongoing.end(True)
    assert account.calls == int(counts)
    assert ongoing.cost_until_now() == (Decimal("0.000001") if counts else 0)


class ClientLeftError(ConnectionResetError):
    """Whoever asked is gone."""


def heard(
    account: Account, pieces: list[bytes | Exception], error: Exception | None = None
) -> tuple[OpenCall, int]:
    """The call, and how many pieces were read, when its client leaves after the first one."""
    ongoing, left = begin(account), list(pieces)

    def read() -> bytes:
        piece = left.pop(0) if left else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    ongoing.feed(event(input_tokens=MILLION // 4))
    trouble = error or ClientLeftError()
    with pytest.raises(type(trouble)), ongoing.reads_to_end(read):
        raise trouble
    return ongoing, len(pieces) - len(left)


def test_under_a_limit_an_answer_is_read_to_its_end_when_its_client_leaves() -> None:
    account = Account(limit=9, own=OWN)
    ongoing, read = heard(account, [event(output_tokens=MILLION)])
    assert (ongoing.has_ended, read, account.usage.cost_usd) == (True, 1, 2.25)


def test_without_a_limit_it_is_not() -> None:
    account = Account(own=OWN)
    ongoing, read = heard(account, [event(output_tokens=MILLION)])
    assert (ongoing.has_ended, read, account.calls) == (False, 0, 0)


@pytest.mark.parametrize("error", [ConnectionResetError(), IncompleteRead(b"")])
def test_a_provider_that_leaves_too_ends_nothing_here(error: Exception) -> None:
    account = Account(limit=9, own=OWN)
    ongoing, read = heard(account, [event(output_tokens=MILLION), error, b"never read"])
    assert (ongoing.has_ended, read, account.calls) == (False, 2, 0)
    assert ongoing.cost_until_now() == Decimal("2.25")


def test_any_other_trouble_is_not_about_the_client() -> None:
    account = Account(limit=9, own=OWN)
    ongoing, read = heard(account, [event(output_tokens=MILLION)], KeyError("x"))
    assert (ongoing.has_ended, read) == (False, 0)


def test_a_call_that_the_account_ended_is_read_no_further() -> None:
    account = Account(limit=9, own=OWN)
    ongoing = begin(account)
    pieces = iter([b"a", b"b", b"c"])

    def read() -> bytes:
        piece = next(pieces)
        if piece == b"b":
            account.close(0)
        return piece

    with pytest.raises(ClientLeftError), ongoing.reads_to_end(read):
        raise ClientLeftError
    assert next(pieces) == b"c"
    assert account.calls == 1


def test_the_end_of_a_run_waits_no_longer_than_it_must() -> None:
    account = Account(own=OWN)
    begin(account)
    began = time.monotonic()
    account.close(0.05)
    assert 0.05 <= time.monotonic() - began < 5
    assert account.calls == 1
    began = time.monotonic()
    account.close(60)
    assert time.monotonic() - began < 5


def test_the_end_of_a_run_is_told_when_the_last_call_ends() -> None:
    account = Account(own=OWN)
    ongoing = begin(account)
    ended = threading.Thread(target=account.close, args=(60,))
    ended.start()
    ongoing.end()
    ended.join(10)
    assert not ended.is_alive()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PATH, (402, {"type": "error", "error": {"type": "billing_error", "message": "m"}})),
        ("/unknown", (402, {"type": "error", "error": {"type": "billing_error", "message": "m"}})),
        *[
            (
                path,
                (
                    429,
                    {
                        "error": {
                            "message": "m",
                            "type": "insufficient_quota",
                            "param": None,
                            "code": "insufficient_quota",
                        }
                    },
                ),
            )
            for path in ("/v1/responses", "/v1/chat/completions")
        ],
        (
            "/v1beta/models/g:generateContent",
            (429, {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}),
        ),
    ],
)
def test_the_whole_refusal_in_the_providers_words(path: str, expected: Any) -> None:
    assert budget_answer(path, "m") == expected
