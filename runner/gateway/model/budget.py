"""A run's account: adds up what it spends on its model, and refuses calls over its limit."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPException
from typing import Any

from runner.core.errors import RunnerError
from runner.core.jsonl import json_object
from runner.core.model import Phase, Reason, Usage
from runner.gateway.model.prices import Prices, cost, find_price
from runner.gateway.model.usage import (
    TokenUsage,
    UsageMeter,
    dialect,
    is_billed,
    reports_usage,
    requested_model,
)


class BudgetError(RunnerError):
    """The run may make no more calls to its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A finished call of a model. It holds none of the content."""

    at: datetime
    status: int  # HTTP status of the answer; 0: there was no answer
    seconds: float
    usage: TokenUsage
    cost: Decimal | None  # None: unknown
    provider: str = ""  # the provider's host

    def line(self) -> bytes:
        """The call as a line of JSON."""
        tokens = {name: getattr(self.usage, name) for name in ("input", "output", "cached", "cache_written")}
        known = {
            "at": self.at.isoformat(timespec="milliseconds"),
            "provider": self.provider,
            "model": self.usage.model,
            **tokens,
            "cost_usd": None if self.cost is None else float(self.cost),
            "status": self.status,
            "seconds": round(self.seconds, 3),
        }
        return json.dumps(known).encode() + b"\n"


@dataclass(slots=True)
class OpenCall:
    """A call in progress. Its thread feeds it; the account may end it at any time."""

    account: "Account"
    requested_model: str  # the model's name in the request
    provider: str = ""
    status: int = 0
    _meter: UsageMeter = field(default_factory=UsageMeter)
    _at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _used: TokenUsage = TokenUsage()
    has_ended: bool = False

    def feed(self, piece: bytes) -> None:
        """More of the answer's body."""
        with self._lock:
            if not self.has_ended:
                self._meter.feed(piece)

    @contextmanager
    def reads_to_end(self, read: Callable[[], bytes]) -> Iterator[None]:
        """When there is a limit, read the answer to its end even if the client disconnects before.

        Some answers report their usage only at the end: a client that always disconnected earlier would never
        reach the limit.
        """
        try:
            yield
        except OSError:
            if self.account.limit is not None:
                with suppress(OSError, HTTPException):
                    while not self.has_ended and (piece := read()):
                        self.feed(piece)
                    self.end(whole=True)
            raise

    def end(self, whole: bool = False) -> None:
        """Add the call to the account, once; `whole`: the answer was complete."""
        with self._lock:
            if self.has_ended:
                return
            self.has_ended = True
            self._used = used = self._meter.end()
        good = 200 <= self.status < 300
        silent = good and whole and not (self._meter.has_usage or self._meter.is_error)
        spent = None if silent else self.account.cost(used, self.requested_model)
        seconds = time.monotonic() - self._began
        ended = Call(
            at=self._at,
            status=self.status,
            seconds=seconds,
            usage=used,
            cost=spent,
            provider=self.provider,
        )
        self.account.add(self, ended)

    def cost_until_now(self) -> Decimal:
        """The cost in US dollars of the usage that the answer has reported so far."""
        with self._lock:
            used = self._used if self.has_ended else self._meter.usage_until_now
        return self.account.cost(used, self.requested_model) or Decimal(0)


