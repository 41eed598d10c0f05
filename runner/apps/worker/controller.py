"""Polls a worker's repositories, decides their slots and events, and reports the ends of runs."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from runner.apps.worker.alerts import Alerts
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.events import EventSources
from runner.apps.worker.repositories import RepositoryList
from runner.apps.worker.repository import RepositorySnapshot, is_repository_failure, read_repository
from runner.config.settings import Config
from runner.core.model.decision import Budget, Decision, Event, Facts, Verdict
from runner.run.follow_up import report_end
from runner.scheduler.backoff import Backoffs
from runner.scheduler.circuit_breaker import has_failed, is_open
from runner.scheduler.decide import decide_event, decide_slots
from runner.scheduler.ledger import DecideFunction, Ledger
from runner.scheduler.obstacles import Pause
from runner.scheduler.timetable import Timetable
from runner.skills import Skill
from runner.store import Store
from runner.store.decision_log import DecisionLog
from runner.store.decisions import DecisionStore
from runner.store.pauses import pause, resumed_at
from runner.store.queue import RunQueue
from runner.store.spending import budget_of

log = logging.getLogger("skillrunner.worker")


@dataclass(slots=True)
class Controller:
    """The repositories that one worker serves."""

    config: Config
    store: Store
    repository_list: RepositoryList
    now: Callable[[], datetime]
    wake: Callable[[], None]  # wakes the worker's loop
    error_log: ErrorLog
    snapshots: dict[str, RepositorySnapshot] = field(default_factory=dict)
    timetable: Timetable = field(default_factory=Timetable)
    event_sources: EventSources = field(init=False)
    alerts: Alerts = field(init=False)
    _list_future: "Future[tuple[str, ...]] | None" = None
    _backoffs: Backoffs = field(init=False)  # of polls, by repository
    _polls: dict[str, "Future[RepositorySnapshot | None]"] = field(default_factory=dict)
    _to_decide: set[str] = field(default_factory=set)  # repositories with slots to decide
    _stale: set[str] = field(default_factory=set)  # repositories read with an earlier configuration

    def __post_init__(self) -> None:
        self.event_sources = EventSources(self.store, self.now, self.wake, self.error_log)
        self.alerts = Alerts(self.config, self.store, self.now)
        self._backoffs = Backoffs(timedelta(seconds=self.config.worker.poll))

    def configure(self, config: Config) -> None:
        """Work with another configuration: every repository is read with it at its next poll."""
        self.config = self.alerts.config = config
        self._backoffs.usual = timedelta(seconds=config.worker.poll)
        self.repository_list.configure(config)
        self._stale = set(self.snapshots)

    # --- repositories ---------------------------------------------------------------------------

    def own_name(self, name: str) -> str:
        """A served repository as it is configured, from its name in any case; empty: it is not served."""
        return next((known for known in self.snapshots if known.lower() == name.lower()), "")

    def start_polls(self, pool: ThreadPoolExecutor) -> None:
        """Start polling every repository in threads of `pool`; a slow repository delays no other.

        The list of repositories is read first, in a thread as well: GitHub may take long to answer.
        """
        if self._list_future is None:
            self._list_future = pool.submit(self.repository_list.names)
            self._list_future.add_done_callback(lambda _: self.wake())

    def collect_polls(self, pool: ThreadPoolExecutor) -> bool:
        """Take over the results of finished polls; return whether every poll has finished."""
        if self._list_future is not None and self._list_future.done():
            names, self._list_future = self._list_future.result(), None
            self.alerts.note_globs(self.repository_list.faults)
            self._poll_all(names, pool)
        for name in self._backoffs.retries(self.now()):
            self._start_poll(name, pool)
        for name, future in list(self._polls.items()):
            if future.done():
                del self._polls[name]
                found = future.result()
                self.alerts.note_read(name, self._fault(name), self._backoffs.next_try(name))
                self.alerts.note_lists(name, self.event_sources.list_faults(name))
                if found is not None and found is not self.snapshots.get(name):
                    self._update(name, found)
        return not self._polls and self._list_future is None

    @property
    def is_polling(self) -> bool:
        return bool(self._polls) or self._list_future is not None or self.event_sources.is_looking_up

    def _poll_all(self, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
        if self.repository_list.is_complete:
            self.alerts.set_served(names)
        for gone in set(self.snapshots) - set(names):
            self._remove(gone)
        self._backoffs.keep_only(names)
        for name in names:
            if self._backoffs.may_try(name, self.now()):
                self._start_poll(name, pool)

    def _start_poll(self, name: str, pool: ThreadPoolExecutor) -> None:
        if name not in self._polls:
            self._polls[name] = pool.submit(self._poll, name)
            self._polls[name].add_done_callback(lambda _: self.wake())

    def _poll(self, name: str) -> RepositorySnapshot | None:
        seen = [known := self.snapshots.get(name)]
        is_stale = name in self._stale
        before = None if is_stale else known
        failures: list[Exception] = []
        with self.error_log.report_once(name, f"{name}: "), _collect(failures):
            place = before.place if before else self.repository_list.place(name)
            seen.append(read_repository(name, place, self.store, before))
            if is_stale:
                self._stale.discard(name)
            self.event_sources.login = self.repository_list.credentials.login
        if (found := seen[-1]) is not None:
            subject, words = f"{name} events", f"{name}: its events could not be read: "
            with self.error_log.report_once(subject, words), _collect(failures):
                self.event_sources.poll(found, self.now())
        if any(is_repository_failure(error) for error in failures):
            self._backoffs.add_failure(name, self.now())
        elif self._backoffs.reset(name):
            self.event_sources.retry_lookups(name)
        return seen[-1]

    def _fault(self, name: str) -> str:
        """Why the last poll of a repository failed; empty: it did not."""
        errors = self.error_log.present()
        return errors.get(name) or errors.get(f"{name} events", "")

    def _remove(self, name: str) -> None:
        """Stop serving a repository; its runs go on."""
        log.info("%s is not served any more", name)
        for skill in self.snapshots.pop(name).skills:
            self.timetable.remove((name, skill))

    def _update(self, name: str, found: RepositorySnapshot) -> None:
        log.info("%s: %d skills at %s", name, len(found.skills), found.base.sha[:12])
        known = self.snapshots[name].skill_set.faults if name in self.snapshots else ()
        for fault in found.skill_set.faults:
            if fault not in known:  # each push reads them all again
                log.error("%s: %s", name, fault)
        for gone in set(self._skills(name)) - set(found.skills):
            self.timetable.remove((name, gone))
        is_new = name not in self.snapshots
        self.snapshots[name] = found
        self.alerts.note_skills(found)
        for skill in found.skills.values():
            if skill.schedules:
                self.timetable.put((name, skill.name), skill.schedules, self.now())
            else:
                self.timetable.remove((name, skill.name))
        self._to_decide.add(name)  # slots may have come due before it was served
        if is_new:
            self.requeue_orphans([name])

    def _skills(self, name: str) -> Mapping[str, Skill]:
        return self.snapshots[name].skills if name in self.snapshots else {}

    # --- decisions ------------------------------------------------------------------------------

    def decide_slots(self) -> None:
        """Decide all slots that are due. A repository that fails is tried again by the next call."""
        now = self.now()
        self._to_decide |= {owner[0] for owner, _ in self.timetable.due(now)}  # type: ignore[index]
        for name in sorted(self._to_decide):
            with self.error_log.report_once(f"decide {name}", f"{name}: nothing could be decided: "):
                self._decide(name, now)
                self._to_decide.discard(name)

    def _decide(self, name: str, now: datetime) -> None:
        repository = self.snapshots[name]
        decision_log, introduced = self._decision_log(repository), repository.introduction_times
        facts = repository.limits.of_slots(introduced, decision_log.history(now), now)
        decided = decision_log.decide(
            lambda known: decide_slots(repository.skills, introduced, known, now, facts),
            repository.queue_entry,
            now,
        )
        self.alerts.note_decided_until(repository, now)
        for one in decided:
            log.info("%s %s: %s: %s", name, one.skill, one.verdict, one.message)

    def decide_events(self, pool: ThreadPoolExecutor) -> None:
        """Decide the events of the inbox whose facts have been looked up."""
        self.event_sources.decide_inbox(self.snapshots, self.decide_event, pool)

    def decide_event(self, name: str, event: Event, facts: Facts) -> None:
        """Decide one event of a repository that this worker serves, and store the decisions."""
        skills = self.snapshots[name].skills
        self._decide_event(name, event, lambda known: decide_event(skills, event, facts, known, event.at))

    def _decide_event(self, name: str, event: Event, decide: DecideFunction) -> list[Decision]:
        repository = self.snapshots[name]
        decided = self._decision_log(repository).decide(
            decide, lambda decision: repository.queue_entry(decision, event), event.at
        )
        if any(one.verdict is Verdict.STARTED for one in decided):
            self.wake()
        return decided

    def requeue_orphans(self, names: list[str]) -> None:
        """Queue runs that the shared ledger says we started and that a crash kept out of our store."""
        for name in names:
            repository = self.snapshots[name]
            decision_log = self._decision_log(repository)
            with self.error_log.report_once(f"ledger {name}", f"{name}: "):
                for one in decision_log.orphans(self.now()):
                    if one.skill in repository.skills:
                        decision_log.adopt(one, repository.queue_entry(one))

    def _decision_log(self, repository: RepositorySnapshot) -> DecisionLog:
        shared = None
        if repository.forge.holds_ledger:
            shared = Ledger(repository.mirror, repository.forge.remote())
        own = DecisionStore(self.store, repository.name)
        return DecisionLog(own, shared, f"store:{self.store.name}", lambda: self.budget(repository.name))

    def budget(self, repository: str) -> Budget:
        """What the skills of a repository may spend today."""
        return budget_of(self.store, self.config.worker.budget, repository, self.now())

    # --- ends -----------------------------------------------------------------------------------

    def report_ends(self, worker: str) -> None:
        """Report every end that was not reported yet, also the ends of dead workers' runs."""
        for run_id in RunQueue(self.store).unreported_ends(worker):
            with self.error_log.report_once(
                f"tell {run_id}", f"run {run_id}: its end could not be reported: "
            ):
                self.report_end(run_id)

    def report_end(self, run_id: str) -> None:
        """Report a run's end to the ledger and to skills that wait for it. Repeatable. Raises RunnerError."""
        run = self.store.run(run_id)
        repository = self.snapshots.get(run.repository)
        if repository is None or run.end is None:
            return
        decisions = self._decision_log(repository)
        report_end(
            self.store,
            run,
            run.end,
            decisions.local.find(run.skill, run.trigger_key),
            decisions,
            repository.skills,
            partial(self._decide_event, run.repository),
            self.now(),
            repository.limits.of_event,
        )
        if has_failed(run):
            self._break_circuit(run.repository, run.skill, run.end.message)
        RunQueue(self.store).mark_reported(run_id)

    def _break_circuit(self, name: str, skill: str, message: str) -> None:
        """Pause a skill that fails again and again, until somebody resumes it."""
        most = self.config.worker.circuit
        since = resumed_at(self.store, name, skill)
        last = self.store.runs(limit=most * 3, skill=skill, repository=name, ended=True)
        fresh = [run for run in last if since is None or (run.ended_at is not None and run.ended_at > since)]
        if is_open(fresh, most) and skill not in DecisionStore(self.store, name).history().pauses:
            reason = f"it failed {most} times in a row, the last time: {message}"
            opened = Pause(repository=name, skill=skill, reason=reason, at=self.now(), circuit=True)
            pause(self.store, opened)
            log.error("%s %s: %s", name, skill, opened.message)


@contextmanager
def _collect(errors: list[Exception]) -> Iterator[None]:
    """Add what is raised inside to a list; it goes on from here."""
    try:
        yield
    except Exception as error:
        errors.append(error)
        raise
