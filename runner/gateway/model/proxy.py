"""The proxy to the model: a harness calls its model without ever holding the key.

The sandbox gets an address with a random token in it and a placeholder for the key. The proxy passes
requests for the harness's own endpoints on to a provider, adds the real key, and streams the answer back. Of
a request pass the listed headers and parameters, and the body as the gateway has read it; what it has the
provider do besides answering has to be allowed by the skill. The key is in no message, no log and no answer.

When a provider is busy or unreachable, the proxy retries, and then asks the next provider, if there is one.
It retries nothing once a byte of an answer has gone to the harness. A request whose connection broke after
it was sent may have been billed: the same provider does not get it a second time.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import Any

from runner.config.network import PROVIDER_USES
from runner.core.model import Route
from runner.gateway.http_body import Body
from runner.gateway.model import routing
from runner.gateway.model.budget import Account, OpenCall
from runner.gateway.model.headers import answer_headers, request_headers, request_query
from runner.gateway.model.mask import KeyMask
from runner.gateway.model.model_log import AnswerQuote, FailedAnswer, ModelLog
from runner.gateway.model.provider import ModelRequest, NotConnectedError, NotSentError, Provider
from runner.gateway.model.provider_uses import ProviderUse, provider_uses
from runner.gateway.model.recorder import ExchangeRecorder, TrafficRecorder
from runner.gateway.model.refusals import BudgetError, BusyError, budget_answer, refusal_answer
from runner.gateway.model.request import RequestError, check_encoding, read_request
from runner.gateway.model.usage import dialect, with_usage_requested
from runner.gateway.server import AnswerListener, GatewayRequest, error_cause

_LARGEST = 32 * 1024**2  # bytes of a request: the maximum of Anthropic's API
_BUSY = frozenset({429, 500, 502, 503, 504, 529})
_PAUSES = (0.5, 2.0)  # seconds before each retry
_MAX_PAUSE = 5.0  # seconds: a provider that asks for a longer pause is not retried here
_WAIT = "2"  # seconds after which a call may fit that did not
_NEXT_PROVIDER = -1.0  # instead of a pause: ask the next provider

_NAME = r"[A-Za-z0-9_~][A-Za-z0-9_.~-]*"  # of a model in a path: no escapes, no dotted segments


@dataclass(slots=True, kw_only=True)
class ModelProxy:
    """Answers the model requests of one run. The first provider is the harness's, the rest are fallbacks."""

    providers: Sequence[Provider]
    endpoints: tuple[str, ...]
    token: str = field(repr=False)
    account: Account
    recorder: TrafficRecorder | None = None  # records the traffic
    routes: Sequence[Route] = ()  # which model a request gets; empty: the one that it names
    allowed_uses: frozenset[str] = frozenset()  # what the provider may do besides answering
    log: ModelLog = field(default_factory=ModelLog)
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
        path = request.target[1]
        try:
            self._relay(request, self._route(self._read(request)))
        except BudgetError as error:
            request.send_json(*budget_answer(path, error.message))
        except BusyError as error:
            request.send_json(429, refusal_answer(path, 429, str(error)), {"Retry-After": _WAIT})
        except RequestError as error:
            self.log.refusals[error.message] += 1
            request.send_json(error.status, refusal_answer(path, error.status, error.message))

    def _read(self, request: GatewayRequest) -> ModelRequest:
        """What is passed on of a request. Raises RequestError."""
        _, path, query = request.target
        body = request.read_body()
        told = None
        if request.command == "POST":
            check_encoding(request.headers)
            told = read_request(body)
        elif body:
            raise RequestError(400, f"the gateway takes no {request.command} with a body")
        uses = self._allowed(path, told or {})
        headers, left_out = request_headers(request.headers, self.allowed_uses)
        self.log.omissions.update(left_out)
        return ModelRequest(
            method=request.command,
            path=path,
            query=request_query(query),
            content=told,
            headers=headers,
            uses=uses,
        )

    def _allowed(self, path: str, told: Mapping[str, Any]) -> frozenset[str]:
        """What a request has the provider do besides answering. Raises RequestError when it may not."""
        found = list(provider_uses(path, told))
        for one in found:
            if one.use not in self.allowed_uses:
                raise RequestError(403, _not_allowed(one))
        return frozenset(one.use for one in found)

    def _route(self, asked: ModelRequest) -> ModelRequest:
        """The request with the model that the routes choose."""
        if not self.routes or asked.content is None or dialect(asked.path) is None:
            return asked
        facts = routing.request_facts(asked.content, len(asked.body), self.account.spent_share)
        return _for_model(asked, routing.choose_model(self.routes, facts))

    def _relay(self, request: GatewayRequest, asked: ModelRequest) -> None:
        """Ask providers until one answers, and relay it. Raises OSError, HTTPException when none does."""
        queue = sorted(self.providers, key=lambda one: one.is_backing_off)
        for provider in queue:
            request.upstream = provider.host
            own = _for_model(asked, provider.model) if provider.model and asked.content else asked
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
        call = self.account.begin(asked.method, asked.path, asked.content, provider.host, asked.uses)
        take = None
        try:
            if self.recorder is not None:
                take = self.recorder.begin(asked.method, asked.relative_path, asked.body, call)
            sent = replace(asked, content=_sent(asked, call))
            with provider.answer(sent) as body:
                return self._pass_answer(request, body, provider, call, take, last)
        except (OSError, HTTPException) as error:
            call.was_sent = not isinstance(error, NotSentError)
            if request.has_started_answer:
                raise
            self._note_failure(provider, 0, f"it cannot be reached: {error_cause(error)}")
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
        answer = body.answer
        listener: AnswerListener = take or call
        call.status = answer.status
        if take is not None:
            take.start_answer(answer.status, answer.headers["Content-Type"] or "")
        if answer.status >= 400:
            listener = AnswerQuote(listener, partial(self._note_failure, provider, answer.status))
        if (
            answer.status in _BUSY
            and (instead := self._next_step(_retry_after(answer.headers), last)) is not None
        ):
            while piece := body.read():
                listener.feed(piece)
            listener.end(whole=True)
            return instead
        if (fault := _fault(answer)) is not None:
            request.send_error_answer(502, f"{provider.host} {fault}")
            return None
        if answer.status < 300:
            self._tries = 0
            self.log.failures.clear()
            self.log.fallbacks[provider.host] += provider is not self.providers[0]
        mask = KeyMask([one.key for one in self.providers])
        headers = {name: mask.mask(value) for name, value in answer_headers(answer.headers.items()).items()}
        with call.reads_to_end(body.read):
            request.relay(body, headers, listener, mask)
        return None

    def _note_failure(self, provider: Provider, status: int, message: str) -> None:
        self.log.failures.append(FailedAnswer(provider.host, provider.key_name, status, message))

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
        if not any(_is_endpoint(request.command, path, one) for one in self.endpoints):
            return 404, f"the gateway lets no {request.command} of this address through to the model"
        return request.body_refusal(_LARGEST)


