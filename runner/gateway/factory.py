"""Opens the gateway of one run with all its handlers on one listener."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runner.config.network import NetworkRules
from runner.core.model import Route
from runner.gateway.egress.git import PATH as GIT
from runner.gateway.egress.git import GitReadHandler
from runner.gateway.egress.proxy import Attempt, EgressHandler
from runner.gateway.mcp import PATH, Tool, ToolHandler
from runner.gateway.model.budget import Account
from runner.gateway.model.model_log import ModelLog
from runner.gateway.model.provider import Fallback, fallback_provider, primary_provider
from runner.gateway.model.proxy import ModelProxy, NoModel
from runner.gateway.model.recorder import TrafficRecorder
from runner.gateway.server import GatewayAddress, GatewayHandler, GatewayHandlers, serve_gateway
from runner.harnesses import ModelAccess

_CLOSE_TIMEOUT = 2.0  # seconds at the end to wait for answers that still have to report their usage
_MAX_ATTEMPTS = 10_000  # attempts that are written; later ones are only counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRouteOptions:
    """What the model's proxy needs; without `access` the harness has no model."""

    access: ModelAccess | None = None
    key: str = field(default="", repr=False)
    upstream: str = ""  # the model's URL; empty: the provider's usual one
    fallback: Sequence[Fallback] = ()  # the providers that are asked, in order, when those before fail
    routes: Sequence[Route] = ()
    allowed_uses: frozenset[str] = frozenset()  # what the provider may do besides answering
    log: ModelLog = field(default_factory=ModelLog)  # gets what happened besides answers
    account: Account = field(default_factory=Account)  # gets every call
    recorder: TrafficRecorder | None = None  # records the traffic; the caller closes it


@contextmanager
def open_gateway(
    listener: socket.socket,
    model: ModelRouteOptions,
    rules: NetworkRules,
    on_attempt: Callable[[Attempt], None],
    tools: Sequence[Tool] = (),
) -> Iterator[GatewayAddress]:
    """Open a gateway on `listener`, which it closes at the end; `on_attempt` gets each egress attempt.

    Raises RunnerError when the model's address or key is invalid.
    """

    def make_handlers(token: str) -> GatewayHandlers:
        below: dict[str, GatewayHandler] = {PATH: ToolHandler(tools, token)} if tools else {}
        if rules.repositories:
            below[GIT] = GitReadHandler(rules=rules, token=token, on_attempt=on_attempt)
        egress, proxy = (
            EgressHandler(rules=rules, token=token, on_attempt=on_attempt),
            _model_proxy(model, token),
        )
        if proxy is None:
            return GatewayHandlers(model=NoModel(), egress=egress, by_path=below)
        return GatewayHandlers(model=proxy, egress=egress, by_path=below, close=proxy.close)

    with serve_gateway(listener, make_handlers, lambda: model.account.close(_CLOSE_TIMEOUT)) as gateway:
        yield gateway


def _model_proxy(model: ModelRouteOptions, token: str) -> ModelProxy | None:
    if model.access is None:
        return None
    if model.recorder is not None:
        model.recorder.mask(token)
    access = model.access
    return ModelProxy(
        providers=(
            primary_provider(access, model.key, model.upstream),
            *(fallback_provider(access, one) for one in model.fallback),
        ),
        endpoints=access.endpoints,
        token=token,
        account=model.account,
        recorder=model.recorder,
        routes=model.routes,
        allowed_uses=model.allowed_uses,
        log=model.log,
    )


@dataclass(slots=True)
class EgressLog:
    """Writes attempts as JSON lines, and counts refused ones. Threads may share it."""

    path: Path
    refusals: Counter[str] = field(default_factory=Counter)  # by "host: reason"
    _written: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note_attempt(self, attempt: Attempt) -> None:
        line = json.dumps(asdict(attempt), default=str)
        with self._lock:
            if attempt.refused:
                self.refusals[f"{attempt.host}: {attempt.refused}"] += 1
            if self._written < _MAX_ATTEMPTS:
                self._written += 1
                with self.path.open("a") as file:
                    file.write(f"{line}\n")
