"""The records that the stages of a run hand to each other: frozen, typed, free of behaviour.

Paths inside a repository are POSIX strings, times are aware UTC datetimes, durations are seconds,
sizes are bytes, costs are US dollars.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal


class RunState(StrEnum):
    """Where a run stands. The members after PUBLISHING are ends: a run never leaves them."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    VERIFYING = "verifying"
    PUBLISHING = "publishing"
    SUCCEEDED = "succeeded"
    NOTHING_TO_DO = "nothing_to_do"
    FAILED = "failed"
    ERROR = "error"
    BLOCKED = "blocked"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    SUPERSEDED = "superseded"

    @property
    def ended(self) -> bool:
        return self not in _ACTIVE


_ACTIVE = frozenset(
    {RunState.QUEUED, RunState.PREPARING, RunState.RUNNING, RunState.VERIFYING, RunState.PUBLISHING}
)


class Phase(StrEnum):
    """The part of a run in which something happened; the order is the order of execution."""

    LOAD = "load"
    PLAN = "plan"
    CHECKOUT = "checkout"
    SANDBOX = "sandbox"
    SETUP = "setup"
    HARNESS = "harness"
    PROPOSAL = "proposal"
    POLICY = "policy"
    VERIFY = "verify"
    PUBLISH = "publish"
    STORE = "store"


class Reason(StrEnum):
    """Why a run ended as it did. Closed: tools may switch on it."""

    # the skill or the agent
    INVALID_SKILL = "invalid_skill"
    SKILL_NOT_FOUND = "skill_not_found"
    INVALID_INPUT = "invalid_input"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a reason's name, not a secret
    SETUP_FAILED = "setup_failed"
    HARNESS_MISSING = "harness_missing"
    HARNESS_FAILED = "harness_failed"
    NO_END_MARKER = "no_end_marker"
    NO_EVIDENCE = "no_evidence"
    PROVIDER_ERROR = "provider_error"
    VERIFICATION_FAILED = "verification_failed"
    # limits
    WALL_CLOCK = "wall_clock"
    IDLE = "idle"
    OUTPUT_LIMIT = "output_limit"
    COST_LIMIT = "cost_limit"
    OUT_OF_MEMORY = "out_of_memory"
    # the proposal and its publication
    NO_CHANGES = "no_changes"
    UNCHANGED = "unchanged"
    POLICY_REFUSED = "policy_refused"
    CONFLICT = "conflict"
    HUMAN_COMMIT = "human_commit"
    CLOSED_BY_HUMAN = "closed_by_human"
    BRANCH_MOVED = "branch_moved"
    # the runner and its surroundings
    INVALID_CONFIG = "invalid_config"
    NOT_A_REPOSITORY = "not_a_repository"
    GIT_FAILED = "git_failed"
    REF_NOT_FOUND = "ref_not_found"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    ENGINE_FAILED = "engine_failed"
    IMAGE_NOT_FOUND = "image_not_found"
    UNSUPPORTED = "unsupported"
    FORGE_DENIED = "forge_denied"
    FORGE_NOT_FOUND = "forge_not_found"
    FORGE_REJECTED = "forge_rejected"
    FORGE_RATE_LIMITED = "forge_rate_limited"
    FORGE_UNAVAILABLE = "forge_unavailable"
    STORE_FAILED = "store_failed"
    DISK_FULL = "disk_full"
    CANCELLED = "cancelled"
    WORKER_LOST = "worker_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Why and where a run ended, in words and in terms that a program can switch on."""

    state: RunState
    phase: Phase
    reason: Reason | None = None  # None: it simply succeeded
    message: str = ""
    hint: str = ""  # the next thing to do, often a command
    retryable: bool = False


# --- what is to be done -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository as the runner knows it."""

    name: str  # "owner/name" on a forge, else the folder's name
    url: str  # what git fetches from: an https URL or a local path; never holds credentials
    default_branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillRef:
    """Which text of which skill a run follows."""

    name: str
    path: str  # of the folder, inside the repository
    commit: str | None  # where it was read from; None: from files that are not committed
    digest: str  # sha256 over all that the skill says
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What started a run."""

    kind: str  # "manual", "schedule", "release", ...
    key: str  # the deduplication key: equal keys are one cause
    subject: str = ""  # what it is about, as people name it: a tag, an issue's number
    actor: str | None = None
    at: datetime
    event: Mapping[str, Any] = field(default_factory=dict)  # the payload; untrusted data
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    cpus: float = 2.0
    memory: int = 4 * 1024**3
    pids: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where the harness works."""

    sandbox: str  # "docker", "process", "fake"
    image: str  # empty: the sandbox has no images
    setup: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()  # names; values never enter a record
    network: tuple[str, ...] = ()  # hosts and ecosystems that the gateway lets through
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessSpec:
    kind: str  # "claude-code", "codex", "command"
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # as the harness's own model validated them


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    timeout: float = 45 * 60
    idle: float = 10 * 60  # without a byte of output
    output: int = 4 * 1024**3  # bytes that a harness may print before it is stopped
    cost_usd: float | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a proposal may hold. Everything that is not allowed here is refused."""

    paths: tuple[str, ...] = ("**",)  # globs that a changed path must match
    protected: tuple[str, ...] = ()  # protected paths that the skill names, and so may change
    max_files: int = 100
    max_file_bytes: int = 1024**2
    max_patch_bytes: int = 2 * 1024**2
    symlinks: bool = False
    submodules: bool = False
    mode_changes: bool = False
    binaries: bool = False
    deletions: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """One kind of output that the skill may publish, its templates already rendered."""

    kind: str  # "pull_request", "none"
    options: Mapping[str, Any] = field(default_factory=dict)  # as the output's own model validated them


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything a run needs, resolved. Two equal specs mean the same work."""

    repository: Repository
    base_ref: str  # the branch that a pull request goes to
    base_sha: str
    skill: SkillRef
    trigger: Trigger
    prompt: str
    environment: Environment
    harness: HarnessSpec
    limits: Limits
    allowance: Allowance
    verify: tuple[str, ...] = ()
    draft_on_failed_verify: bool = False
    output: OutputSpec
    digest: str = ""  # sha256 over all of the above


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One logical piece of work."""

    id: str
    repository: str
    skill: str
    trigger: str
    trigger_key: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One thing that happened in a run, for people who watch it."""

    run_id: str
    at: datetime
    phase: Phase
    message: str
    state: RunState | None = None  # set when the run entered this state
    data: Mapping[str, Any] = field(default_factory=dict)