class NoModel:
    """Refuses model requests of a harness that has no model."""

    def serve(self, request: GatewayRequest) -> None:
        request.refuse(404, "this harness has no model")


def _for_model(asked: ModelRequest, model: str) -> ModelRequest:
    path, told = routing.with_model(asked.path, asked.content or {}, model)
    return replace(asked, path=path, content=told)


def _retry_after(headers: HTTPMessage) -> float:
    """The pause in seconds that a provider asks for; 0: it asks for none."""
    with suppress(ValueError):
        return max(0.0, float(headers["Retry-After"] or 0))
    return _MAX_PAUSE + 1  # a date, which is further away


def _is_endpoint(method: str, path: str, endpoint: str) -> bool:
    known, _, pattern = endpoint.partition(" ")
    parts = (re.escape(part) for part in pattern.split("*"))
    return method == known and re.fullmatch(_NAME.join(parts), path) is not None


def _not_allowed(found: ProviderUse) -> str:
    if not found.use:
        return f"the gateway does not know {found.what}, and passes no request with it on"
    what = f"{found.what}: with it the model's provider {PROVIDER_USES[found.use]}"
    return f"the skill does not allow {what} (`environment.network.provider: [{found.use}]`)"


def _sent(asked: ModelRequest, call: OpenCall) -> Mapping[str, Any] | None:
    return None if asked.content is None else with_usage_requested(asked.path, call.content)


def _fault(answer: HTTPResponse) -> str | None:
    """Why an answer is not passed on; None: it is."""
    if 300 <= answer.status < 400:
        return "redirects to elsewhere, and the gateway does not follow"
    if (answer.headers["Content-Encoding"] or "identity").lower() != "identity":
        return "compresses its answer although it was not asked to, and the gateway cannot read that"
    return None
