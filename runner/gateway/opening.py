"""Opens the gateway of one run: both doors, on one listener."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runner.gateway.allow import Rules
from runner.gateway.egress import Attempt, Egress
from runner.gateway.model_proxy import NoModel, model_proxy
from runner.gateway.server import Door, Gateway, served
from runner.harnesses import ModelAccess

_MOST = 10_000  # attempts that are written down; after that they are counted

Doors = Callable[[str], Door]
"""Makes a door for a run, of which it gets the token."""


def model_door(access: ModelAccess | None, key: str, upstream: str = "") -> Doors:
    """The door to a model. Raises RunnerError, when it is opened, for an address or a key that cannot be."""
    return lambda token: model_proxy(access, key, upstream, token) if access else NoModel()


@contextmanager
def open_gateway(
    listener: socket.socket, model: Doors, rules: Rules, told: Callable[[Attempt], None]
) -> Iterator[Gateway]:
    """A gateway that answers on `listener`, which it closes at the end; `told` hears of each attempt."""

    def doors(token: str) -> tuple[Door, Door]:
        return model(token), Egress(rules=rules, token=token, told=told)

    with served(listener, doors) as gateway:
        yield gateway


@dataclass(slots=True)
class EgressLog:
    """Writes attempts down as JSON lines, and counts those that were refused. Called by many threads."""

    path: Path
    refused: Counter[str] = field(default_factory=Counter)  # by host and why
    _written: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self, attempt: Attempt) -> None:
        line = json.dumps(asdict(attempt), default=str)
        with self._lock:
            if attempt.refused:
                self.refused[f"{attempt.host}: {attempt.refused}"] += 1
            if self._written < _MOST:
                self._written += 1
                with self.path.open("a") as file:
                    file.write(f"{line}\n")
