"""What happens to the requests of a run to its model, besides their answers."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.core.jsonl import json_object
from runner.gateway.server import AnswerListener

_QUOTED = 2_000  # bytes of a failed answer that are kept


@dataclass(frozen=True, slots=True)
class FailedAnswer:
    """What a provider answered in place of the model."""

    host: str
    key_name: str  # where the key that it got comes from
    status: int
    message: str  # in its own words; untrusted


@dataclass(slots=True, kw_only=True)
class ModelLog:
    """What happened to a run's requests besides their answers. Threads may share it."""

    fallbacks: Counter[str] = field(default_factory=Counter)  # by host: answers of others than the first
    refusals: Counter[str] = field(default_factory=Counter)  # by their cause: requests that were refused
    omissions: Counter[str] = field(default_factory=Counter)  # by name: features that were left out
    failures: deque[FailedAnswer] = field(default_factory=lambda: deque(maxlen=5))  # the last ones


def words_of_failure(body: bytes) -> str:
    """What an answer says that is no answer: its message, where it is JSON."""
    told = json_object(body) or {}
    error = told.get("error", told)
    message = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return message if isinstance(message, str) else body.decode("utf-8", "replace")


@dataclass(slots=True)
class AnswerQuote:
    """Keeps the beginning of an answer while it passes."""

    listener: AnswerListener
    note: Callable[[str], None]  # gets what the answer says
    _held: bytearray = field(default_factory=bytearray)
    _ended: bool = False

    def feed(self, piece: bytes) -> None:
        self._held += piece[: _QUOTED - len(self._held)]
        self.listener.feed(piece)

    def end(self, whole: bool = False) -> None:
        if not self._ended:
            self._ended = True
            self.note(words_of_failure(bytes(self._held)))
        self.listener.end(whole)
