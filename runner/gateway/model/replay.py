"""Replays a cassette: a server behind the gateway that answers in the model's place.

It answers a request that equals a recorded one. A request that differs is refused and reported.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.gateway.model.cassette import Exchange, Placeholders, comparable_lines, difference
from runner.gateway.model.proxy import NoModel
from runner.gateway.server import GatewayHandlers, GatewayRequest, serve_gateway


@dataclass(slots=True)
class Replay:
    """Answers requests from a cassette. Threads may share it.

    `strict`: requests have to equal the recorded ones. Otherwise the answers come in their order, whatever
    the request.
    """

    exchanges: Sequence[Exchange]
    names: Placeholders = field(default_factory=Placeholders)
    strict: bool = True
    problems: list[str] = field(default_factory=list)  # how requests differ
    _left: list[int] = field(init=False)  # positions of the exchanges that were not used yet
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._left = list(range(len(self.exchanges)))

    def serve(self, request: GatewayRequest) -> None:
        body = request.read_body()
        path = "/" + request.path.removeprefix("/").partition("/")[2]
        found = self._take(request.command, path, comparable_lines(body, self.names))
        if found is None:
            request.send_error_answer(
                400 if request.command == "POST" else 404, "the cassette holds no such request"
            )
        elif found.status == 0:
            request.send_error_answer(502, "there was no answer when this was recorded")
        else:
            content = self.names.restore(found.answer).encode("utf-8", "surrogateescape")
            request.send_content(found.status, found.content_type, content)

    def check(self) -> None:
        """Raises RunnerError when a request differed from the recording."""
        if self.problems:
            raise RunnerError(Phase.HARNESS, Reason.HARNESS_FAILED, self.problems[0])

    def unused_exchanges(self) -> str:
        """A sentence about recorded requests that never came; empty: all came."""
        missing = [at + 1 for at in self._left if self.exchanges[at].method == "POST"]
        if not missing or self.problems:
            return ""
        which = f"request {missing[0]}" if len(missing) == 1 else f"requests {_listed(missing)}"
        return f"{which} of {len(self.exchanges)} in the cassette never came"

    def _take(self, method: str, path: str, asked: tuple[str, ...]) -> Exchange | None:
        """Take the first unused exchange that fits; clients may send requests at once and in any order."""
        with self._lock:
            alike = [at for at in self._left if _place(self.exchanges[at]) == (method, path)]
            same = [at for at in alike if self.exchanges[at].asked == asked]
            fits = same or ([] if self.strict else alike)
            if fits:
                self._left.remove(fits[0])
                return self.exchanges[fits[0]]
            if method == "POST":
                self.problems.append(self._describe_difference(alike, path, asked))
            return None

    def _describe_difference(self, alike: Sequence[int], path: str, asked: tuple[str, ...]) -> str:
        if not alike:
            number = len(self.exchanges) - len(self._left) + 1
            return f"request {number} ({path}) is one more than was recorded"
        recorded = self.exchanges[alike[0]]
        return f"request {alike[0] + 1} ({path}) differs from what was recorded:\n" + difference(
            recorded.asked, asked
        )


def _place(one: Exchange) -> tuple[str, str]:
    return one.method, one.path


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")


@contextmanager
def serve_replay(replay: Replay) -> Iterator[str]:
    """Serve a replay on this machine's loopback address; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    with serve_gateway(listener, lambda _: GatewayHandlers(model=replay, egress=NoModel())) as opened:
        yield opened.url
