"""Decides whether and when a run is tried again. Pure."""

from datetime import timedelta

from runner.core.model import End, Reason, RunState
from runner.core.retrying import delay

FREE_ATTEMPTS = 5
"""Attempts of a run whose errors came before its harness started: they cost nothing."""

LOST_ATTEMPTS = 2
"""The minimum of attempts where lost runs are retried; limited, for a run may be what kills its worker."""

_MIN_DELAY, _MAX_DELAY = 30.0, 1800.0  # seconds
_RATE_LIMIT_WAIT = timedelta(minutes=1)  # GitHub's rule when its answer names no time


def retry_delay(end: End, attempt: int, attempts: int, harness_started: bool = True) -> timedelta | None:
    """How long a run waits for its next attempt; None: it has ended.

    `attempts` is what the skill allows; `harness_started` is whether the next one needs its harness again.
    """
    free = not harness_started and end.state is RunState.ERROR
    if not end.retryable or attempt >= (max(attempts, FREE_ATTEMPTS) if free else attempts):
        return None
    wait = timedelta(seconds=delay(attempt, _MIN_DELAY, _MAX_DELAY))
    return max(wait, _RATE_LIMIT_WAIT) if end.reason is Reason.FORGE_RATE_LIMITED else wait


def may_retry_lost(attempt: int, attempts: int) -> bool:
    """Whether a run whose worker died has attempts left."""
    return attempt < max(attempts, LOST_ATTEMPTS)


def may_publish_lost(attempt: int) -> bool:
    """Whether a run whose worker died while it published may go on with that, which needs no harness."""
    return attempt < FREE_ATTEMPTS
