"""Where events come from: one file, or one package, for each outside system that is heard.

In come the bytes of a webhook, or the time to poll; out come events, each with its key. Whoever serves them
keeps limits of size and time, and stores what came before anybody acts on it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model.decision import Event
from runner.core.plugins import Family, Plugin

MAX_BODY = 25 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that came by webhook."""

    repository: str  # as the sender writes it
    event: Event


@dataclass(frozen=True, slots=True)
class Ping:
    """Somebody set the webhook up."""


@dataclass(frozen=True, slots=True)
class IgnoredDelivery:
    """A correctly signed delivery that no trigger listens for."""

    kind: str


@dataclass(frozen=True, slots=True)
class RefusedDelivery:
    """A refused delivery; `status` is that of the HTTP answer."""

    status: int
    why: str


ReceivedBody = Delivery | Ping | IgnoredDelivery | RefusedDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTarget:
    """A repository to poll, with its forge and credential."""

    repository: str  # its name there: "owner/name", or what tells it from others
    forge: str  # the kind of forge that it is on
    config: Config
    token: Callable[[], str] = field(repr=False)  # for the forge, at this moment; empty: none
    pacer: RateLimiter = field(repr=False)  # of the token


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """The events of one poll of one repository."""

    events: Sequence[Event]  # the oldest first
    cursor: Mapping[str, Any]  # JSON, with which the next poll goes on
    faults: Mapping[str, RunnerError] = field(default_factory=dict)  # by what failed: read on next time


class Feed(Protocol):
    """Polls one repository over open connections. One thread at a time uses it."""

    def poll(self, cursor: Mapping[str, Any], wanted: Collection[str], now: datetime) -> PollResult | None:
        """What happened since the poll that gave `cursor` (empty: none yet), of the triggers in `wanted`.

        None where nothing of that is heard here. Raises RunnerError when the repository cannot be read: it is
        polled again with the same cursor, so nothing is lost.
        """
        ...


class EventSource(Plugin, Protocol):
    """An outside system that sends events: by webhook at `/webhooks/NAME`, by polling, or both.

    A worker has one object of each source for all its repositories; more than one thread calls it.
    """

    max_body: int = MAX_BODY
    """How many bytes the body of a webhook may have; whoever serves it reads no more."""

    def receive(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[str],
        serves: Callable[[str], bool],
        now: datetime,
    ) -> ReceivedBody:
        """The result of a webhook's delivery. Pure; it has an answer for every body.

        `headers` have names in lower case. `secrets` are those that are configured for this source, several
        while one is replaced; `serves` knows the repositories that are ours.
        """
        return RefusedDelivery(404, "not found")

    def connect(self, target: PollTarget) -> Feed | None:
        """The feed to poll for a repository; None: this source has none."""
        return None


SOURCES: Family[EventSource] = Family(
    "sources",
    "runner.triggers.sources",
    EventSource,
)
