"""A run, as it is stored and shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from runner.core.model.lifecycle import End, Phase, RunState
from runner.core.model.transcript import Usage

ANSWER = "answer.md"
"""The file of a run with what its agent said last; secrets are masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One logical piece of work."""

    id: str
    repository: str
    skill: str
    trigger: str
    trigger_key: str
    subject: str = ""  # the event's subject as people name it: a tag, an issue's number
    base_sha: str
    state: RunState
    attempt: int = 1
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end: End | None = None
    cost_usd: float | None = None  # None: unknown
    cost_at_least: float | None = None  # what is known of an unknown cost
    tokens_in: int = 0
    tokens_out: int = 0
    worker: str = ""
    image_digest: str = ""
    harness: str = ""

    @property
    def usage(self) -> Usage:
        """The usage of all its attempts until now."""
        return Usage(
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            cost_usd=self.cost_usd,
            cost_at_least=self.cost_at_least,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One event in the course of a run, for people who watch it."""

    run_id: str
    at: datetime
    phase: Phase
    message: str
    state: RunState | None = None  # set when the run entered this state
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_warning(self) -> bool:
        """Whether it tells of something that did not go, and failed nothing."""
        return self.data.get("warning") is True


MessageAction = Literal["say", "stop", "pause", "resume"]
"""say: a message to the agent; stop: end the run; pause: stop the agent and the clocks of its limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """A message that a person sends to a working agent, or an action on it."""

    id: int
    text: str
    act: MessageAction = "say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note of an agent for later runs of its skill. Untrusted."""

    id: int
    repository: str
    skill: str
    text: str
    run_id: str  # the run that wrote it, which may be removed
    at: datetime
