"""The one family of expected errors, and the exit codes of the command line."""

from enum import IntEnum

from runner.core.model import End, Phase, Reason, RunState

_STATES = {
    Reason.WALL_CLOCK: RunState.TIMED_OUT,
    Reason.IDLE: RunState.TIMED_OUT,
    Reason.CANCELLED: RunState.CANCELLED,
    Reason.WORKER_LOST: RunState.LOST,
    Reason.NO_CHANGES: RunState.NOTHING_TO_DO,
    Reason.UNCHANGED: RunState.NOTHING_TO_DO,
    Reason.CLOSED_BY_HUMAN: RunState.NOTHING_TO_DO,
    Reason.LEFT_ALONE: RunState.NOTHING_TO_DO,
    Reason.POLICY_REFUSED: RunState.BLOCKED,
    Reason.LIMIT_REACHED: RunState.BLOCKED,
    Reason.APPROVAL_AWAITED: RunState.WAITING,
    Reason.APPROVAL_REFUSED: RunState.BLOCKED,
    Reason.APPROVAL_EXPIRED: RunState.BLOCKED,
    Reason.APPROVAL_VOID: RunState.SUPERSEDED,
    Reason.HUMAN_COMMIT: RunState.SUPERSEDED,
    Reason.BRANCH_MOVED: RunState.SUPERSEDED,
    Reason.BASE_GONE: RunState.SUPERSEDED,
    Reason.BRANCH_PROTECTED: RunState.BLOCKED,
    **dict.fromkeys(
        (
            Reason.INVALID_SKILL,
            Reason.SKILL_NOT_FOUND,
            Reason.INVALID_INPUT,
            Reason.SETUP_FAILED,
            Reason.IMAGE_BUILD_FAILED,
            Reason.HARNESS_MISSING,
            Reason.HARNESS_FAILED,
            Reason.NO_END_MARKER,
            Reason.NO_EVIDENCE,
            Reason.INCOMPLETE,
            Reason.PROVIDER_ERROR,
            Reason.REFUSED,
            Reason.VERIFICATION_FAILED,
            Reason.OUTPUT_LIMIT,
            Reason.COST_LIMIT,
            Reason.OUT_OF_MEMORY,
            Reason.DISK_LIMIT,
            Reason.CONFLICT,
        ),
        RunState.FAILED,
    ),
}


_FETCHED = frozenset({Reason.HARNESS_MISSING, Reason.IMAGE_BUILD_FAILED})
"""What is fetched from a registry: where that passes by itself, it is no failure of the skill."""


class RunnerError(Exception):
    """Something expected went wrong: say where, why, and what to do next. Never shown as a traceback.

    `message` names the file, line and value where there is one; `hint` is the next thing to do.
    """

    def __init__(
        self, phase: Phase, reason: Reason, message: str, *, hint: str = "", retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.phase = phase
        self.reason = reason
        self.message = message
        self.hint = hint
        self.retryable = retryable

    @property
    def end(self) -> End:
        """How a run ends when this error stops it; a reason that blames nobody else blames the runner."""
        outage = self.retryable and self.reason in _FETCHED
        state = RunState.ERROR if outage else _STATES.get(self.reason, RunState.ERROR)
        return End(
            state=state,
            phase=self.phase,
            reason=self.reason,
            message=self.message,
            hint=self.hint,
            retryable=self.retryable,
        )


class ExitCode(IntEnum):
    """What `skillrunner` returns to the shell."""

    OK = 0  # it succeeded, or there was nothing to do
    FAILED = 1  # the skill or the agent did not do it
    USAGE = 2  # the command line was wrong
    INVALID = 3  # a skill file, a configuration or an input is not valid, or a secret is missing
    BLOCKED = 4  # the policy refused, a human's work goes first, or a human has to approve it
    TIMED_OUT = 5
    ERROR = 6  # the runner or its surroundings broke
    BUG = 70  # an unexpected error: a report is written
    INTERRUPTED = 130


_BY_STATE = {
    RunState.SUCCEEDED: ExitCode.OK,
    RunState.NOTHING_TO_DO: ExitCode.OK,
    RunState.FAILED: ExitCode.FAILED,
    RunState.BLOCKED: ExitCode.BLOCKED,
    RunState.WAITING: ExitCode.BLOCKED,
    RunState.SUPERSEDED: ExitCode.BLOCKED,
    RunState.TIMED_OUT: ExitCode.TIMED_OUT,
    RunState.CANCELLED: ExitCode.INTERRUPTED,
}

_INVALID = frozenset(
    {
        Reason.INVALID_SKILL,
        Reason.SKILL_NOT_FOUND,
        Reason.INVALID_INPUT,
        Reason.INVALID_CONFIG,
        Reason.SECRET_MISSING,
    }
)


def exit_code(end: End) -> ExitCode:
    """The shell's exit code for how a run ended."""
    if end.reason in _INVALID:
        return ExitCode.INVALID
    return _BY_STATE.get(end.state, ExitCode.ERROR)
