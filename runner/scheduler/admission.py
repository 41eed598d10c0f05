"""Chooses which of the waiting runs may start now. Pure."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runner.config.worker import WorkerConfig
from runner.core.units import Rate

PRIORITIES = {"high": 3, "normal": 5, "low": 7}
"""The queue's number for each `priority`; a run that people start by hand gets one less."""

_HEAD_START = timedelta(
    hours=1
)  # by which a priority is ahead of the next one, so that no run waits for ever


def rank(since: datetime, priority: int) -> datetime:
    """The sort key of waiting runs: a less urgent run counts as if it had come later."""
    return since + priority * _HEAD_START


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRun:
    """A run that no worker has taken."""

    run_id: str
    repository: str
    skill: str
    priority: int  # a lower one goes first: see `rank`
    since: datetime
    subject_key: str = ""  # what it is about: one run at a time; empty: the skill itself


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRun:
    """A run that is executed now."""

    repository: str
    skill: str
    subject_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """The start of a run or of another attempt of it."""

    repository: str
    skill: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """How many runs may go on at a time, and how many may start in a time window; None: no limit."""

    total: int | None = None
    repository: int | None = None
    skill: int | None = 1
    total_rate: Rate | None = None
    repository_rate: Rate | None = None
    skill_rate: Rate | None = None

    @property
    def rate_window(self) -> timedelta | None:
        """How long starts have to be remembered for the rates; None: not at all."""
        rates = [one.seconds for one in (self.total_rate, self.repository_rate, self.skill_rate) if one]
        return timedelta(seconds=max(rates)) if rates else None


def limits_of(worker: WorkerConfig) -> AdmissionLimits:
    """The limits that the configuration sets."""
    limits, rates = worker.concurrency, worker.rate
    return AdmissionLimits(
        total=limits.total,
        repository=limits.repository,
        skill=limits.skill,
        total_rate=rates.total,
        repository_rate=rates.repository,
        skill_rate=rates.skill,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """Everything that the choice of runs depends on."""

    waiting: Sequence[WaitingRun]
    running: Sequence[RunningRun]
    starts: Sequence[StartedRun]  # at least those within the limits' rate window
    now: datetime


def admit(state: QueueState, free_slots: int, limits: AdmissionLimits) -> list[str]:
    """The ids of the runs that may start, at most `free_slots`, in the order of their ranks.

    A run that waits for a limit of its repository or skill does not block the runs behind it.
    """
    counts, chosen = _Counts(state, limits), list[str]()
    for one in _in_order(state.waiting):
        if len(chosen) >= free_slots or counts.queue_refusal():
            break
        if not counts.run_refusal(one):
            counts.add(one)
            chosen.append(one.run_id)
    return chosen


def waiting_reasons(state: QueueState, limits: AdmissionLimits) -> dict[str, str]:
    """The limit that each run waits for, as a sentence by run id; a run without one only waits its turn."""
    counts, why = _Counts(state, limits), dict[str, str]()
    for one in _in_order(state.waiting):
        if reason := counts.queue_refusal() or counts.run_refusal(one):
            why[one.run_id] = reason
        else:
            counts.add(one)
    return why


def _in_order(waiting: Sequence[WaitingRun]) -> list[WaitingRun]:
    return sorted(waiting, key=lambda one: (rank(one.since, one.priority), one.run_id))


_Scope = tuple[str, ...]  # (): all; (repository,); or (repository, skill)


@dataclass(slots=True)
class _Counts:
    """Counts running runs and starts, including the runs chosen so far."""

    state: QueueState
    limits: AdmissionLimits
    _running: Counter[_Scope] = field(default_factory=Counter)
    _subjects: set[_Scope] = field(default_factory=set)  # (repository, skill, subject) of running runs
    _starts: dict[_Scope, list[datetime]] = field(default_factory=dict)  # sorted

    def __post_init__(self) -> None:
        for one in self.state.running:
            self._count(one)
        for begun in self.state.starts:
            self._note(begun, begun.at)

    def add(self, one: WaitingRun) -> None:
        self._count(one)
        self._note(one, self.state.now)

    def _count(self, one: WaitingRun | RunningRun) -> None:
        self._running.update(_scopes(one))
        self._subjects.update({_subject(one)} if one.subject_key else ())

    def _note(self, one: WaitingRun | StartedRun, at: datetime) -> None:
        for place in _scopes(one):
            insort(self._starts.setdefault(place, []), at)

    def queue_refusal(self) -> str:
        """Why no run at all may start; empty: some may."""
        return self._refusal((), self.limits.total, self.limits.total_rate)

    def run_refusal(self, one: WaitingRun) -> str:
        _, repository, skill = _scopes(one)
        if one.subject_key and _subject(one) in self._subjects:
            return f"another run of {one.repository} {one.skill} on {one.subject_key} goes on"
        return self._refusal(skill, self.limits.skill, self.limits.skill_rate) or self._refusal(
            repository, self.limits.repository, self.limits.repository_rate
        )

    def _refusal(self, place: _Scope, most: int | None, rate: Rate | None) -> str:
        whose = f" of {' '.join(place)}" if place else ""
        if most is not None and self._running[place] >= most:
            return f"{self._running[place]} runs{whose} go on, and {most} may at a time"
        return self._rate_refusal(place, whose, rate) if rate is not None else ""

    def _rate_refusal(self, place: _Scope, whose: str, rate: Rate) -> str:
        """Why the rate allows no start now. Starts slightly in the future count: other clocks differ."""
        begun, window = self._starts.get(place, []), timedelta(seconds=rate.seconds)
        last = bisect_left(begun, self.state.now + window)
        count = last - bisect_right(begun, self.state.now - window)
        if count < rate.count:
            return ""
        again = f"{begun[last - rate.count] + window:%Y-%m-%d %H:%M:%S} UTC"
        return f"{count} runs{whose} have begun, {rate} may: the next at {again}"


def _subject(one: WaitingRun | RunningRun) -> _Scope:
    return one.repository, one.skill, one.subject_key


def _scopes(one: WaitingRun | RunningRun | StartedRun) -> Iterable[_Scope]:
    return (), (one.repository,), (one.repository, one.skill)
