"""Receives events by polling and by webhooks. Each event is stored in the inbox first."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from threading import Thread
from typing import TYPE_CHECKING

from runner.apps.worker.comment_commands import obey
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repository import RepositorySnapshot, is_repository_failure
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.model.decision import Event, Facts
from runner.scheduler.backoff import Backoffs
from runner.scheduler.facts import FactSources, look_up_facts
from runner.scheduler.loop_guard import OwnIdentity
from runner.store import Store
from runner.store.inbox import Inbox
from runner.triggers.sources import Feed

if TYPE_CHECKING:
    from uvicorn import Server

log = logging.getLogger("skillrunner.worker")

_LOOKUP_DELAY = timedelta(seconds=15)  # what cannot be looked up is looked up again after that, or later


@dataclass(slots=True)
class EventSources:
    """Polls repositories, takes webhook deliveries, and has the events of the inbox decided."""

    store: Store
    now: Callable[[], datetime]
    wake: Callable[[], None] = lambda: None  # wakes the worker's loop
    error_log: ErrorLog = field(default_factory=ErrorLog)
    login: str = ""  # of our GitHub App
    _list_faults: dict[str, dict[str, Mapping[str, str]]] = field(
        default_factory=dict
    )  # by repository, source and list
    _lookups: "dict[str, Future[list[_EventWithFacts]]]" = field(default_factory=dict)  # by repository
    _backoffs: Backoffs = field(default_factory=lambda: Backoffs(_LOOKUP_DELAY))  # by repository

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.store)

    def poll(self, repository: RepositorySnapshot, now: datetime) -> int:
        """Poll every source for the events that the skills name; return how many are new.

        Raises RunnerError of the first source that cannot be polled, after all were.
        """
        wanted = {kind for skill in repository.skills.values() for kind in skill.heard_kinds}
        wanted |= {"issue_comment"} if repository.hears_commands("approve") else set()
        new, errors = 0, list[RunnerError]()
        for source, feed in repository.feeds.items():
            try:
                new += self._poll(repository.name, source, feed, wanted, now)
            except RunnerError as error:  # nobody knows of its lists: what was said of them stays
                errors.append(error)
        if errors:
            raise errors[0]
        return new

    def _poll(
        self,
        repository: str,
        source: str,
        feed: Feed,
        wanted: set[str],
        now: datetime,
    ) -> int:
        result = feed.poll(self.inbox.cursor(repository, source), wanted, now)
        if result is None:
            self._note_lists(repository, source, {})
            return 0
        self._note_lists(repository, source, {name: error.message for name, error in result.faults.items()})
        return self.inbox.put(repository, result.events, "poll", result.cursor, source)

    def _note_lists(self, repository: str, source: str, faults: Mapping[str, str]) -> None:
        """Say once of each list of a source that it cannot be read, and once that it can again."""
        before = f"{repository} list of {source}: "
        for subject in self.error_log.present():
            if subject.startswith(before) and subject.removeprefix(before) not in faults:
                self.error_log.resolve(subject)
        for name, fault in faults.items():
            self.error_log.report(before + name, f"{repository}: its {name} could not be read: {fault}")
        self._list_faults.setdefault(repository, {})[source] = faults

    def list_faults(self, repository: str) -> dict[str, str]:
        """Why lists of a repository cannot be read, by their names."""
        found = self._list_faults.get(repository, {})
        return {name: fault for faults in list(found.values()) for name, fault in faults.items()}

    def deliver(self, event: Event, repository: str) -> bool:
        """Store an event from a webhook; return False when it was stored before."""
        return self.inbox.put(repository, [event], "webhook") > 0

    def facts(self, repository: RepositorySnapshot, event: Event) -> Facts:
        """Look up the facts that a decision on an event needs. Raises RunnerError of GitHub."""
        forge, bot = repository.forge, repository.place.config.bot
        sources = FactSources(
            forge=forge.without_waiting(),
            mirror=repository.mirror,
            remote=forge.remote(),
            repository=repository.name,
            default_branch=repository.base.ref,
            identity=OwnIdentity(login=self.login, email=bot.email, name=bot.name, signer=repository.signer),
            commands=repository.skill_set.commands,
        )
        return repository.limits.of_event(event, look_up_facts(repository.skills, event, sources))

    @property
    def is_looking_up(self) -> bool:
        return bool(self._lookups)

    def decide_inbox(
        self,
        snapshots: Mapping[str, RepositorySnapshot],
        decide: Callable[[str, Event, Facts], None],
        pool: Executor,
    ) -> None:
        """Decide the events of the inbox. Threads of `pool` look up the facts that decisions need.

        When a lookup fails for a passing reason, the event and all later ones of its repository stay in the
        inbox, and are tried again after a delay.
        """
        for name, future in list(self._lookups.items()):
            if future.done():
                del self._lookups[name]
                self._decide_known(name, future, snapshots, decide)
        self._backoffs.keep_only(snapshots)
        now = self.now()
        free = [name for name in snapshots if name not in self._lookups and self._backoffs.may_try(name, now)]
        waiting = self.inbox.waiting(free) if free else []
        for name, found in groupby(sorted(waiting, key=itemgetter(1, 0)), itemgetter(1)):
            events = [(number, event) for number, _, event in found]
            self._lookups[name] = pool.submit(self._look_up, snapshots[name], events)
            self._lookups[name].add_done_callback(lambda _: self.wake())

    def retry_lookups(self, name: str) -> None:
        """Do not wait any longer with a repository: it works again."""
        self._backoffs.reset(name)

    def _look_up(
        self, repository: RepositorySnapshot, events: Sequence[tuple[int, Event]]
    ) -> "list[_EventWithFacts]":
        """Look up each event's facts, up to the first lookup that fails for a passing reason."""
        found: list[_EventWithFacts] = []
        for number, event in events:
            try:
                facts = self.facts(repository, event)
                obey(self.store, repository, event, self.login, self.now())
                found.append(_EventWithFacts(number, event, facts))
            except RunnerError as error:
                found.append(_EventWithFacts(number, event, error))
                if _is_temporary(error):
                    break
        return found

    def _decide_known(
        self,
        name: str,
        future: "Future[list[_EventWithFacts]]",
        watched: Mapping[str, RepositorySnapshot],
        decide: Callable[[str, Event, Facts], None],
    ) -> None:
        for one in future.result():
            if name not in watched:
                break
            try:
                decide(name, one.event, one.require_facts())
            except RunnerError as error:
                if _is_temporary(error):
                    self._note_failure(name, error)
                    message = f"{name}: {one.event.key} waits in the inbox: {error.message}"
                    self.error_log.report(f"{name} inbox", message)
                    return
                log.error("%s: %s could not be decided: %s", name, one.event.key, error.message)
            self.inbox.mark_decided(one.number)
        self.error_log.resolve(f"{name} inbox")
        self._backoffs.reset(name)

    def _note_failure(self, name: str, error: RunnerError) -> None:
        if not is_repository_failure(error):
            self._backoffs.reset(name)
        self._backoffs.add_failure(name, self.now())


