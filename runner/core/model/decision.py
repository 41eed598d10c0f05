"""Decisions: every slot and every event gets exactly one for each skill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The result of a decision on a slot or an event."""

    STARTED = "started"
    SKIPPED = "skipped"
    MISSED = "missed"
    HELD = "held"
    FAILED_TO_START = "failed_to_start"


class Cause(StrEnum):
    """Why a slot or an event started no run. Closed: tools may switch on it."""

    OVERLAP = "overlap"  # an earlier run of the skill on the same subject has not ended
    FILTER = "filter"  # the skill asks for other events
    ACTOR = "actor"  # the event's actor may not start the skill
    DUPLICATE = "duplicate"  # it was decided before, or one run stands for several slots
    WINDOW = "window"  # it came too late
    BUDGET = "budget"
    LIMIT = "limit"
    APPROVAL = "approval"
    PAUSED = "paused"
    CONDITION = "condition"  # `run_if` is not met, `skip_if` is, or one of them cannot be answered
    COOLDOWN = "cooldown"  # too little time has passed since the last start
    ACTOR_LIMIT = "actor_limit"  # the event's actor has started as many runs as one person may
    STOPPED = "stopped"  # the time after which nothing starts the skill has come
    INVALID = "invalid"  # the skill, what it needs, or what it was given is not in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision on one slot or event for one skill."""

    key: str  # of the slot or event; with the skill's name it is unique in a repository
    skill: str
    trigger: str  # "schedule", "release", ...
    verdict: Verdict
    cause: Cause | None = None  # None when a run was started
    message: str  # one sentence with the facts
    at: datetime
    due: datetime | None = None  # the instant of the slot; None for an event
    run_id: str = ""
    continues: str = ""  # the id of the run that the started run continues
    host: str = ""  # the store or workflow that decided, and has the run
    expires: datetime | None = None  # a started run without an end counts as ended from then on
    subject_key: str = ""  # what the run is about: "issue:7"; empty: the skill itself
    actor: str = ""  # the login of whoever caused the event; empty: nobody
    inputs: Mapping[str, Any] = field(default_factory=dict)  # that the event says; kept with the run alone

    @property
    def name(self) -> str:
        """The deduplication key."""
        return f"{self.skill} {self.key}"

    @property
    def subject_name(self) -> str:
        """The skill and what its run is about: of equal ones, one run at a time goes on."""
        return subject_name(self.skill, self.subject_key)


def subject_name(skill: str, subject_key: str) -> str:
    """A skill, and one of its subjects where it is not the skill itself."""
    return f"{skill} {subject_key}".rstrip()


def actor_name(skill: str, login: str) -> str:
    """A skill, and one who starts it; logins are the same in capitals and small letters."""
    return f"{skill} {login.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who caused an event."""

    login: str
    bot: bool
    permission: str  # on the repository: "none", "read", "triage", "write", "maintain" or "admin"
    is_permission_known: bool = True  # otherwise it is "none" because nobody can tell it
    association: str = ""  # what the forge says of them: "member", "first_time_contributor"; empty: nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, in the form in which every host receives it."""

    kind: str  # a trigger's kind
    key: str  # equal for every delivery of the same event
    other_keys: tuple[str, ...] = ()  # an event that shares one of these is the same event
    at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)  # untrusted
    subject: str = ""  # the event's subject as people name it
    subject_key: str = ""  # the same without doubt: "issue:7"; empty: it is about no more than the skill
    only: str = ""  # the only skill to start; empty: every skill that listens for it
    inputs: Mapping[str, Any] = field(default_factory=dict)
    delivery: str = ""  # GitHub's id of the delivery, by which people find it in the webhook's settings


@dataclass(frozen=True, slots=True)
class UnmetCondition:
    """A condition that keeps a skill from starting."""

    message: str  # which it is, and what was found
    is_unknown: bool = False  # it could not be answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts of an event that have to be looked up before a decision."""

    actor: Actor | None = None  # None: nobody whose permission counts
    own_cause: str = ""  # why skillrunner itself caused the event; empty: it did not
    is_fork: bool = False  # whether another repository's commit is what it is about, or one nobody finds
    paths: tuple[str, ...] | None = None  # the changed paths; None: not known
    limits: Mapping[str, str] = field(
        default_factory=dict
    )  # by skill: the limit on what it may publish that is reached, in a sentence
    conditions: Mapping[str, UnmetCondition] = field(
        default_factory=dict
    )  # by skill: the condition that keeps it from starting
    mention: str = ""  # the login by which people mention us
    commands: frozenset[str] = frozenset()  # the names of all commands of the repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of one day (UTC), and what was spent, in US dollars. None: no limit."""

    daily: float | None = None
    skill_daily: float | None = None
    spent: float = 0.0  # by all skills of all repositories
    spent_by_skill: Mapping[str, float] = field(default_factory=dict)  # by skill of one repository

    def refusal(self, skill: str) -> str:
        """Why a skill's budget for today is used up; empty: it is not."""
        mine = self.spent_by_skill.get(skill, 0.0)
        if self.daily is not None and self.spent >= self.daily:
            return f"today (UTC) ${self.spent:.2f} are spent, and all skills may spend ${self.daily:.2f}"
        if self.skill_daily is not None and mine >= self.skill_daily:
            return f"today (UTC) {skill} has spent ${mine:.2f}, and a skill may spend ${self.skill_daily:.2f}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The earlier decisions and the present state of one repository."""

    decisions: Mapping[str, Decision] = field(default_factory=dict)  # by deduplication key
    active: Mapping[str, Decision] = field(
        default_factory=dict
    )  # by skill and subject, see `subject_name`: the decision that started the active run
    decided_until: Mapping[str, datetime] = field(
        default_factory=dict
    )  # by schedule line: the last decided slot
    pauses: Mapping[str, str] = field(
        default_factory=dict
    )  # by skill, "*" for all of them: who paused it, when and why, in a sentence
    last_starts: Mapping[str, datetime] = field(
        default_factory=dict
    )  # by skill: when a run of it was last started
    actor_starts: Mapping[str, Sequence[datetime]] = field(
        default_factory=dict
    )  # by `actor_name`: when they started its runs, the newest first
    latest_runs: Mapping[str, str] = field(
        default_factory=dict
    )  # by "SKILL SUBJECT": the id of the run that started last
    budget: Budget = Budget()
