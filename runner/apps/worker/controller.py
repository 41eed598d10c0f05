"""Where a worker decides: its repositories, what is due in them, and what follows from the end of a run."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from runner.apps.worker.alerts import Alerts
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.events import EventSources
from runner.apps.worker.repositories import RepositoryList
from runner.apps.worker.repository import RepositorySnapshot, read_repository
from runner.apps.worker.run_job import work_item
from runner.config.settings import Config
from runner.core.model import result_url
from runner.core.model.decision import Budget, Event, Facts, Verdict
from runner.scheduler.circuit_breaker import has_failed, is_broken
from runner.scheduler.decide import listening_skills, on_event, on_slots
from runner.scheduler.ledger import Ledger
from runner.scheduler.timetable import Timetable
from runner.skills import Skill
from runner.store import Store
from runner.store.decision_log import DecisionLog
from runner.store.decisions import Decisions
from runner.store.pauses import pause, resumed_at
from runner.store.queue import RunQueue
from runner.store.spending import spending_since

log = logging.getLogger("skillrunner.worker")


@dataclass(slots=True)
class Controller:
    """The repositories that one worker watches."""

    config: Config
    store: Store
    repository_list: RepositoryList
    now: Callable[[], datetime]
    wake: Callable[[], None]  # there is something to do
    error_log: ErrorLog
    snapshots: dict[str, RepositorySnapshot] = field(default_factory=dict)
    timetable: Timetable = field(default_factory=Timetable)
    event_sources: EventSources = field(init=False)
    alerts: Alerts = field(init=False)
    _list_future: "Future[tuple[str, ...]] | None" = None
    _polls: dict[str, "Future[RepositorySnapshot | None]"] = field(default_factory=dict)
    _to_decide: set[str] = field(default_factory=set)  # repositories in which something came due

    def __post_init__(self) -> None:
        self.event_sources = EventSources(self.store, self.wake)
        self.alerts = Alerts(self.config, self.store, self.now)

    # --- repositories ---------------------------------------------------------------------------

    def serves(self, name: str) -> bool:
        """Whether "owner/name" is one of ours; GitHub's names are the same in capitals and small letters."""
        return name.lower() in (known.lower() for known in self.snapshots)

    def start_polls(self, pool: ThreadPoolExecutor) -> None:
        """Have every repository looked at and listened to; one that is out of reach holds up no other.

        Which ones there are is asked first, and elsewhere too: GitHub may not answer for a long time.
        """
        if self._list_future is None:
            self._list_future = pool.submit(self.repository_list.names)
            self._list_future.add_done_callback(lambda _: self.wake())

    def collect_polls(self, pool: ThreadPoolExecutor) -> bool:
        """Take in what was seen by now; tell whether every repository has been looked at."""
        if self._list_future is not None and self._list_future.done():
            names, self._list_future = self._list_future.result(), None
            self._poll_all(names, pool)
        for name, future in list(self._polls.items()):
            if future.done():
                del self._polls[name]
                found = future.result()
                self.alerts.note_read(name, self.error_log.errors.get(name, ""))
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
        for name in names:
            if name not in self._polls:
                self._polls[name] = pool.submit(self._poll, name)
                self._polls[name].add_done_callback(lambda _: self.wake())

    def _poll(self, name: str) -> RepositorySnapshot | None:
        seen = [before := self.snapshots.get(name)]
        with self.error_log.report_once(name, f"{name}: "):
            place = before.place if before else self.repository_list.place(name)
            seen.append(read_repository(name, place, self.store, before))
            self.event_sources.login = self.repository_list.credentials.login
        if (found := seen[-1]) is not None:
            with self.error_log.report_once(f"{name} events", f"{name}: its events could not be read: "):
                self.event_sources.poll(found, self.now())
        return seen[-1]

    def _remove(self, name: str) -> None:
        """A repository that is no longer meant; what runs for it goes on."""
        log.info("%s is not served any more", name)
        for skill in self.snapshots.pop(name).skills:
            self.timetable.remove((name, skill))

    def _update(self, name: str, found: RepositorySnapshot) -> None:
        log.info("%s: %d skills at %s", name, len(found.skills), found.base.sha[:12])
        for fault in found.skill_set.faults:
            log.error("%s: %s", name, fault)
        for gone in set(self._skills(name)) - set(found.skills):
            self.timetable.remove((name, gone))
        is_new = name not in self.snapshots
        self.snapshots[name] = found
        self.alerts.note_skills(found)
        for skill in found.skills.values():
            timetable = skill.triggers.get("schedule")
            if timetable is None:
                self.timetable.remove((name, skill.name))
            else:
                self.timetable.put((name, skill.name), timetable.root, self.now())
        self._to_decide.add(name)  # what came due while nobody looked
        if is_new:
            self.requeue_orphans([name])

    def _skills(self, name: str) -> Mapping[str, Skill]:
        return self.snapshots[name].skills if name in self.snapshots else {}

    # --- decisions ------------------------------------------------------------------------------

    def decide_slots(self) -> None:
        """Decide on all that is due. What cannot be decided now is tried again with the next call."""
        now = self.now()
        self._to_decide |= {owner[0] for owner, _ in self.timetable.due(now)}  # type: ignore[index]
        for name in sorted(self._to_decide):
            with self.error_log.report_once(f"decide {name}", f"{name}: nothing could be decided: "):
                self._decide(name, now)
                self._to_decide.discard(name)

    def _decide(self, name: str, now: datetime) -> None:
        repository = self.snapshots[name]
        decided = self._decision_log(repository).decide(
            lambda known: on_slots(repository.skills, repository.introduction_times, known, now),
            lambda decision: work_item(repository, None, decision),
            now,
        )
        self.alerts.note_decided_until(repository, now)
        for one in decided:
            log.info("%s %s: %s: %s", name, one.skill, one.verdict, one.message)

    def decide_events(self, pool: ThreadPoolExecutor) -> None:
        """Decide on what was heard, once it is known what deciding needs."""
        self.event_sources.decide_inbox(self.snapshots, self.decide_event, pool)

    def decide_event(self, name: str, event: Event, facts: Facts) -> None:
        """Decide on something that happened in a repository that is watched."""
        repository = self.snapshots[name]
        settled = self._decision_log(repository).decide(
            lambda known: on_event(repository.skills, event, facts, known, event.at),
            lambda decision: work_item(repository, event, decision),
            event.at,
        )
        if any(one.verdict is Verdict.STARTED for one in settled):
            self.wake()

    def requeue_orphans(self, names: list[str]) -> None:
        """Queue what a crash left between the shared ledger and our own store."""
        for name in names:
            repository = self.snapshots[name]
            book = self._decision_log(repository)
            with self.error_log.report_once(f"ledger {name}", f"{name}: "):
                for one in book.orphans(self.now()):
                    if one.skill in repository.skills:
                        book.adopt(one, work_item(repository, None, one))

    def _decision_log(self, repository: RepositorySnapshot) -> DecisionLog:
        shared = None
        if repository.forge.name == "github":
            shared = Ledger(repository.mirror, repository.forge.remote())
        own = Decisions(self.store, repository.name)
        return DecisionLog(own, shared, f"store:{self.store.name}", lambda: self.budget(repository.name))

    def budget(self, repository: str) -> Budget:
        """What the skills of a repository may spend today."""
        limits = self.config.worker.budget
        if limits.daily_usd is None and limits.skill_daily_usd is None:
            return Budget()
        day = self.now().replace(hour=0, minute=0, second=0, microsecond=0)
        costs = spending_since(self.store, day)
        return Budget(
            daily=limits.daily_usd,
            skill_daily=limits.skill_daily_usd,
            spent=sum(costs.values()),
            by_skill={skill: cost for (where, skill), cost in costs.items() if where == repository},
        )

    # --- ends -----------------------------------------------------------------------------------

    def report_ends(self, worker: str) -> None:
        """Tell of every run that has ended, also of those whose worker could not tell it any more."""
        for run_id in RunQueue(self.store).unreported_ends(worker):
            with self.error_log.report_once(f"tell {run_id}", f"run {run_id}: its end could not be told: "):
                self.report_end(run_id)

    def report_end(self, run_id: str) -> None:
        """Tell whoever waits for the end of a run. Safe to repeat. Raises RunnerError of the forge."""
        run = self.store.run(run_id)
        repository = self.snapshots.get(run.repository)
        if repository is None or run.end is None:
            return
        book, now = self._decision_log(repository), self.now()
        url = result_url(self.store.receipts(run_id))
        decision = book.own.find(run.skill, run.trigger_key)
        if decision is not None:
            book.add_end(decision, run.end, url, now)
        event = Event(
            kind="run_completed",
            key=f"run_completed:{run_id}",
            at=now,
            payload={"run": {"id": run_id, "skill": run.skill, "state": run.state.value, "url": url}},
            subject=run_id,
        )
        if listening_skills(repository.skills, event):
            self.decide_event(run.repository, event, Facts())
        if has_failed(run):
            self._break_circuit(run.repository, run.skill, run.end.message)
        RunQueue(self.store).mark_reported(run_id)

    def _break_circuit(self, name: str, skill: str, message: str) -> None:
        """Pause a skill that fails again and again, until somebody resumes it."""
        most = self.config.worker.circuit
        since = resumed_at(self.store, name, skill)
        last = self.store.runs(limit=most * 3, skill=skill, repository=name, ended=True)
        fresh = [run for run in last if since is None or (run.ended_at is not None and run.ended_at > since)]
        if is_broken(fresh, most) and skill not in Decisions(self.store, name).history().paused:
            reason = f"it failed {most} times in a row, the last time: {message}"
            pause(self.store, name, skill, reason, self.now(), circuit=True)
            log.error("%s %s is paused: %s", name, skill, reason)
