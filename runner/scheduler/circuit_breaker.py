"""When a skill has failed so often that a human has to look. Pure."""

from collections.abc import Sequence

from runner.core.model import Run, RunState

_FAILED = frozenset({RunState.FAILED, RunState.ERROR, RunState.TIMED_OUT, RunState.LOST})
_NEITHER = frozenset({RunState.CANCELLED, RunState.SUPERSEDED})  # a human's doing says nothing of the skill


def is_broken(ended: Sequence[Run], most: int) -> bool:
    """Whether the last `most` of the runs that have `ended` have failed; they come newest first.

    What only the surroundings broke counts for nothing: an engine or a forge that was away for an hour should
    not leave behind skills that all wait for a human.
    """
    telling = [run for run in ended if run.state not in _NEITHER and not _by_surroundings(run)]
    return 0 < most <= len(telling) and all(has_failed(run) for run in telling[:most])


def has_failed(run: Run) -> bool:
    """Whether it did not end as its skill should."""
    return run.state in _FAILED


def _by_surroundings(run: Run) -> bool:
    return run.state is RunState.ERROR and run.end is not None and run.end.retryable
