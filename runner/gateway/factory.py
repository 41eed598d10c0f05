"""Opens the gateway of one run: all its doors, on one listener."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runner.config.network import Rules
from runner.core.model import Route
from runner.gateway.egress.git import PATH as GIT
from runner.gateway.egress.git import GitRead
from runner.gateway.egress.proxy import Attempt, Egress
from runner.gateway.mcp import PATH, Tool, ToolDoor
from runner.gateway.model.budget import Account
from runner.gateway.model.provider import Fallback, fallback_provider, primary_provider
from runner.gateway.model.proxy import ModelProxy, NoModel
from runner.gateway.model.recorder import TrafficRecorder
from runner.gateway.server import GatewayAddress, GatewayHandler, GatewayHandlers, serve_gateway
from runner.harnesses import ModelAccess

_LINGER = 2.0  # seconds at the end for answers that are about to tell what they cost
_MOST = 10_000  # attempts that are written down; after that they are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDoor:
    """What the door to a model takes; without `access` the harness has none."""

    access: ModelAccess | None = None
    key: str = field(default="", repr=False)
    upstream: str = ""  # where the model is; empty: at its usual place
    fallback: Sequence[Fallback] = ()  # who is asked where the one before fails
    routes: Sequence[Route] = ()
    instead: Counter[str] = field(default_factory=Counter)  # answers of fallbacks, by host
    account: Account = field(default_factory=Account)  # every call is entered there
    tape: TrafficRecorder | None = None  # where all that is said is kept; the caller closes it


@contextmanager
def open_gateway(
    listener: socket.socket,
    model: ModelDoor,
    rules: Rules,
    told: Callable[[Attempt], None],
    tools: Sequence[Tool] = (),
) -> Iterator[GatewayAddress]:
    """A gateway that answers on `listener`, which it closes at the end; `told` hears of each attempt.

    Without `tools` it has no door to any.

    Raises RunnerError when the model's address or key cannot be right.
    """

    def doors(token: str) -> GatewayHandlers:
        below: dict[str, GatewayHandler] = {PATH: ToolDoor(tools, token)} if tools else {}
        if rules.repositories:
            below[GIT] = GitRead(rules=rules, token=token, told=told)
        egress, proxy = Egress(rules=rules, token=token, told=told), _to_model(model, token)
        if proxy is None:
            return GatewayHandlers(model=NoModel(), egress=egress, below=below)
        return GatewayHandlers(model=proxy, egress=egress, below=below, close=proxy.close)

    with serve_gateway(listener, doors, lambda: model.account.close(_LINGER)) as gateway:
        yield gateway


def _to_model(model: ModelDoor, token: str) -> ModelProxy | None:
    if model.access is None:
        return None
    if model.tape is not None:
        model.tape.mask(token)
    access = model.access
    return ModelProxy(
        providers=(
            primary_provider(access, model.key, model.upstream),
            *(fallback_provider(access, one) for one in model.fallback),
        ),
        paths=access.paths,
        token=token,
        account=model.account,
        tape=model.tape,
        routes=model.routes,
        instead=model.instead,
    )


@dataclass(slots=True)
class EgressLog:
    """Writes attempts down as JSON lines, and counts those that were refused. Called by many threads."""

    path: Path
    refused: Counter[str] = field(default_factory=Counter)  # by host and why
    _written: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note_attempt(self, attempt: Attempt) -> None:
        line = json.dumps(asdict(attempt), default=str)
        with self._lock:
            if attempt.refused:
                self.refused[f"{attempt.host}: {attempt.refused}"] += 1
            if self._written < _MOST:
                self._written += 1
                with self.path.open("a") as file:
                    file.write(f"{line}\n")
