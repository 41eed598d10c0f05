"""Says why a run is not running, or why a skill has none: the one source of these sentences. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runner.core.model import ApprovalRecord
from runner.core.model.decision import Budget, Cause, Decision
from runner.scheduler.admission import AdmissionLimits, QueueState, waiting_reasons

_DIGITS = 12  # of a digest, by which people know it


class ObstacleKind(StrEnum):
    """What a run, or a skill, waits for. Closed: tools may switch on it."""

    NO_WORKER = "no worker"
    UNSERVED = "unserved"  # no worker serves the repository
    UNREAD = "unread"  # the repository cannot be read
    DISK = "disk"
    ENGINE = "engine"
    JITTER = "jitter"  # the skill spreads its starts
    BACKOFF = "backoff"  # an attempt failed, and the next one waits
    LIMIT = "limit"
    BUDGET = "budget"
    PAUSED = "paused"
    CIRCUIT = "circuit"
    APPROVAL = "approval"
    CONDITION = "condition"  # a condition of the skill could not be answered
    DISABLED = "disabled"
    INVALID = "invalid skill"
    OVERDUE = "overdue"  # what was due has no decision
    NOT_DUE = "not due"
    UNKNOWN = "unknown skill"
    TURN = "turn"  # nothing: it is one of the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why something does not run now."""

    kind: ObstacleKind
    message: str  # one sentence with the facts
    until: datetime | None = None  # when it goes away by itself, as far as that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A skill (empty: all) of a repository (empty: any) that is held until a human resumes it."""

    repository: str
    skill: str
    reason: str
    at: datetime
    who: str = ""  # empty: not known
    circuit: bool = False  # its failures did it

    @property
    def kind(self) -> ObstacleKind:
        return ObstacleKind.CIRCUIT if self.circuit else ObstacleKind.PAUSED

    @property
    def message(self) -> str:
        """Who paused what, when and why, and how it goes on."""
        flag = f" --repository {self.repository}" if self.repository else ""
        resume = f"`skillrunner worker resume {self.skill}".rstrip() + f"{flag}`"
        if self.circuit:
            return f"its circuit is open since {_time(self.at)}: {self.reason}; {resume} closes it"
        what = "it" if self.skill else "the repository" if self.repository else "everything"
        why = f": {self.reason}" if self.reason else ", and gave no reason"
        return f"{self.who or 'somebody'} paused {what} at {_time(self.at)}{why}; {resume} goes on"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRun:
    """A run that no worker has taken."""

    run_id: str
    repository: str
    skill: str
    not_before: datetime | None = None  # None: it may begin at once
    is_retry: bool = False  # an attempt of it has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the store knows of the workers, their machines and repositories."""

    has_worker: bool
    served: Collection[str]  # repositories; empty: the workers have only just begun, and not told yet
    unread: Mapping[str, str] = field(default_factory=dict)  # by repository: why it cannot be read
    disk: str = ""  # why no living worker has room; empty: one has
    engine: str = ""  # why no living worker reaches its sandbox engine; empty: one does


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """All that decides whether queued runs may begin."""

    surroundings: Surroundings
    state: QueueState
    limits: AdmissionLimits
    budgets: Mapping[str, Budget] = field(default_factory=dict)  # by repository


def why_queued(queued: Sequence[QueuedRun], facts: QueueFacts) -> dict[str, Obstacle]:
    """Why each run is not running, by its id."""
    limits = waiting_reasons(facts.state, facts.limits)
    return {one.run_id: _why_queued(one, facts, limits.get(one.run_id, "")) for one in queued}


def _why_queued(run: QueuedRun, facts: QueueFacts, limit: str) -> Obstacle:
    budget = facts.budgets.get(run.repository, Budget()).refusal(run.skill)
    if around := _around(run.repository, facts.surroundings):
        return around
    if run.not_before is not None and run.not_before > facts.state.now:
        return _later(run, run.not_before)
    if budget:
        return Obstacle(kind=ObstacleKind.BUDGET, message=budget)
    if limit:
        return Obstacle(kind=ObstacleKind.LIMIT, message=limit)
    return Obstacle(kind=ObstacleKind.TURN, message="a worker takes it as soon as a place is free")


def _later(run: QueuedRun, at: datetime) -> Obstacle:
    if run.is_retry:
        message = f"an attempt failed, and the next may begin at {_time(at, seconds=True)}"
        return Obstacle(kind=ObstacleKind.BACKOFF, message=message, until=at)
    message = f"its `jitter` has it begin at {_time(at, seconds=True)}"
    return Obstacle(kind=ObstacleKind.JITTER, message=message, until=at)


