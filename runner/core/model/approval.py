"""When a proposal waits for a person, and what became of that."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

DEFAULT_EXPIRY = 7 * 86_400.0
"""Seconds that a proposal waits for a person where nobody says more or less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRules:
    """What makes a proposal wait for a person before it is published. Any rule that fits is enough."""

    always: bool = False
    paths: tuple[str, ...] = ()  # globs: a changed path matches one
    max_lines: int | None = None  # more lines than this are changed; None: any number
    changed_skill: bool = False  # nothing of this text of the skill was published before
    outputs: tuple[str, ...] = ()  # kinds
    expires: float = DEFAULT_EXPIRY  # seconds after which it is not published any more


Verdict = Literal["", "approved", "refused", "expired", "void"]
"""Empty: it waits. void: another proposal took its place, or its run ended otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecord:
    """One proposal that was shown to people, and what they said."""

    run_id: str
    attempt: int
    digest: str  # of everything that was shown
    why: str  # it has to be approved, in words
    asked_at: datetime
    expires_at: datetime
    verdict: Verdict = ""
    who: str = ""  # decided: "ada@box", or a login of the forge
    via: str = ""  # where: "the command line", or the address of a comment
    reason: str = ""  # in their own words
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person says to a proposal."""

    digest: str  # or how it begins; empty: whatever waits now
    approves: bool
    who: str
    via: str
    reason: str = ""