# --- the doors to the outside -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What git talks to. `variables` carry the credential as git configuration; the URL never does."""

    url: str
    variables: Mapping[str, str] = field(default_factory=dict)


Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Paths as a program inside the sandbox sees them."""

    workspace: str
    exchange: str
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a command ended."""

    cause: Literal["exited", "timeout", "idle", "output", "memory", "cancelled"]
    code: int | None  # None when it was stopped; negative: died by that signal
    duration: float
    output_bytes: int


# --- what the harness did -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and cost, as far as the harness tells them."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0  # part of tokens_in
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    type: Literal["reasoning"] = "reasoning"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    type: Literal["tool_call"] = "tool_call"
    call_id: str
    tool: str
    arguments: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    type: Literal["tool_result"] = "tool_result"
    call_id: str
    ok: bool
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """The harness says that it edited a file. A hint for readers: the proposal comes from the tree."""

    type: Literal["file_edit"] = "file_edit"
    path: str
    kind: Literal["add", "update", "delete"] = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """Tokens and cost of one call, or of the whole run when `total`."""

    type: Literal["usage"] = "usage"
    usage: Usage
    total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    type: Literal["error"] = "error"
    message: str
    status: int | None = None  # the model provider's HTTP status, where there is one
    fatal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The stream's own end marker."""

    type: Literal["end"] = "end"
    ok: bool
    text: str = ""  # the harness's final words


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A line that no rule reads: kept, so that nothing is lost without a trace."""

    type: Literal["unknown"] = "unknown"
    text: str  # at most 2,000 characters of it


TranscriptEvent = (
    Session | Message | Reasoning | ToolCall | ToolResult | FileEdit | Metered | Problem | Finish | Unknown
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the harness's exit code, end marker and work together mean."""

    ok: bool
    reason: Reason | None = None  # set when not ok
    message: str = ""
    retryable: bool = False
    summary: str = ""  # the harness's final words; untrusted
    session_id: str | None = None
    usage: Usage = Usage()


# --- what came out ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One path that differs between the pinned base and the tree that the harness left."""

    path: str  # bytes that are not UTF-8 are kept as surrogate escapes
    change: Literal["added", "modified", "deleted"]
    kind: Literal["file", "symlink", "submodule", "special"] = "file"
    mode: int = 0o100644  # as git writes it; 0 when deleted
    old_mode: int = 0  # 0 when added
    size: int = 0
    binary: bool = False
    additions: int = 0
    deletions: int = 0
    target: str = ""  # of a symlink
    omitted: str = ""  # why its content was not read; empty: it is in the patch


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the harness asked for in its own words, one JSON line each. Untrusted."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a run asks to publish. Untrusted data until the policy has allowed it."""

    base_sha: str
    tree_sha: str
    changes: tuple[FileChange, ...] = ()
    patch_sha256: str = ""
    patch_bytes: int = 0
    declared: tuple[Declared, ...] = ()
    summary: str = ""
    truncated: str = ""  # why the list of changes is not whole; empty: it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One cause for which the policy refused a proposal."""

    rule: str  # "path_outside", "protected_path", "secret", ...
    subject: str  # the path, or the name of the text
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One verification command and what came of it."""

    command: str
    exit_code: int | None  # None: it was stopped
    duration: float
    output: str  # the end of what it printed
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was published. The key makes publishing idempotent."""

    kind: str  # "pull_request"
    key: str
    action: Literal["created", "updated", "adopted", "unchanged"]
    url: str
    number: int | None = None
    sha: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file kept with a run; the store holds its path, size and digest."""

    name: str  # "patch", "transcript.raw", "transcript.jsonl", "prompt", "proposal.json", ...
    path: str
    size: int
    sha256: str
    media_type: str = "application/octet-stream"
