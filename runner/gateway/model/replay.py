"""Replays a cassette: a server behind the gateway that answers in the model's place.

It answers a request that equals a recorded one. A request that differs is refused and reported.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.gateway.model.cassette import Exchange, Placeholders, comparable_lines
from runner.gateway.model.matching import Lines, Matching, rename_temporaries
from runner.gateway.model.nondeterminism import Span
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
    matching: Matching = field(default_factory=Matching)
    begin: datetime = field(default_factory=lambda: datetime.now(UTC))
    problems: list[str] = field(default_factory=list)  # how requests differ
    _recorded: Sequence[Lines] = field(init=False)
    _left: list[int] = field(init=False)  # positions of the exchanges that were not used yet
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._recorded = [Lines(one.asked, self.matching.patterns) for one in self.exchanges]
        self._left = list(range(len(self.exchanges)))

    def serve(self, request: GatewayRequest) -> None:
        body = request.read_body()
        path = "/" + request.path.removeprefix("/").partition("/")[2]
        asked = Lines(comparable_lines(body, self.names), self.matching.patterns)
        at = self._take(request.command, path, asked)
        if at is None:
            status = 400 if request.command == "POST" else 404
            request.send_error_answer(status, "the cassette holds no such request")
            return
        found = self.exchanges[at]
        if found.status == 0:
            request.send_error_answer(502, "there was no answer when this was recorded")
            return
        answer = rename_temporaries(self.names.restore(found.answer), self._recorded[at], asked)
        request.send_content(found.status, found.content_type, answer.encode("utf-8", "surrogateescape"))

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

    def _take(self, method: str, path: str, asked: Lines) -> int | None:
        """Take the first unused exchange that fits; clients may send requests at once and in any order."""
        with self._lock:
            alike = [at for at in self._left if _place(self.exchanges[at]) == (method, path)]
            now = Span(self.begin, datetime.now(UTC))
            same = (at for at in alike if self.matching.equal(self._recorded[at], asked, now))
            found = next(same, None if self.strict or not alike else alike[0])
            if found is not None:
                self._left.remove(found)
            elif method == "POST":
                self.problems.append(self._describe_difference(alike, path, asked, now))
            return found

    def _describe_difference(self, alike: Sequence[int], path: str, asked: Lines, now: Span) -> str:
        if not alike:
            number = len(self.exchanges) - len(self._left) + 1
            return f"request {number} ({path}) is one more than was recorded"
        told = self.matching.describe_difference(self._recorded[alike[0]], asked, now)
        return f"request {alike[0] + 1} ({path}) differs from what was recorded:\n{told}"


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
