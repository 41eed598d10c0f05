"""Notices slots that nobody decides and repositories that nobody can read, and alerts people."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from runner.apps.worker.repository import RepositorySnapshot
from runner.clients.http_post import post
from runner.config.documents import Fault
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.scheduler.overdue import Alert, AlertKind, first_due
from runner.store import Store, state_dir_id
from runner.store.alerts import AlertStore, ReadResult
from runner.store.troubles import KnownSkill, TroubleScope, TroubleStore

log = logging.getLogger("skillrunner.worker")

_GAP = timedelta(
    minutes=1
)  # a longer pause between two calls of `send` means: the process was stopped, or the clock was set


@dataclass(slots=True)
class Alerts:
    """Each worker has one; when several workers notice the same problem, one of them sends the alert."""

    config: Config
    store: Store
    now: Callable[[], datetime]
    _served: frozenset[str] | None = None  # None: not known yet
    _stored_served: frozenset[str] | None = None  # the value of `_served` that the store holds
    _reads: dict[str, ReadResult] = field(default_factory=dict)  # reads that the store does not hold yet
    _due: dict[str, dict[str, datetime]] = field(default_factory=dict)  # by repository and skill
    _unsaved: set[str] = field(default_factory=set)  # repositories whose slots the store does not hold yet
    _undecided: set[str] = field(default_factory=set)  # repositories that changed and were not decided since
    _troubles: dict[TroubleScope, dict[str, str]] = field(default_factory=dict)  # message by subject
    _stored_troubles: dict[TroubleScope, dict[str, str]] = field(default_factory=dict)
    _known: dict[str, list[KnownSkill]] = field(default_factory=dict)  # what the store does not hold yet
    _last_send: datetime | None = None  # when `send` last ran
    _regular_since: datetime | None = None  # since when `send` has run without a gap
    _sender: ThreadPoolExecutor | None = None

    # --- what the controller reports ------------------------------------------------------------

    def set_served(self, names: tuple[str, ...]) -> None:
        self._served = frozenset(names)
        for gone in set(self._due) - set(names):
            del self._due[gone]
            self._unsaved.discard(gone)
            self._undecided.discard(gone)
        for scope in [one for one in self._troubles if one.repository not in ("", *names)]:
            del self._troubles[scope]
            self._stored_troubles.pop(scope, None)

    def note_read(self, name: str, fault: str, next_try: datetime | None = None) -> None:
        self._reads[name] = ReadResult(fault.removeprefix(f"{name}: "), next_try)

    def note_machine(self, kind: AlertKind, fault: str) -> None:
        """Note what keeps this machine from starting anything; empty: nothing of this kind does."""
        place, host = state_dir_id(self.store.folder), os.uname().nodename
        self._troubles[TroubleScope(kind=kind, place=place, host=host)] = {"": fault} if fault else {}

    def note_lists(self, name: str, faults: Mapping[str, str]) -> None:
        """Note the lists of a repository whose events cannot be heard."""
        said = {one: f"{name}: its {one} could not be read: {fault}" for one, fault in faults.items()}
        self._troubles[TroubleScope(kind=AlertKind.UNHEARD_LIST, repository=name)] = said

    def note_globs(self, faults: Mapping[str, str]) -> None:
        """Note the globs under `worker.repositories` whose repositories cannot be listed."""
        self._troubles[TroubleScope(kind=AlertKind.UNHEARD_LIST)] = dict(faults)

    def note_skills(self, snapshot: RepositorySnapshot) -> None:
        """Note the new skills of a repository. Slots expected before stay expected until they are decided."""
        self._due[snapshot.name] = self._expected(snapshot, {}, self.now())
        self._undecided.add(snapshot.name)
        self._unsaved.add(snapshot.name)
        invalid = TroubleScope(kind=AlertKind.INVALID_SKILL, repository=snapshot.name)
        self._troubles[invalid] = fault_messages(snapshot.name, snapshot.skill_set.faults)
        self._known[snapshot.name] = [
            KnownSkill(name=one.name, triggers=tuple(one.triggers), enabled=one.options.enabled)
            for one in snapshot.skills.values()
        ]

    def note_decided_until(self, snapshot: RepositorySnapshot, until: datetime) -> None:
        """Note that all slots of a repository are decided up to `until`."""
        name = snapshot.name
        coming = self._expected(snapshot, {} if name in self._undecided else self._due[name], until)
        if name in self._undecided or coming != self._due[name]:
            self._due[name] = coming
            self._unsaved.add(name)
        self._undecided.discard(name)

    def _expected(
        self, found: RepositorySnapshot, known: dict[str, datetime], decided: datetime
    ) -> dict[str, datetime]:
        coming = {}
        for name, skill in found.skills.items():
            due = known.get(name)
            due = due if due is not None and due > decided else first_due(skill, decided)
            if due is not None:
                coming[name] = due
        return coming

    # --- regular work ---------------------------------------------------------------------------

    def save(self) -> None:
        """Write the notes into the store; what fails now is written by the next call. Raises RunnerError."""
        watching, me = AlertStore(self.store), self.store.worker
        looked = dict(self._reads)
        if looked:
            watching.note_read(me, looked, self.now())
            self._reads = {}
        for name in sorted(self._unsaved):
            watching.set_expected(name, self._due[name], decided=name not in self._undecided)
            self._unsaved.discard(name)
        if self._served is not None and self._served != self._stored_served:
            watching.set_served(me, self._served)
            self._stored_served = self._served
        self._save_troubles()

    def _save_troubles(self) -> None:
        troubles = TroubleStore(self.store)
        for scope, present in list(self._troubles.items()):
            if self._stored_troubles.get(scope) != present:
                troubles.replace(scope, present, self.now())
                self._stored_troubles[scope] = present
        for name in list(self._known):
            troubles.set_known(name, self._known[name])
            del self._known[name]

    def send(self) -> None:
        """Send new alerts, and the end of old ones. Raises RunnerError when the store cannot be reached."""
        self.save()
        now, grace = self.now(), timedelta(seconds=self.config.worker.grace)
        if self._last_send is None or not timedelta() <= now - self._last_send <= _GAP:
            self._regular_since = now
        self._last_send = now
        watching = AlertStore(self.store)
        present = {one.name: one for one in watching.alerts(now, grace)}
        told = {one.name: one for one in watching.open_alerts()}
        for name, one in present.items():
            if name not in told and self._may_claim(one, now, grace) and watching.claim_new(one):
                log.error("%s", one.message)
                self._post(one, "began")
        for name, one in told.items():
            if name not in present and watching.claim_resolved(one):
                log.info("it is over: %s", one.message)
                self._post(one, "over")

    def _may_claim(self, one: Alert, now: datetime, grace: timedelta) -> bool:
        """Whether this worker had `grace` to repair it: what began while no worker ran is no alert yet."""
        return not one.has_grace or (self._regular_since is not None and now - self._regular_since > grace)

    # --- webhook --------------------------------------------------------------------------------

    def _post(self, one: Alert, what: str) -> None:
        variable = self.config.worker.alert
        if variable is None:
            return
        if self._sender is None:
            self._sender = ThreadPoolExecutor(1, "alert")
        said = f"{'' if what == 'began' else 'over: '}{one.message}"
        data = {
            "text": f"skillrunner: {said}",
            "kind": one.kind.value,
            "state": what,
            "repository": one.repository,
            "skill": one.skill,
            "host": one.host,
            "message": one.message,
            "since": one.since.isoformat(),
        }
        self._sender.submit(_send, os.environ.get(variable, ""), variable, data)

    def close(self) -> None:
        """Stop sending, without waiting for alerts that are on their way."""
        if self._sender is not None:
            self._sender.shutdown(wait=False)


def fault_messages(repository: str, faults: Iterable[Fault]) -> dict[str, str]:
    """By invalid skill: its first fault, in a sentence, and how many more there are."""
    by_skill: dict[str, list[Fault]] = {}
    for one in sorted(faults):
        folder = PurePosixPath(one.file).parent
        by_skill.setdefault(folder.name or str(folder), []).append(one)
    return {
        skill: f"{repository} {skill} is not valid: {found[0]}"
        + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
        for skill, found in by_skill.items()
    }


def _send(url: str, variable: str, data: Mapping[str, str]) -> None:
    if fault := post(url, data):
        log.error("the URL in %s did not take the alert: %s: %s", variable, fault, data["text"])


def check_alert(config: Config) -> None:
    """Raises RunnerError when `worker.alert` names no http or https URL."""
    variable = config.worker.alert
    if variable is not None and urlsplit(os.environ.get(variable, "")).scheme not in ("http", "https"):
        message = f"worker.alert names {variable}, and the environment holds no http or https URL there"
        hint = f"export {variable}=https://..."
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
