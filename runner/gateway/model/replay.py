"""A model that answers from a cassette: it stands behind the gateway where the real one would.

A request is answered when it asks what was recorded. One that differs is refused, and said to be so.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.gateway.model.cassette import Exchange, Names, comparable_lines, difference
from runner.gateway.model.proxy import NoModel
from runner.gateway.server import GatewayHandlers, Request, serve_gateway


@dataclass(slots=True)
class Replay:
    """The door to what was recorded. Threads may share it.

    `strict`: requests have to be those that were recorded. Else the answers come in their order, whatever
    is asked.
    """

    recorded: Sequence[Exchange]
    names: Names = field(default_factory=Names)
    strict: bool = True
    problems: list[str] = field(default_factory=list)  # how requests differ
    _left: list[int] = field(init=False)  # positions of what was not asked for yet
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._left = list(range(len(self.recorded)))

    def serve(self, request: Request) -> None:
        body = request.content()
        path = "/" + request.path.removeprefix("/").partition("/")[2]
        found = self._taken(request.command, path, comparable_lines(body, self.names))
        if found is None:
            request.answer(400 if request.command == "POST" else 404, "the cassette holds no such request")
        elif found.status == 0:
            request.answer(502, "there was no answer when this was recorded")
        else:
            content = self.names.restore(found.answer).encode("utf-8", "surrogateescape")
            request.send_content(found.status, found.content_type, content)

    def check(self) -> None:
        """Raises RunnerError when a request differed: what follows is not what was recorded."""
        if self.problems:
            raise RunnerError(Phase.HARNESS, Reason.HARNESS_FAILED, self.problems[0])

    def unused_exchanges(self) -> str:
        """What was recorded and never asked for; empty: all was."""
        missing = [at + 1 for at in self._left if self.recorded[at].method == "POST"]
        if not missing or self.problems:
            return ""
        which = f"request {missing[0]}" if len(missing) == 1 else f"requests {_listed(missing)}"
        return f"{which} of {len(self.recorded)} in the cassette never came"

    def _taken(self, method: str, path: str, asked: tuple[str, ...]) -> Exchange | None:
        """The first exchange left that fits; clients may ask several things at once, in any order."""
        with self._lock:
            alike = [at for at in self._left if _place(self.recorded[at]) == (method, path)]
            same = [at for at in alike if self.recorded[at].asked == asked]
            fits = same or ([] if self.strict else alike)
            if fits:
                self._left.remove(fits[0])
                return self.recorded[fits[0]]
            if method == "POST":
                self.problems.append(self._differs(alike, path, asked))
            return None

    def _differs(self, alike: Sequence[int], path: str, asked: tuple[str, ...]) -> str:
        if not alike:
            number = len(self.recorded) - len(self._left) + 1
            return f"request {number} ({path}) is one more than was recorded"
        recorded = self.recorded[alike[0]]
        return f"request {alike[0] + 1} ({path}) differs from what was recorded:\n" + difference(
            recorded.asked, asked
        )


def _place(one: Exchange) -> tuple[str, str]:
    return one.method, one.path


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")


@contextmanager
def serve_replay(replay: Replay) -> Iterator[str]:
    """The address below which the replay answers, on this machine alone."""
    listener = socket.create_server(("127.0.0.1", 0))
    with serve_gateway(listener, lambda _: GatewayHandlers(model=replay, egress=NoModel())) as opened:
        yield opened.url
