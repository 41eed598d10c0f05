"""Where a run stands, and why it ended."""

from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. The members after PUBLISHING are ends: a run never leaves them."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    VERIFYING = "verifying"
    WAITING = "waiting"  # the work is done, and a person has to agree before it is published
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
    def is_end(self) -> bool:
        return self not in _ACTIVE


_ACTIVE = frozenset(
    {
        RunState.QUEUED,
        RunState.PREPARING,
        RunState.RUNNING,
        RunState.VERIFYING,
        RunState.WAITING,
        RunState.PUBLISHING,
    }
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
    APPROVAL = "approval"
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
    INCOMPLETE = "incomplete"
    PROVIDER_ERROR = "provider_error"
    REFUSED = "refused"
    VERIFICATION_FAILED = "verification_failed"
    # limits
    WALL_CLOCK = "wall_clock"
    IDLE = "idle"
    OUTPUT_LIMIT = "output_limit"
    COST_LIMIT = "cost_limit"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_LIMIT = "disk_limit"
    LIMIT_REACHED = "limit_reached"  # of what may be published; asked before anything is paid for
    # the proposal and its publication
    NO_CHANGES = "no_changes"
    UNCHANGED = "unchanged"
    POLICY_REFUSED = "policy_refused"
    CONFLICT = "conflict"
    HUMAN_COMMIT = "human_commit"
    CLOSED_BY_HUMAN = "closed_by_human"
    BRANCH_MOVED = "branch_moved"
    LEFT_ALONE = "left_alone"  # a label, the merge queue or an option says that nothing is pushed there now
    BASE_GONE = "base_gone"  # the branch that it goes to was deleted or renamed
    BRANCH_PROTECTED = "branch_protected"  # a rule of the repository refuses the push
    APPROVAL_AWAITED = "approval_awaited"
    APPROVAL_REFUSED = "approval_refused"
    APPROVAL_EXPIRED = "approval_expired"
    APPROVAL_VOID = "approval_void"  # another proposal took its place
    # the runner and its surroundings
    INVALID_CONFIG = "invalid_config"
    NOT_A_REPOSITORY = "not_a_repository"
    GIT_FAILED = "git_failed"
    REF_NOT_FOUND = "ref_not_found"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    ENGINE_FAILED = "engine_failed"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_BUILD_FAILED = "image_build_failed"
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
