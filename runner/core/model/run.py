"""A run as the store keeps it and as people watch it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from runner.core.model.lifecycle import End, Phase, RunState
from runner.core.model.transcript import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One logical piece of work."""

    id: str
    repository: str
    skill: str
    trigger: str
    trigger_key: str
    subject: str = ""  # what it is about, as people name it: a tag, an issue's number
    base_sha: str
    state: RunState
    attempt: int = 1
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end: End | None = None
    cost_usd: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    worker: str = ""
    image_digest: str = ""
    harness: str = ""

    @property
    def usage(self) -> Usage:
        """What it has used by now, of all its attempts."""
        return Usage(tokens_in=self.tokens_in, tokens_out=self.tokens_out, cost_usd=self.cost_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One thing that happened in a run, for people who watch it."""

    run_id: str
    at: datetime
    phase: Phase
    message: str
    state: RunState | None = None  # set when the run entered this state
    data: Mapping[str, Any] = field(default_factory=dict)


Act = Literal["say", "stop", "pause", "resume"]
"""Stop: it is to end where it is. Pause: it stands still, and so do the clocks of its limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """What somebody says to the agent of a run while it works, or does to it."""

    id: int
    text: str
    act: Act = "say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What an agent wrote down for later runs of its skill. Untrusted."""

    id: int
    repository: str
    skill: str
    text: str
    run_id: str  # of the run that wrote it, which may be gone
    at: datetime
