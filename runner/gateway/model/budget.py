"""A run's account: adds up what it spends on its model, and refuses calls that might go over its limit."""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPException
from typing import Any

from runner.core.model import Usage
from runner.gateway.model.answer_size import unpriced_parts
from runner.gateway.model.prices import Prices, cost, find_price, own_price
from runner.gateway.model.refusals import (
    BudgetError,
    BusyError,
    limit_error,
    price_error,
    unpriced_message,
    usage_error,
)
from runner.gateway.model.request import RequestError, write_request
from runner.gateway.model.reservation import PlannedCall, Reservation, Room, reserve
from runner.gateway.model.tokens import TokenUsage
from runner.gateway.model.usage import (
    Dialect,
    UsageMeter,
    dialect,
    is_billed,
    reports_usage,
    requested_model,
)

_UNPRICED_USES = frozenset({"code", "images"})


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
        names = ("input", "output", "cached", "cache_written")
        told = self.usage.prompt + self.usage.output > 0 or self.cost is not None
        known = {
            "at": self.at.isoformat(timespec="milliseconds"),
            "provider": self.provider,
            "model": self.usage.model,
            **{name: getattr(self.usage, name) if told else None for name in names},
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
    content: Mapping[str, Any]  # the request that is sent
    provider: str = ""
    status: int = 0
    reservation: Reservation | None = None  # None: there is no limit
    unpriced: bool = False  # the request asks for something whose price nobody knows
    was_sent: bool = False  # although there was no answer, the provider may have had the request
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
        ended = Call(
            at=self._at,
            status=self.status,
            seconds=time.monotonic() - self._began,
            usage=used,
            cost=self._cost(used),
            provider=self.provider,
        )
        self.account.add(self, ended, whole)

    def _cost(self, used: TokenUsage) -> Decimal | None:
        """None: nobody told. What did not succeed costs nothing, but for an answer that never came."""
        if self.status == 0:
            return None if self.was_sent else Decimal(0)
        failed = not 200 <= self.status < 300 or self._meter.is_error
        if failed and not self._meter.has_usage:
            return Decimal(0)
        if used.prompt + used.output == 0 or self.unpriced:
            return None
        return self.account.cost(used, self.requested_model)

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
        before: Decimal | float | None = None,
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
        self._stop: Callable[[], BudgetError] | None = None
        self._unknown = 0  # calls whose cost is unknown
        self._cost = Decimal(0)  # of the others
        self._charged = Decimal(0)  # and what was reserved for the unknown ones, which they may have cost
        self._used = Usage()
        self._factor = Decimal(1)
        self._longest = 0

    @property
    def usage(self) -> Usage:
        """The usage of the finished calls."""
        with self._changed:
            known, cost = self.calls > 0 and not self._unknown, float(self._cost)
            return Usage(
                tokens_in=self._used.tokens_in,
                tokens_out=self._used.tokens_out,
                tokens_cached=self._used.tokens_cached,
                cost_usd=cost if known else None,
                cost_at_least=None if known else cost or None,
            )

    @property
    def charged(self) -> Decimal:
        """What the finished calls count for against the limit, in US dollars."""
        with self._changed:
            return self._charged

    @property
    def charged_in_all(self) -> Decimal:
        """What this account and those of earlier attempts count for against the limit, in US dollars."""
        return self._before + self.charged

    @property
    def spent_share(self) -> float:
        """The spent share of the limit: 0.5 is half of it. Without a limit it is 0."""
        with self._changed:
            return float((self._before + self._charged) / self.limit) if self.limit else 0.0

    def check(self) -> None:
        """Raises BudgetError when the run has to stop: for its cost, or because its cost is unknown."""
        if (stop := self._stop) is not None:
            raise stop()

    def begin(
        self,
        method: str,
        path: str,
        told: Mapping[str, Any] | None,
        provider: str = "",
        uses: Collection[str] = (),
    ) -> OpenCall:
        """Begin a call to a provider's host, which does `uses` besides answering.

        Raises BudgetError when the run may make no more calls, BusyError when it has to wait, RequestError
        when this one is refused. A request that costs nothing, such as a list of models, is not counted.
        """
        told = told or {}
        if method != "POST" or not is_billed(path):
            return OpenCall(self, "", told, has_ended=True)
        model, api = requested_model(path, told), dialect(path)
        unpriced = self._unpriced(api, path, told, uses)
        with self._changed:
            self.check()
            call = OpenCall(self, model, told, provider, unpriced=bool(unpriced))
            if self.limit is not None:
                if unpriced or api is None:
                    raise RequestError(400, unpriced_message(unpriced or path, self.limit))
                call.reservation = self._reserve(api, call, uses, self.limit)
                call.content = call.reservation.content
            self._open.append(call)
            return call

    def _unpriced(
        self, api: Dialect | None, path: str, told: Mapping[str, Any], uses: Collection[str]
    ) -> str:
        """What in a request has no price that is known; empty: nothing."""
        if api is None:
            return path
        if not reports_usage(path, told):
            return "a background job" if "batch" not in path else "a batch"
        for use in sorted(uses):
            if use in _UNPRICED_USES or (use == "web_search" and api != "messages"):
                return use
        return next(unpriced_parts(api, told, write_request(told)), "")

    def _reserve(self, api: Dialect, call: OpenCall, uses: Collection[str], limit: Decimal) -> Reservation:
        """Hold what a call may cost. Raises as `begin` does."""
        spent = self._before + self._charged
        if spent + sum(one.cost_until_now() for one in self._open) >= limit:
            raise self._stopped(self._limit_error)
        if not (model := call.requested_model):
            raise RequestError(400, f"the request names no model, so the limit of ${limit} cannot be held")
        if (price := find_price(model, self._own)) is None:
            raise self._stopped(lambda: price_error(self._shown(model), limit))
        room = Room(
            left=limit - spent,
            held=sum((one.reservation.amount for one in self._open if one.reservation), Decimal(0)),
            alone=not self._open,
            factor=self._factor,
            longest_answer=self._longest,
        )
        planned = PlannedCall(
            api=api,
            content=call.content,
            model=model,
            host=call.provider,
            price=price,
            brought=len(set(uses)),
            searches="web_search" in uses,
        )
        found = reserve(planned, room)
        if found.fits(room):
            return found
        if not room.alone:
            raise BusyError(f"the rest of the ${limit} that this run may cost is held for calls under way")
        raise self._stopped(lambda: self._limit_error(found.needed))

    def _stopped(self, error: Callable[[], BudgetError]) -> BudgetError:
        """From now on every call is refused."""
        self._stop = self._stop or error
        return self._stop()

    def cost(self, usage: TokenUsage, requested_model: str) -> Decimal | None:
        """The cost of a call, by the model that the answer names, else by the requested one; None: unknown.

        The user's own prices go before what the provider says that it cost, and that before the published.
        """
        names = (usage.model, requested_model)
        price = next((one for name in names if (one := find_price(name, self._own)) is not None), None)
        own = any(own_price(name, self._own) for name in names)
        if usage.told_cost is not None and not own:
            return usage.told_cost
        if price is None or usage.unpriced or (usage.searches and price.search is None):
            return None if usage.prompt + usage.output + usage.searches or usage.unpriced else Decimal(0)
        return cost(usage, price)

    def add(self, open_call: OpenCall, call: Call, whole: bool = True) -> None:
        """Add a finished call; `whole`: its answer was complete."""
        with self._changed:
            self._open.remove(open_call)
            self.calls += 1
            used = call.usage
            self._used += Usage(tokens_in=used.prompt, tokens_out=used.output, tokens_cached=used.cached)
            held = open_call.reservation.amount if open_call.reservation else Decimal(0)
            if call.cost is None:
                self._unknown += 1
                self._charged += held
            else:
                self._cost += call.cost
                # Of an answer that broke off the provider may have written more than it could tell.
                good = 200 <= call.status < 300
                self._charged += max(call.cost, held) if good and not whole else call.cost
                if held and call.cost > held:
                    self._factor *= call.cost / held
            self._longest = max(self._longest, call.usage.output)
            if self.limit is not None and (error := self._verdict(call, whole, self.limit)) is not None:
                self._stopped(error)
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

    def _verdict(self, call: Call, whole: bool, limit: Decimal) -> Callable[[], BudgetError] | None:
        if self._before + self._charged > limit:
            return self._limit_error
        if call.cost is not None or not whole:
            return None
        return lambda: usage_error(limit, call.usage.unpriced)

    def _limit_error(self, needed: Decimal = Decimal(0)) -> BudgetError:
        """Tells what all has cost when it is asked: calls under way end after the one that was refused."""
        told = self._before + sum((one.cost_until_now() for one in tuple(self._open)), Decimal(0))
        limit = self.limit or Decimal(0)
        return limit_error(limit, told + self._cost, told + self._charged, needed, self._unknown > 0)
