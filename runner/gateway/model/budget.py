"""A run's account: what it spent on its model, what it may, and when that is enough."""

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
from runner.gateway.model.prices import Prices, cost, find
from runner.gateway.model.usage import TokenUsage, UsageMeter, dialect, is_billed, model_of, reports_usage


class BudgetError(RunnerError):
    """The run may not call its model any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model that has ended. It holds nothing of what was said."""

    at: datetime
    status: int  # of the answer's HTTP head; 0: there was none
    seconds: float
    used: TokenUsage
    cost: Decimal | None  # None: nobody knows it
    provider: str = ""  # the host that was asked

    def line(self) -> bytes:
        """It as a line of JSON."""
        tokens = {name: getattr(self.used, name) for name in ("input", "output", "cached", "cache_written")}
        known = {
            "at": self.at.isoformat(timespec="milliseconds"),
            "provider": self.provider,
            "model": self.used.model,
            **tokens,
            "cost_usd": None if self.cost is None else float(self.cost),
            "status": self.status,
            "seconds": round(self.seconds, 3),
        }
        return json.dumps(known).encode() + b"\n"


@dataclass(slots=True)
class OpenCall:
    """A call under way. Its thread feeds it; the account may end it at any time."""

    account: "Account"
    asked: str  # the model's name in the request
    provider: str = ""
    status: int = 0
    _meter: UsageMeter = field(default_factory=UsageMeter)
    _at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _used: TokenUsage = TokenUsage()
    ended: bool = False

    def feed(self, piece: bytes) -> None:
        """More of the answer's body."""
        with self._lock:
            if not self.ended:
                self._meter.feed(piece)

    @contextmanager
    def reads_to_end(self, read: Callable[[], bytes]) -> Iterator[None]:
        """Where there is a limit, reads the answer to its end for a client that leaves before.

        Some answers tell what they cost only there: who never stayed so long would never reach the limit.
        """
        try:
            yield
        except OSError:
            if self.account.limit is not None:
                with suppress(OSError, HTTPException):
                    while not self.ended and (piece := read()):
                        self.feed(piece)
                    self.end(whole=True)
            raise

    def end(self, whole: bool = False) -> None:
        """The answer has ended, `whole` or cut: it is entered in the account, once."""
        with self._lock:
            if self.ended:
                return
            self.ended = True
            self._used = used = self._meter.end()
        good = 200 <= self.status < 300
        silent = good and whole and not (self._meter.told or self._meter.failed)
        spent = None if silent else self.account.price(used, self.asked)
        seconds = time.monotonic() - self._began
        ended = Call(
            at=self._at,
            status=self.status,
            seconds=seconds,
            used=used,
            cost=spent,
            provider=self.provider,
        )
        self.account.add(self, ended)

    def usage_until_now(self) -> Decimal:
        """What it cost by now, as far as it told."""
        with self._lock:
            used = self._used if self.ended else self._meter.usage_until_now
        return self.account.price(used, self.asked) or Decimal(0)


