"""Transcript events: what a harness did, in one format for all harnesses."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from runner.core.model.lifecycle import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and cost, as far as somebody tells them."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0  # part of tokens_in
    cost_usd: float | None = None  # None: unknown
    cost_at_least: float | None = None  # what is known of an unknown cost, in US dollars; None: nothing

    def __add__(self, other: "Usage") -> "Usage":
        """Both together. A cost is known only where both are."""
        if Usage() in (self, other):
            return other if self == Usage() else self
        known = [one.cost_at_least if one.cost_usd is None else one.cost_usd for one in (self, other)]
        told = [Decimal(str(one)) for one in known if one is not None]
        total = float(sum(told)) if told else None  # as people add: 0.1 and 0.2 are 0.3
        whole = None not in (self.cost_usd, other.cost_usd)
        return Usage(
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            tokens_cached=self.tokens_cached + other.tokens_cached,
            cost_usd=total if whole else None,
            cost_at_least=None if whole else total or None,
        )

    @property
    def cost_text(self) -> str:
        """The cost for people: what nobody told is unknown, and not zero."""
        if self.cost_usd is not None:
            return f"${self.cost_usd:.4f}"
        return "unknown" if self.cost_at_least is None else f"unknown, at least ${self.cost_at_least:.4f}"

    def completed(self, parts: "Usage") -> "Usage":
        """A sum that somebody told; what it does not tell is taken from the parts."""
        return Usage(
            tokens_in=self.tokens_in or parts.tokens_in,
            tokens_out=self.tokens_out or parts.tokens_out,
            tokens_cached=self.tokens_cached or parts.tokens_cached,
            cost_usd=parts.cost_usd if self.cost_usd is None else self.cost_usd,
            cost_at_least=parts.cost_at_least if self.cost_usd is None else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStart:
    """The harness began: its own session id can resume the work later."""

    type: Literal["session"] = "session"
    session_id: str
    model: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    type: Literal["message"] = "message"
    role: Literal["assistant", "user", "system"] = "assistant"
    text: str
    parent: str = ""  # the call of the tool that began the sub-agent which says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    type: Literal["reasoning"] = "reasoning"
    text: str
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    type: Literal["tool_call"] = "tool_call"
    call_id: str
    tool: str
    arguments: Any = None
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    type: Literal["tool_result"] = "tool_result"
    call_id: str
    ok: bool
    output: str = ""
    exit_code: int | None = None  # of a command that ran, however it ended
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """The harness says that it edited a file. A hint for readers: the proposal comes from the tree."""

    type: Literal["file_edit"] = "file_edit"
    path: str
    kind: Literal["add", "update", "delete"] = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Tokens and cost of one call, or of the whole run when `total`."""

    type: Literal["usage"] = "usage"
    usage: Usage
    total: bool = False
    model: str = ""  # which answered, or which did; empty: it is not told


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    type: Literal["error"] = "error"
    message: str
    status: int | None = None  # the model provider's HTTP status, where there is one
    provider: bool = False  # the model's provider is the cause
    refusal: bool = False  # the model, or a filter of its provider, will not do what was asked
    fatal: bool = False  # it ends the session, unless the agent goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The stream's own end marker."""

    type: Literal["end"] = "end"
    ok: bool
    text: str = ""  # the harness's final words


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A line that the reader does not know, recorded so that nothing is lost."""

    type: Literal["unknown"] = "unknown"
    text: str  # at most 2,000 characters of it


TranscriptEvent = (
    SessionStart
    | Message
    | Reasoning
    | ToolCall
    | ToolResult
    | FileEdit
    | UsageReport
    | Problem
    | Finish
    | Unknown
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the harness's exit code, end marker and work together mean."""

    ok: bool
    reason: Reason | None = None  # set when not ok
    message: str = ""
    retryable: bool = False
    summary: str = ""  # the harness's final words; untrusted
    printed: str = ""  # by a program with no final words: kept as its answer, and never published
    session_id: str | None = None
    usage: Usage = Usage()
    status: int | None = None  # with which the model's provider answered last, where that is the cause
