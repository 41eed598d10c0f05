"""Who watches that what is due is decided, and tells of it when it is not."""

import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from runner.apps.worker.repository import RepositorySnapshot
from runner.clients.http_post import post
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.scheduler.overdue import Alert, AlertKind, first_due
from runner.store import Store
from runner.store.alerts import AlertStore

log = logging.getLogger("skillrunner.worker")

_GAP = timedelta(minutes=1)  # without a look: this process was stopped, or the clock was set


@dataclass(slots=True)
class Alerts:
    """One in every worker; what several notice is told by one of them."""

    config: Config
    store: Store
    now: Callable[[], datetime]
    _served: frozenset[str] | None = None  # None: that is not known yet
    _kept: frozenset[str] | None = None  # those that were served when that was last kept
    _looked: dict[str, str] = field(default_factory=dict)  # since that was kept: what went wrong, or nothing
    _due: dict[str, dict[str, datetime]] = field(default_factory=dict)  # by repository and skill
    _fresh: set[str] = field(default_factory=set)  # what of it is not kept
    _open: set[str] = field(default_factory=set)  # of what nothing was decided since it changed
    _last: datetime | None = None  # when it was last asked what is wrong
    _since: datetime | None = None  # from then on it was asked again and again
    _messenger: ThreadPoolExecutor | None = None

    # --- what the desk tells --------------------------------------------------------------------

    def serves(self, names: tuple[str, ...]) -> None:
        self._served = frozenset(names)
        for gone in set(self._due) - set(names):
            del self._due[gone]
            self._fresh.discard(gone)
            self._open.discard(gone)

    def note_read(self, name: str, fault: str) -> None:
        self._looked[name] = fault.removeprefix(f"{name}: ")

    def note_skills(self, found: RepositorySnapshot) -> None:
        """The skills of a repository are others; what was awaited before still is, until that is decided."""
        self._due[found.name] = self._coming(found, {}, self.now())
        self._open.add(found.name)
        self._fresh.add(found.name)

    def note_decided_until(self, found: RepositorySnapshot, until: datetime) -> None:
        """All slots of a repository were decided up to then."""
        name = found.name
        coming = self._coming(found, {} if name in self._open else self._due[name], until)
        if name in self._open or coming != self._due[name]:
            self._due[name] = coming
            self._fresh.add(name)
        self._open.discard(name)

    def _coming(
        self, found: RepositorySnapshot, known: dict[str, datetime], decided: datetime
    ) -> dict[str, datetime]:
        coming = {}
        for name, skill in found.skills.items():
            due = known.get(name)
            due = due if due is not None and due > decided else first_due(skill, decided)
            if due is not None:
                coming[name] = due
        return coming

    # --- now and then ---------------------------------------------------------------------------

    def save(self) -> None:
        """Put into the store what was told; what cannot be put there now is later. Raises RunnerError."""
        watching, me = AlertStore(self.store), self.store.worker
        looked = dict(self._looked)
        if looked:
            watching.note_read(me, looked, self.now())
            self._looked = {}
        for name in sorted(self._fresh):
            watching.set_expected(name, self._due[name], decided=name not in self._open)
            self._fresh.discard(name)
        if self._served is not None and self._served != self._kept:
            watching.set_served(me, self._served)
            self._kept = self._served

    def send(self) -> None:
        """Tell of what is wrong, and of what no longer is. Raises RunnerError when the store is away."""
        self.save()
        now, grace = self.now(), timedelta(seconds=self.config.worker.grace)
        if self._last is None or not timedelta() <= now - self._last <= _GAP:
            self._since = now
        self._last = now
        watching = AlertStore(self.store)
        present = {one.name: one for one in watching.alerts(now, grace)}
        told = {one.name: one for one in watching.sent()}
        for name, one in present.items():
            if name not in told and self._had_a_chance(one, now, grace) and watching.claim(one):
                log.error("%s", one.message)
                self._alert(one, "began")
        for name, one in told.items():
            if name not in present and watching.claim_resolved(one):
                log.info("it is over: %s", one.message)
                self._alert(one, "over")

    def _had_a_chance(self, one: Alert, now: datetime, grace: timedelta) -> bool:
        """What lasted while no worker lived is told when this one could not mend it either."""
        return one.kind is AlertKind.CIRCUIT or (self._since is not None and now - self._since > grace)

    # --- the outside ----------------------------------------------------------------------------

    def _alert(self, one: Alert, what: str) -> None:
        variable = self.config.worker.alert
        if variable is None:
            return
        if self._messenger is None:
            self._messenger = ThreadPoolExecutor(1, "alert")
        said = f"{'' if what == 'began' else 'over: '}{one.message}"
        data = {
            "text": f"skillrunner: {said}",
            "kind": one.kind.value,
            "state": what,
            "repository": one.repository,
            "skill": one.skill,
            "message": one.message,
            "since": one.since.isoformat(),
        }
        self._messenger.submit(_send, os.environ.get(variable, ""), variable, data)

    def close(self) -> None:
        """What is on its way is not waited for."""
        if self._messenger is not None:
            self._messenger.shutdown(wait=False)


def _send(url: str, variable: str, data: Mapping[str, str]) -> None:
    if fault := post(url, data):
        log.error("the URL in %s could not be told: %s: %s", variable, fault, data["text"])


def check_alert(config: Config) -> None:
    """Raises RunnerError where `worker.alert` leads nowhere."""
    variable = config.worker.alert
    if variable is not None and urlsplit(os.environ.get(variable, "")).scheme not in ("http", "https"):
        message = f"worker.alert names {variable}, and the environment holds no http or https URL there"
        hint = f"export {variable}=https://..."
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