class Account:
    """Adds up the calls of a run. Threads may share it.

    `limit` and `before` (what earlier attempts cost) are US dollars; `keep` gets every call as it ends;
    `shown` makes a model's name, which the sandbox may have written, fit to be shown.
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
        self._unknown = False  # a call of which nobody knows the cost
        self._cost = Decimal(0)
        self._used = Usage()

    @property
    def usage(self) -> Usage:
        """Of the calls that have ended. There is no cost when there was no call, or one without a price."""
        with self._changed:
            known = self.calls > 0 and not self._unknown
            return Usage(
                tokens_in=self._used.tokens_in,
                tokens_out=self._used.tokens_out,
                tokens_cached=self._used.tokens_cached,
                cost_usd=float(self._cost) if known else None,
            )

    @property
    def share(self) -> float:
        """How much of the limit is spent: 0.5 is half of it. Without a limit it is nothing."""
        with self._changed:
            return float((self._before + self._cost) / self.limit) if self.limit else 0.0

    def check(self) -> None:
        """Raises BudgetError when the run has to stop: for its cost, or because that cannot be known."""
        if self._error is not None:
            raise self._error

    def begin(self, method: str, path: str, body: bytes, provider: str = "") -> OpenCall:
        """A call is about to be made to a provider's host. Raises BudgetError when it must not be.

        What costs nothing, such as a list of models, has ended for the account when it begins.
        """
        if method != "POST" or not is_billed(path):
            return OpenCall(self, "", ended=True)
        asked = json_object(body) or {}
        model = model_of(path, asked)
        with self._changed:
            if self._error is None and self.limit is not None:
                self._error = self._objection(model, reports_usage(path, asked), self.limit)
            self.check()
            call = OpenCall(self, model, provider)
            self._open.append(call)
            return call

    def _objection(self, model: str, tells: bool, limit: Decimal) -> BudgetError | None:
        """Why a call must not be made, by what is known before."""
        spent = self._before + self._cost + sum(one.usage_until_now() for one in self._open)
        if spent >= limit:
            return _spent(spent, limit)
        if model and find(model, self._own) is None:
            return _unpriced(self._shown(model), limit)
        return None if tells else _silent(limit)

    def price(self, used: TokenUsage, asked: str) -> Decimal | None:
        """What the tokens cost: by the name that the answer tells, else by the name that was asked for."""
        if used.prompt + used.output == 0:
            return Decimal(0)
        price = find(used.model, self._own) or find(asked, self._own)
        return None if price is None else cost(used, price)

    def add(self, ongoing: OpenCall, call: Call) -> None:
        """A call has ended."""
        with self._changed:
            self._open.remove(ongoing)
            self.calls += 1
            self._cost += call.cost or 0
            self._used += Usage(
                tokens_in=call.used.prompt, tokens_out=call.used.output, tokens_cached=call.used.cached
            )
            self._unknown = self._unknown or call.cost is None
            if self._error is None and self.limit is not None:
                self._error = self._verdict(call, self.limit)
            self._changed.notify_all()
            shown = replace(call.used, model=self._shown(call.used.model))
            self._keep(replace(call, used=shown))

    def close(self, patience: float) -> None:
        """No more calls: wait at most `patience` seconds for those under way, then end them as they are."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, patience)
            rest = list(self._open)
        for one in rest:
            one.end()

    def _verdict(self, call: Call, limit: Decimal) -> BudgetError | None:
        spent = self._before + self._cost
        if spent > limit:
            return _spent(spent, limit)
        if call.cost is None and call.used.prompt + call.used.output > 0:
            return _unpriced(self._shown(call.used.model), limit)
        return _silent(limit) if call.cost is None else None


def _spent(spent: Decimal, limit: Decimal) -> BudgetError:
    message = f"it has cost ${spent:.4f}, and `limits.cost_usd` allows ${limit}"
    hint = "raise the limit, or give the skill less to do"
    return BudgetError(Phase.HARNESS, Reason.COST_LIMIT, message, hint=hint)


def _unpriced(model: str, limit: Decimal) -> BudgetError:
    entry = f"prices: {{{json.dumps(model)}: {{input: ..., output: ..., cached: ..., cache_written: ...}}}}"
    return BudgetError(
        Phase.HARNESS,
        Reason.INVALID_CONFIG,
        f"nobody knows the price of the model {model}, so the limit of ${limit} cannot be held",
        hint=f"write in skillrunner.yaml, in US dollars per million tokens: {entry}",
    )


def _silent(limit: Decimal) -> BudgetError:
    message = f"an answer of the model does not tell what it used, so the limit of ${limit} cannot be held"
    hint = (
        "batches, background jobs and very large answers do not: look at calls.jsonl, or drop limits.cost_usd"
    )
    return BudgetError(Phase.HARNESS, Reason.COST_LIMIT, message, hint=hint)


def refusal(path: str, message: str) -> tuple[int, Mapping[str, Any]]:
    """The answer, (status, content), by which each provider says that the money is spent."""
    match dialect(path):
        case "responses" | "chat":
            code = "insufficient_quota"
            return 429, {"error": {"message": message, "type": code, "param": None, "code": code}}
        case "gemini":
            return 429, {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}}
        case _:
            return 402, {"type": "error", "error": {"type": "billing_error", "message": message}}