def _around(repository: str, found: Surroundings) -> Obstacle | None:
    """What keeps every run of a repository from running."""
    if not found.has_worker:
        return Obstacle(kind=ObstacleKind.NO_WORKER, message="no worker runs: start `skillrunner worker`")
    if found.served and repository not in found.served:
        message = f"no worker serves {repository}: is it under `worker.repositories`?"
        return Obstacle(kind=ObstacleKind.UNSERVED, message=message)
    if found.disk:
        return Obstacle(kind=ObstacleKind.DISK, message=found.disk)
    if found.engine:
        return Obstacle(kind=ObstacleKind.ENGINE, message=found.engine)
    return None


# --- skills without a run ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFacts:
    """What the store knows of one skill."""

    repository: str
    skill: str
    triggers: Sequence[str] = ()
    enabled: bool = True
    fault: str = ""  # why it is not valid; empty: it is
    next_due: datetime | None = None  # its first slot without a decision; None: it has no schedule
    pauses: Sequence[Pause] = ()  # those that concern it


def why_idle(skill: SkillFacts, found: Surroundings, now: datetime) -> Obstacle:
    """Why nothing runs for a skill whose last slot or event, if any, needs no more explanation."""
    for cause in (_of_skill(skill), _around(skill.repository, found), _unread(skill.repository, found)):
        if cause is not None:
            return _with_overdue(cause, skill, now)
    if skill.next_due is None:
        heard = ", ".join(skill.triggers) or "nothing"
        message = f"{skill.skill} is started by {heard}, and nothing of that was heard"
        return Obstacle(kind=ObstacleKind.NOT_DUE, message=message)
    if skill.next_due <= now:
        message = f"the slot of {_time(skill.next_due)} has no decision yet"
        return Obstacle(kind=ObstacleKind.OVERDUE, message=message)
    message = f"{skill.skill} is not due before {_time(skill.next_due)}"
    return Obstacle(kind=ObstacleKind.NOT_DUE, message=message, until=skill.next_due)


def _of_skill(skill: SkillFacts) -> Obstacle | None:
    if skill.fault:
        return Obstacle(kind=ObstacleKind.INVALID, message=skill.fault)
    if not skill.enabled:
        return Obstacle(kind=ObstacleKind.DISABLED, message=f"{skill.skill} says `enabled: false`")
    return next((Obstacle(kind=one.kind, message=one.message) for one in skill.pauses), None)


def _unread(repository: str, found: Surroundings) -> Obstacle | None:
    if fault := found.unread.get(repository):
        return Obstacle(kind=ObstacleKind.UNREAD, message=f"{repository} cannot be read: {fault}")
    return None


def _with_overdue(cause: Obstacle, skill: SkillFacts, now: datetime) -> Obstacle:
    """Name the slot that has no decision for that cause; what is paused is decided all the same."""
    if skill.next_due is None or skill.next_due > now:
        return cause
    message = f"the slot of {_time(skill.next_due)} has no decision: {cause.message}"
    return Obstacle(kind=cause.kind, message=message)


def why_waiting(approval: ApprovalRecord) -> Obstacle:
    """What a run waits for whose work is done."""
    command = f"skillrunner approve {approval.run_id} --digest {approval.digest[:_DIGITS]}"
    message = f"somebody has to approve it: {approval.why}; until {_time(approval.expires_at)}: {command}"
    return Obstacle(kind=ObstacleKind.APPROVAL, message=message, until=approval.expires_at)


def why_held(decision: Decision) -> Obstacle | None:
    """What a held decision waits for; None: it is not held."""
    kind = _HELD.get(decision.cause) if decision.cause else None
    return Obstacle(kind=kind, message=decision.message) if kind else None


_HELD = {
    Cause.PAUSED: ObstacleKind.PAUSED,
    Cause.BUDGET: ObstacleKind.BUDGET,
    Cause.LIMIT: ObstacleKind.LIMIT,
    Cause.APPROVAL: ObstacleKind.APPROVAL,
    Cause.CONDITION: ObstacleKind.CONDITION,
}


# --- troubles of a machine --------------------------------------------------------------------------


def disk_message(folder: str, host: str, least: int) -> str:
    """Why a worker starts nothing on a full disk."""
    return f"{folder} on {host}: less than {least:,} bytes are free: nothing is started"


def engine_message(sandbox: str, host: str, fault: str) -> str:
    """Why a worker starts nothing without its sandbox engine."""
    return f"the {sandbox} sandbox of {host} cannot be used: {fault}: nothing is started"


def _time(at: datetime, *, seconds: bool = False) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if seconds else f"{at:%Y-%m-%d %H:%M} UTC"
