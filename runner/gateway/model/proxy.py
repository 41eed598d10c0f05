"""The proxy to the model: a harness calls its model without ever holding the key.

The sandbox gets an address with a random token in it and a placeholder for the key. The proxy passes
requests for the model's API on to a provider, adds the real key, and streams the answer back. The key is in
no message, no log and no answer.

When a provider is busy or unreachable, the proxy retries, and then asks the next provider, if there is one.
It retries nothing once a byte of an answer has gone to the harness. A request whose connection broke after
it was sent may have been billed: the same provider does not get it a second time.
"""

import re
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPException, HTTPMessage

from runner.core.jsonl import json_object
from runner.core.model import Route
from runner.gateway.http_body import Body
from runner.gateway.model import budget, routing
from runner.gateway.model.budget import Account, BudgetError, OpenCall
from runner.gateway.model.provider import ModelRequest, NotConnectedError, Provider
from runner.gateway.model.recorder import ExchangeRecorder, TrafficRecorder
from runner.gateway.model.usage import dialect, with_usage_requested
from runner.gateway.server import GatewayRequest, end_to_end_headers

_LARGEST = 32 * 1024**2  # bytes of a request: the maximum of Anthropic's API
_BUSY = frozenset({429, 500, 502, 503, 504, 529})
_PAUSES = (0.5, 2.0)  # seconds before each retry
_MAX_PAUSE = 5.0  # seconds: a provider that asks for a longer pause is not retried here
_NEXT_PROVIDER = -1.0  # instead of a pause: ask the next provider

_PATH = re.compile(r"(/[A-Za-z0-9_~:-][A-Za-z0-9_.~:-]*)+")  # no escapes, no empty or dotted segments
_METHODS = ("GET", "HEAD", "POST")
_CREDENTIALS = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "cookie", "set-cookie", "forwarded"}
)
_DROPPED_HEADERS = _CREDENTIALS | {"accept-encoding"}
"""Without accept-encoding `http.client` requests a plain answer: the meter cannot read a compressed one."""