@dataclass(frozen=True, slots=True)
class _EventWithFacts:
    """An event of the inbox with its facts, or with the error of looking them up."""

    number: int
    event: Event
    facts: Facts | RunnerError

    def require_facts(self) -> Facts:
        if isinstance(self.facts, RunnerError):
            raise self.facts
        return self.facts


def _is_temporary(error: RunnerError) -> bool:
    return error.retryable or error.reason in _TEMPORARY


_TEMPORARY = frozenset({Reason.FORGE_UNAVAILABLE, Reason.FORGE_RATE_LIMITED, Reason.STORE_FAILED})


@contextmanager
def serve_webhooks(
    listen: str,
    event_sources: EventSources,
    secrets: Mapping[str, Sequence[str]],
    own_name: Callable[[str], str],
    wake: Callable[[], None],
) -> Iterator[None]:
    """Serve webhooks at `listen` ("host:port") for as long as the context lasts.

    `secrets` are by event source; `own_name` spells a repository as it is configured, empty: not served.
    """
    from runner.apps.web.app import create_app
    from runner.apps.web.server import make_server

    def deliver(event: Event, repository: str) -> bool:
        new = event_sources.deliver(event, own_name(repository) or repository)
        wake()
        return new

    host, _, port = listen.rpartition(":")
    web = create_app(deliver, secrets, lambda name: bool(own_name(name)), lambda: {"store": True})
    server = make_server(web, host, int(port))
    thread = Thread(target=server.run, name="webhooks", daemon=True)
    thread.start()
    _wait_until_started(server, thread, listen)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _wait_until_started(server: "Server", thread: Thread, listen: str) -> None:
    until = datetime.now(UTC).timestamp() + 10
    while not server.started and thread.is_alive() and datetime.now(UTC).timestamp() < until:
        thread.join(0.05)
    if not server.started:
        message = f"webhooks cannot be served at {listen}"
        hint = "is the port taken? name another one under worker.listen"
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
