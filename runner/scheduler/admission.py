"""Which of the runs that wait may begin now. Pure."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runner.config.worker import WorkerConfig
from runner.core.units import Rate

URGENCY = {"high": 3, "normal": 5, "low": 7}
"""The queue's numbers for what a skill states; what people start by hand goes one before."""

_HEAD_START = timedelta(hours=1)  # that a number has over the next one: so nobody waits for ever


def rank(since: datetime, priority: int) -> datetime:
    """By which runs that wait are put in order: as if the less urgent had come later."""
    return since + priority * _HEAD_START


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRun:
    """A run that nobody has begun."""

    run_id: str
    repository: str
    skill: str
    priority: int  # a lower one goes first: see `rank`
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRun:
    """A run that somebody carries out."""

    repository: str
    skill: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """A run, or another attempt of it, that a worker began."""

    repository: str
    skill: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """How many runs at a time, and how many in a stretch of time; None: as many as there is room for."""

    total: int | None = None
    repository: int | None = None
    skill: int | None = 1
    total_rate: Rate | None = None
    repository_rate: Rate | None = None
    skill_rate: Rate | None = None

    @property
    def memory(self) -> timedelta | None:
        """How far back it matters what has begun; None: not at all."""
        rates = [one.seconds for one in (self.total_rate, self.repository_rate, self.skill_rate) if one]
        return timedelta(seconds=max(rates)) if rates else None


def limits_of(worker: WorkerConfig) -> AdmissionLimits:
    """As they are configured."""
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
    """All that matters when it is decided who begins."""

    waiting: Sequence[WaitingRun]
    busy: Sequence[RunningRun]
    begun: Sequence[StartedRun]  # as far back as the bounds ask for, or further
    now: datetime


def admit(scene: QueueState, room: int, bounds: AdmissionLimits) -> list[str]:
    """The ids of those that begin, by their ranks: the most urgent first, of equals who waited longest.

    One that has to wait for its own repository or skill holds up nobody else.
    """
    counts, chosen = _Counts(scene, bounds), list[str]()
    for one in _in_order(scene.waiting):
        if len(chosen) >= room or counts.full():
            break
        if not counts.full_for(one):
            counts.add(one)
            chosen.append(one.run_id)
    return chosen


def waiting_reasons(scene: QueueState, bounds: AdmissionLimits) -> dict[str, str]:
    """Why runs wait though a worker may have room: a sentence by run. Who is left out only waits its turn."""
    counts, why = _Counts(scene, bounds), dict[str, str]()
    for one in _in_order(scene.waiting):
        if reason := counts.full() or counts.full_for(one):
            why[one.run_id] = reason
        else:
            counts.add(one)
    return why


def _in_order(waiting: Sequence[WaitingRun]) -> list[WaitingRun]:
    return sorted(waiting, key=lambda one: (rank(one.since, one.priority), one.run_id))


_Place = tuple[str, ...]  # nothing: everywhere; a repository; a repository and a skill


@dataclass(slots=True)
class _Counts:
    """What is carried out and what has begun, with what is chosen on the way."""

    scene: QueueState
    bounds: AdmissionLimits
    _now: Counter[_Place] = field(default_factory=Counter)
    _begun: dict[_Place, list[datetime]] = field(default_factory=dict)  # rising

    def __post_init__(self) -> None:
        for one in self.scene.busy:
            self._now.update(_places(one))
        for begun in self.scene.begun:
            self._note(begun, begun.at)

    def add(self, one: WaitingRun) -> None:
        self._now.update(_places(one))
        self._note(one, self.scene.now)

    def _note(self, one: WaitingRun | StartedRun, at: datetime) -> None:
        for place in _places(one):
            insort(self._begun.setdefault(place, []), at)

    def full(self) -> str:
        """Why nothing may begin at all; empty: something may."""
        return self._full((), self.bounds.total, self.bounds.total_rate)

    def full_for(self, one: WaitingRun) -> str:
        _, repository, skill = _places(one)
        return self._full(skill, self.bounds.skill, self.bounds.skill_rate) or self._full(
            repository, self.bounds.repository, self.bounds.repository_rate
        )

    def _full(self, place: _Place, most: int | None, rate: Rate | None) -> str:
        whose = f" of {' '.join(place)}" if place else ""
        if most is not None and self._now[place] >= most:
            return f"{self._now[place]} runs{whose} go on, and {most} may at a time"
        return self._too_often(place, whose, rate) if rate is not None else ""

    def _too_often(self, place: _Place, whose: str, rate: Rate) -> str:
        """Also what a clock that goes before ours noted counts; one that was far wrong says nothing."""
        begun, window = self._begun.get(place, []), timedelta(seconds=rate.seconds)
        last = bisect_left(begun, self.scene.now + window)
        count = last - bisect_right(begun, self.scene.now - window)
        if count < rate.most:
            return ""
        again = f"{begun[last - rate.most] + window:%Y-%m-%d %H:%M:%S} UTC"
        return f"{count} runs{whose} have begun, {rate} may: the next at {again}"


def _places(one: WaitingRun | RunningRun | StartedRun) -> Iterable[_Place]:
    return (), (one.repository,), (one.repository, one.skill)
