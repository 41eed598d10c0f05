"""The door to the model: a harness reaches it without ever holding the key.

The sandbox gets an address with a random token in it and a placeholder for the key; the door lets the paths
of the model's API through to a provider, with the real key put in, and streams the answer back as it comes.
The key is in no message, no log and no answer.

Where the provider is busy or cannot be reached, it is asked again; then the next one is asked, if there is
one. Nothing is asked again once a byte of an answer has gone to the harness. A request whose connection broke
after it was sent may have been billed: the same provider does not get it a second time.
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
from runner.gateway.model.provider import ModelRequest, Provider, UnreachedError
from runner.gateway.model.recorder import ExchangeRecorder, TrafficRecorder
from runner.gateway.model.usage import dialect, with_usage_requested
from runner.gateway.server import Request, end_to_end_headers

_LARGEST = 32 * 1024**2  # bytes of a request: what Anthropic's API takes at most
_BUSY = frozenset({429, 500, 502, 503, 504, 529})
_PAUSES = (0.5, 2.0)  # seconds before each further try
_PATIENCE = 5.0  # seconds: a provider that asks for a longer pause is not asked again from here
_ELSEWHERE = -1.0  # in place of a pause: the next provider is to be asked

_PATH = re.compile(r"(/[A-Za-z0-9_~:-][A-Za-z0-9_.~:-]*)+")  # no escapes, no empty or dotted segments
_METHODS = ("GET", "HEAD", "POST")
_CREDENTIALS = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "cookie", "set-cookie", "forwarded"}
)
_NOT_ASKED = _CREDENTIALS | {"accept-encoding"}
"""Without it `http.client` asks for the plain answer: the meter reads no compressed one."""


@dataclass(slots=True, kw_only=True)
class ModelProxy:
    """The door of one run. Of several providers the first is the one that the harness is for."""

    providers: Sequence[Provider]
    paths: tuple[str, ...]
    token: str = field(repr=False)
    account: Account
    tape: TrafficRecorder | None = None  # where the traffic is kept
    routes: Sequence[Route] = ()  # which model a request gets; none: the one that it names
    instead: Counter[str] = field(default_factory=Counter)  # answers of others than the first, by host
    _tries: int = 0  # further ones since the last good answer
    _over: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        self._over.set()
        for provider in self.providers:
            provider.close()

    def serve(self, request: Request) -> None:
        if (refusal := self._refusal(request)) is not None:
            request.refuse(*refusal)
            return
        _, path, query = request.target
        body = request.content()
        headers = end_to_end_headers(dict(request.headers.items()), _NOT_ASKED)
        asked = ModelRequest(method=request.command, path=path, query=query, body=body, headers=headers)
        try:
            self._relay(request, self._routed(asked))
        except BudgetError as error:
            request.send_answer(*budget.refusal(path, error.message))

    def _routed(self, asked: ModelRequest) -> ModelRequest:
        """The request with the model that the routes choose."""
        if not self.routes or asked.method != "POST" or dialect(asked.path) is None:
            return asked
        told = json_object(asked.body) or {}
        facts = routing.facts(told, len(asked.body), self.account.share)
        return _for_model(asked, routing.choose(self.routes, facts))

    def _relay(self, request: Request, asked: ModelRequest) -> None:
        """Ask until there is an answer to pass on. Raises OSError, HTTPException when there is none."""
        queue = sorted(self.providers, key=lambda one: one.is_backing_off)
        for provider in queue:
            request.asked = provider.host
            own = _for_model(asked, provider.model) if provider.model else asked
            while (pause := self._once(request, own, provider, provider is queue[-1])) is not None:
                if pause == _ELSEWHERE:
                    provider.note_failure()
                    break
                if self._over.wait(pause):
                    raise ConnectionAbortedError("the run is over")
            else:
                return

    def _once(self, request: Request, asked: ModelRequest, provider: Provider, last: bool) -> float | None:
        """One try. Returns what to do when it came to nothing: a pause before the next, or _ELSEWHERE."""
        call = self.account.begin(asked.method, asked.path, asked.body, provider.host)
        take = self.tape.begin(asked.method, asked.relative_path, asked.body, call) if self.tape else None
        sent = replace(asked, body=with_usage_requested(asked.path, asked.body))
        try:
            with provider.answer(sent) as body:
                return self._answered(request, body, provider, call, take, last)
        except (OSError, HTTPException) as error:
            if request.begun:
                raise
            unsent = isinstance(error, UnreachedError)
            if (instead := self._instead(0.0 if unsent else None, last)) is None:
                raise
            return instead
        finally:
            (take or call).end()

    def _answered(
        self,
        request: Request,
        body: Body,
        provider: Provider,
        call: OpenCall,
        take: ExchangeRecorder | None,
        last: bool,
    ) -> float | None:
        """The head of an answer has come."""
        answer, ear = body.answer, take or call
        call.status = answer.status
        if take is not None:
            take.start_answer(answer.status, answer.headers["Content-Type"] or "")
        if answer.status in _BUSY and (instead := self._instead(_wished(answer.headers), last)) is not None:
            while piece := body.read():
                ear.feed(piece)
            return instead
        if 300 <= answer.status < 400:
            request.answer(502, f"{provider.host} redirects to elsewhere, and the gateway does not follow")
            return None
        if answer.status < 300:
            self._tries = 0
            self.instead[provider.host] += provider is not self.providers[0]
        with call.reads_to_end(body.read):
            request.relay(body, end_to_end_headers(dict(answer.headers.items()), _CREDENTIALS), ear)
        return None

    def _instead(self, wished: float | None, last: bool) -> float | None:
        """What to do in place of telling the harness; None: nothing.

        `wished` is the pause at least; None: not here again. Agents try again as well: between two good
        answers all that is tried here besides is a few, so that theirs and ours add up, and do not multiply.
        """
        if wished is not None and wished <= _PATIENCE and self._tries < len(_PAUSES):
            self._tries += 1
            return max(wished, _PAUSES[self._tries - 1])
        return None if last else _ELSEWHERE

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """Why the request is not let through; None when it is."""
        _, path, _ = request.target
        if not request.holds(self.token):
            return 403, "this address belongs to another run"
        if request.command not in _METHODS or not _PATH.fullmatch(path) or not _below(path, self.paths):
            return 404, "the gateway lets only calls of the model through"
        return request.unreadable(_LARGEST)


class NoModel:
    """The door where a harness has no model."""

    def serve(self, request: Request) -> None:
        request.refuse(404, "this harness has no model")


def _for_model(asked: ModelRequest, model: str) -> ModelRequest:
    path, body = routing.with_model(asked.path, asked.body, model)
    return replace(asked, path=path, body=body)


def _wished(headers: HTTPMessage) -> float:
    """The pause in seconds that a provider asks for; 0 where it asks for none."""
    with suppress(ValueError):
        return max(0.0, float(headers["Retry-After"] or 0))
    return _PATIENCE + 1  # a date: it means longer


def _below(path: str, allowed: tuple[str, ...]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in allowed)