@dataclass(slots=True, kw_only=True)
class ModelProxy:
    """Answers the model requests of one run. The first provider is the harness's, the rest are fallbacks."""

    providers: Sequence[Provider]
    paths: tuple[str, ...]
    token: str = field(repr=False)
    account: Account
    recorder: TrafficRecorder | None = None  # records the traffic
    routes: Sequence[Route] = ()  # which model a request gets; empty: the one that it names
    fallback_counts: Counter[str] = field(
        default_factory=Counter
    )  # by host: answers of others than the first provider
    _tries: int = 0  # retries since the last good answer
    _closed: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        self._closed.set()
        for provider in self.providers:
            provider.close()

    def serve(self, request: GatewayRequest) -> None:
        if (refusal := self._refusal(request)) is not None:
            request.refuse(*refusal)
            return
        _, path, query = request.target
        body = request.read_body()
        headers = end_to_end_headers(dict(request.headers.items()), _DROPPED_HEADERS)
        asked = ModelRequest(method=request.command, path=path, query=query, body=body, headers=headers)
        try:
            self._relay(request, self._route(asked))
        except BudgetError as error:
            request.send_json(*budget.budget_answer(path, error.message))

    def _route(self, asked: ModelRequest) -> ModelRequest:
        """The request with the model that the routes choose."""
        if not self.routes or asked.method != "POST" or dialect(asked.path) is None:
            return asked
        told = json_object(asked.body) or {}
        facts = routing.request_facts(told, len(asked.body), self.account.spent_share)
        return _for_model(asked, routing.choose_model(self.routes, facts))

    def _relay(self, request: GatewayRequest, asked: ModelRequest) -> None:
        """Ask providers until one answers, and relay it. Raises OSError, HTTPException when none does."""
        queue = sorted(self.providers, key=lambda one: one.is_backing_off)
        for provider in queue:
            request.upstream = provider.host
            own = _for_model(asked, provider.model) if provider.model else asked
            while (pause := self._try_provider(request, own, provider, provider is queue[-1])) is not None:
                if pause == _NEXT_PROVIDER:
                    provider.note_failure()
                    break
                if self._closed.wait(pause):
                    raise ConnectionAbortedError("the run is over")
            else:
                return

    def _try_provider(
        self, request: GatewayRequest, asked: ModelRequest, provider: Provider, last: bool
    ) -> float | None:
        """Ask a provider once. When it failed, return the pause before the next try, or _NEXT_PROVIDER."""
        call = self.account.begin(asked.method, asked.path, asked.body, provider.host)
        take = (
            self.recorder.begin(asked.method, asked.relative_path, asked.body, call)
            if self.recorder
            else None
        )
        sent = replace(asked, body=with_usage_requested(asked.path, asked.body))
        try:
            with provider.answer(sent) as body:
                return self._pass_answer(request, body, provider, call, take, last)
        except (OSError, HTTPException) as error:
            if request.has_started_answer:
                raise
            unsent = isinstance(error, NotConnectedError)
            if (instead := self._next_step(0.0 if unsent else None, last)) is None:
                raise
            return instead
        finally:
            (take or call).end()

    def _pass_answer(
        self,
        request: GatewayRequest,
        body: Body,
        provider: Provider,
        call: OpenCall,
        take: ExchangeRecorder | None,
        last: bool,
    ) -> float | None:
        """Relay an answer whose head has come, or return the next step as `_try_provider` does."""
        answer, listener = body.answer, take or call
        call.status = answer.status
        if take is not None:
            take.start_answer(answer.status, answer.headers["Content-Type"] or "")
        if (
            answer.status in _BUSY
            and (instead := self._next_step(_retry_after(answer.headers), last)) is not None
        ):
            while piece := body.read():
                listener.feed(piece)
            return instead
        if 300 <= answer.status < 400:
            request.send_error_answer(
                502, f"{provider.host} redirects to elsewhere, and the gateway does not follow"
            )
            return None
        if answer.status < 300:
            self._tries = 0
            self.fallback_counts[provider.host] += provider is not self.providers[0]
        with call.reads_to_end(body.read):
            request.relay(body, end_to_end_headers(dict(answer.headers.items()), _CREDENTIALS), listener)
        return None

    def _next_step(self, wished: float | None, last: bool) -> float | None:
        """The pause before a retry, or _NEXT_PROVIDER; None: the harness gets the failure.

        `wished` is the least pause; None: do not ask this provider again. Agents retry as well, so the proxy
        makes only a few retries between two good answers: theirs and ours add up instead of multiplying.
        """
        if wished is not None and wished <= _MAX_PAUSE and self._tries < len(_PAUSES):
            self._tries += 1
            return max(wished, _PAUSES[self._tries - 1])
        return None if last else _NEXT_PROVIDER

    def _refusal(self, request: GatewayRequest) -> tuple[int, str] | None:
        """The status and message that refuse a request; None: it is allowed."""
        _, path, _ = request.target
        if not request.has_token(self.token):
            return 403, "this address belongs to another run"
        if request.command not in _METHODS or not _PATH.fullmatch(path) or not _below(path, self.paths):
            return 404, "the gateway lets only calls of the model through"
        return request.body_refusal(_LARGEST)


class NoModel:
    """Refuses model requests of a harness that has no model."""

    def serve(self, request: GatewayRequest) -> None:
        request.refuse(404, "this harness has no model")


def _for_model(asked: ModelRequest, model: str) -> ModelRequest:
    path, body = routing.with_model(asked.path, asked.body, model)
    return replace(asked, path=path, body=body)


def _retry_after(headers: HTTPMessage) -> float:
    """The pause in seconds that a provider asks for; 0: it asks for none."""
    with suppress(ValueError):
        return max(0.0, float(headers["Retry-After"] or 0))
    return _MAX_PAUSE + 1  # a date, which is further away


def _below(path: str, allowed: tuple[str, ...]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in allowed)