class Account:
    """Adds up the calls of a run. Threads may share it.

    `limit` and `before` (what earlier attempts cost) are US dollars; `keep` gets every call when it ends;
    `shown` escapes a model's name, which the sandbox may have written, for display.
    """

    def __init__(
        self,
        limit: float | None = None,
        own: Prices | None = None,
        *,
        before: float | None = None,
        keep: Callable[[Call], None] = lambda _: None,
        shown: Callable[[str], str] = str,
    ) -> None:
        self.limit = None if limit is None else Decimal(str(limit))
        self.calls = 0
        self._own = own or {}
        self._before = Decimal(str(before or 0))
        self._keep, self._shown = keep, shown
        self._changed = threading.Condition()
        self._open: list[OpenCall] = []
        self._error: BudgetError | None = None
        self._unknown = False  # the cost of some call is unknown
        self._cost = Decimal(0)
        self._used = Usage()

    @property
    def usage(self) -> Usage:
        """The usage of the finished calls. The cost is None without calls, or when a price is unknown."""
        with self._changed:
            known = self.calls > 0 and not self._unknown
            return Usage(
                tokens_in=self._used.tokens_in,
                tokens_out=self._used.tokens_out,
                tokens_cached=self._used.tokens_cached,
                cost_usd=float(self._cost) if known else None,
            )

    @property
    def spent_share(self) -> float:
        """The spent share of the limit: 0.5 is half of it. Without a limit it is 0."""
        with self._changed:
            return float((self._before + self._cost) / self.limit) if self.limit else 0.0

    def check(self) -> None:
        """Raises BudgetError when the run has to stop: for its cost, or because its cost is unknown."""
        if self._error is not None:
            raise self._error

    def begin(self, method: str, path: str, body: bytes, provider: str = "") -> OpenCall:
        """Begin a call to a provider's host. Raises BudgetError when the call is not allowed.

        A request that costs nothing, such as a list of models, is not counted.
        """
        if method != "POST" or not is_billed(path):
            return OpenCall(self, "", has_ended=True)
        asked = json_object(body) or {}
        model = requested_model(path, asked)
        with self._changed:
            if self._error is None and self.limit is not None:
                self._error = self._refusal(model, reports_usage(path, asked), self.limit)
            self.check()
            call = OpenCall(self, model, provider)
            self._open.append(call)
            return call

    def _refusal(self, model: str, tells: bool, limit: Decimal) -> BudgetError | None:
        """Why a call is not allowed, as far as this is known before it is made."""
        spent = self._before + self._cost + sum(one.cost_until_now() for one in self._open)
        if spent >= limit:
            return _limit_error(spent, limit)
        if model and find_price(model, self._own) is None:
            return _price_error(self._shown(model), limit)
        return None if tells else _usage_error(limit)

    def cost(self, usage: TokenUsage, requested_model: str) -> Decimal | None:
        """The cost of a call's tokens, by the model that the answer names, else by the requested one."""
        if usage.prompt + usage.output == 0:
            return Decimal(0)
        price = find_price(usage.model, self._own) or find_price(requested_model, self._own)
        return None if price is None else cost(usage, price)

    def add(self, open_call: OpenCall, call: Call) -> None:
        """Add a finished call."""
        with self._changed:
            self._open.remove(open_call)
            self.calls += 1
            self._cost += call.cost or 0
            self._used += Usage(
                tokens_in=call.usage.prompt, tokens_out=call.usage.output, tokens_cached=call.usage.cached
            )
            self._unknown = self._unknown or call.cost is None
            if self._error is None and self.limit is not None:
                self._error = self._verdict(call, self.limit)
            self._changed.notify_all()
            shown = replace(call.usage, model=self._shown(call.usage.model))
            self._keep(replace(call, usage=shown))

    def close(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for open calls, then end them as they are."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, timeout)
            rest = list(self._open)
        for one in rest:
            one.end()

    def _verdict(self, call: Call, limit: Decimal) -> BudgetError | None:
        spent = self._before + self._cost
        if spent > limit:
            return _limit_error(spent, limit)
        if call.cost is None and call.usage.prompt + call.usage.output > 0:
            return _price_error(self._shown(call.usage.model), limit)
        return _usage_error(limit) if call.cost is None else None


def _limit_error(spent: Decimal, limit: Decimal) -> BudgetError:
    message = f"it has cost ${spent:.4f}, and `limits.cost_usd` allows ${limit}"
    hint = "raise the limit, or give the skill less to do"
    return BudgetError(Phase.HARNESS, Reason.COST_LIMIT, message, hint=hint)


def _price_error(model: str, limit: Decimal) -> BudgetError:
    entry = f"prices: {{{json.dumps(model)}: {{input: ..., output: ..., cached: ..., cache_written: ...}}}}"
    return BudgetError(
        Phase.HARNESS,
        Reason.INVALID_CONFIG,
        f"nobody knows the price of the model {model}, so the limit of ${limit} cannot be held",
        hint=f"write in skillrunner.yaml, in US dollars per million tokens: {entry}",
    )


def _usage_error(limit: Decimal) -> BudgetError:
    message = f"an answer of the model does not tell what it used, so the limit of ${limit} cannot be held"
    hint = (
        "batches, background jobs and very large answers do not: look at calls.jsonl, or drop limits.cost_usd"
    )
    return BudgetError(Phase.HARNESS, Reason.COST_LIMIT, message, hint=hint)


def budget_answer(path: str, message: str) -> tuple[int, Mapping[str, Any]]:
    """(status, JSON) of the answer with which this API's provider says that the budget is used up."""
    match dialect(path):
        case "responses" | "chat":
            code = "insufficient_quota"
            return 429, {"error": {"message": message, "type": code, "param": None, "code": code}}
        case "gemini":
            return 429, {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}}
        case _:
            return 402, {"type": "error", "error": {"type": "billing_error", "message": message}}
