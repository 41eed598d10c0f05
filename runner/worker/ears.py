"""What a worker hears of GitHub, by polling and by webhooks. All of it goes into the inbox first."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING

from runner.errors import RunnerError
from runner.forges.github import GitHub
from runner.hearing import Cursor, poll
from runner.lookup import Sources, facts
from runner.loop_guard import Me
from runner.model import Phase, Reason
from runner.model.decision import Event, Facts
from runner.store import Store
from runner.store.inbox import Inbox
from runner.triggers.github import KINDS
from runner.worker.watched import Watched

if TYPE_CHECKING:
    from uvicorn import Server

log = logging.getLogger("skillrunner.worker")


@dataclass(slots=True)
class Ears:
    store: Store
    login: str = ""  # of the App that we work as
    _said: dict[str, str] = field(default_factory=dict)

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.store)

    def listen(self, repository: Watched, now: datetime) -> int:
        """Poll for what the skills ask for; tell how much is new. Raises RunnerError of GitHub."""
        wanted = {kind for skill in repository.skills.values() for kind in skill.triggers} & set(KINDS)
        if not isinstance(repository.forge, GitHub) or not wanted:
            return 0
        cursor = Cursor.load(self.inbox.cursor(repository.name))
        heard = poll(repository.forge.door, cursor, wanted, now)
        for name, error in heard.faults.items():
            log.warning("%s: its %s could not be read: %s", repository.name, name, error.message)
        return self.inbox.put(repository.name, heard.events, "poll", heard.cursor.dump())

    def deliver(self, event: Event, repository: str) -> bool:
        """Keep what a webhook brought; False: it was known."""
        return self.inbox.put(repository, [event], "webhook") > 0

    def facts(self, repository: Watched, event: Event) -> Facts:
        """What must be looked up to decide on an event. Raises RunnerError of GitHub."""
        forge = repository.forge
        if not isinstance(forge, GitHub):
            return Facts()
        sources = Sources(
            forge=forge,
            mirror=repository.mirror,
            remote=forge.remote(),
            repository=repository.name,
            default_branch=repository.base.ref,
            me=Me(login=self.login, email=repository.place.config.bot.email),
        )
        return facts(repository.skills, event, sources)

    def attend(self, watched: Mapping[str, Watched], decide: Callable[[str, Event, Facts], None]) -> int:
        """Have everything in the inbox decided; what cannot be looked up now stays there. Tell how many."""
        count = 0
        for number, name, event in self.inbox.waiting(list(watched)):
            try:
                decide(name, event, self.facts(watched[name], event))
            except RunnerError as error:
                if error.retryable or error.reason in _PASSES:
                    log.warning("%s: %s waits in the inbox: %s", name, event.key, error.message)
                    continue
                log.error("%s: %s could not be decided: %s", name, event.key, error.message)
            self.inbox.done(number)
            count += 1
        return count


_PASSES = frozenset({Reason.FORGE_UNAVAILABLE, Reason.FORGE_RATE_LIMITED, Reason.STORE_FAILED})


@contextmanager
def webhooks(
    listen: str, ears: Ears, secrets: Sequence[str], serves: Callable[[str], bool], wake: Callable[[], None]
) -> Iterator[None]:
    """Serve webhooks at "host:port", for as long as the context lasts."""
    import uvicorn

    from runner.web.app import app

    def deliver(event: Event, repository: str) -> bool:
        new = ears.deliver(event, repository)
        wake()
        return new

    host, _, port = listen.rpartition(":")
    web = app(deliver, secrets, serves, lambda: {"store": True})
    server = uvicorn.Server(uvicorn.Config(web, host=host, port=int(port), log_level="warning"))
    thread = Thread(target=server.run, name="webhooks", daemon=True)
    thread.start()
    _started(server, thread, listen)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _started(server: "Server", thread: Thread, listen: str) -> None:
    until = datetime.now(UTC).timestamp() + 10
    while not server.started and thread.is_alive() and datetime.now(UTC).timestamp() < until:
        thread.join(0.05)
    if not server.started:
        message = f"webhooks cannot be heard at {listen}"
        hint = "is the port taken? name another one under worker.listen"
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
