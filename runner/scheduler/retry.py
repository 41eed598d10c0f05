"""Whether a run is tried again, and when. Pure."""

from datetime import timedelta

from runner.core.model import End, Reason, RunState

FREE = 5
"""Attempts that a run has where its surroundings broke before its harness had begun: they cost nothing."""

LOST = 2
"""Attempts that a run has at least where it is tried again after the death of its worker; not for ever, for
it may have been what killed the worker."""

_FIRST, _LONGEST = timedelta(seconds=30), timedelta(minutes=30)
_ASKED_TO_WAIT = timedelta(minutes=1)  # GitHub's rule where it sets no time itself


def retry_delay(end: End, attempt: int, attempts: int, begun: bool = True) -> timedelta | None:
    """How long a run waits for its next attempt; None: it has ended.

    `attempts` is what the skill allows, `begun` tells whether the harness had begun.
    """
    free = not begun and end.state is RunState.ERROR
    if not end.retryable or attempt >= (max(attempts, FREE) if free else attempts):
        return None
    wait: timedelta = min(_FIRST * 2 ** (attempt - 1), _LONGEST)
    return max(wait, _ASKED_TO_WAIT) if end.reason is Reason.FORGE_RATE_LIMITED else wait


def may_retry_lost(attempt: int, attempts: int) -> bool:
    """Whether a run whose worker died may be tried again."""
    return attempt < max(attempts, LOST)
