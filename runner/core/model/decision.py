"""What became of what was due: every slot and every event gets exactly one decision for each skill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What became of a slot or an event."""

    STARTED = "started"
    SKIPPED = "skipped"
    MISSED = "missed"
    HELD = "held"
    FAILED_TO_START = "failed_to_start"


class Cause(StrEnum):
    """Why a slot or an event started no run. Closed: tools may switch on it."""

    OVERLAP = "overlap"  # an earlier run of the skill has not ended
    FILTER = "filter"  # the skill asks for other events
    ACTOR = "actor"  # who did it may not start the skill
    DUPLICATE = "duplicate"  # it was decided before, or one run stands for several slots
    WINDOW = "window"  # it came too late
    BUDGET = "budget"
    LIMIT = "limit"
    APPROVAL = "approval"
    PAUSED = "paused"
    INVALID = "invalid"  # the skill, or what it needs, is not in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of one slot or event for one skill."""

    key: str  # of the slot or event: with the skill's name it is the deduplication key of a repository
    skill: str
    trigger: str  # "schedule", "release", ...
    verdict: Verdict
    cause: Cause | None = None  # None: a run was started
    message: str  # one sentence with the facts
    at: datetime
    due: datetime | None = None  # the slot's instant
    run_id: str = ""
    continues: str = ""  # the run from which the started one goes on
    host: str = ""  # who decided: where the run is, if one was started
    expires: datetime | None = None  # a started run that has told no end by then has none to tell

    @property
    def name(self) -> str:
        """The deduplication key."""
        return f"{self.skill} {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who caused an event."""

    login: str
    bot: bool
    permission: str  # on the repository: "none", "read", "triage", "write", "maintain" or "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, as any host hears of it."""

    kind: str  # a trigger's kind
    key: str  # the same for every delivery of one happening
    other_keys: tuple[
        str, ...
    ] = ()  # an event that has one in common was delivered before, as one with its key
    at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)  # untrusted
    subject: str = ""  # what it is about, as people name it
    only: str = ""  # the one skill that is meant; empty: whichever asks for it
    inputs: Mapping[str, Any] = field(default_factory=dict)
    delivery: str = ""  # GitHub's id of the delivery, by which people find it in the webhook's settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What must be looked up to decide on an event."""

    actor: Actor | None = None  # None: nobody whose permission counts, as with a schedule
    own_cause: str = ""  # why this is our own doing; empty: it is not
    is_fork: bool = False  # a pull request from another repository
    paths: tuple[str, ...] | None = None  # that changed; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent in one day (UTC), in US dollars, and what was. None: as much as it takes."""

    daily: float | None = None
    skill_daily: float | None = None
    spent: float = 0.0  # by all skills of all repositories
    spent_by_skill: Mapping[str, float] = field(default_factory=dict)  # of one repository

    def refusal(self, skill: str) -> str:
        """Why a skill may spend nothing more today; empty: it may."""
        mine = self.spent_by_skill.get(skill, 0.0)
        if self.daily is not None and self.spent >= self.daily:
            return f"today (UTC) ${self.spent:.2f} are spent, and all skills may spend ${self.daily:.2f}"
        if self.skill_daily is not None and mine >= self.skill_daily:
            return f"today (UTC) {skill} has spent ${mine:.2f}, and a skill may spend ${self.skill_daily:.2f}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was decided before, in one repository."""

    decisions: Mapping[str, Decision] = field(default_factory=dict)  # by deduplication key
    active: Mapping[str, Decision] = field(default_factory=dict)  # by skill: its run that has not ended
    decided_until: Mapping[str, datetime] = field(
        default_factory=dict
    )  # by schedule line: the last decided slot
    paused_skills: frozenset[str] = frozenset()  # names of skills; "*": all of them
    latest_runs: Mapping[str, str] = field(default_factory=dict)  # by skill and subject: the run begun last
    budget: Budget = Budget()
