"""Opens when a skill fails so often that a human has to look at it. Pure."""

from collections.abc import Sequence

from runner.core.model import Run, RunState

_FAILED = frozenset({RunState.FAILED, RunState.ERROR, RunState.TIMED_OUT, RunState.LOST})
_IGNORED = frozenset(
    {RunState.CANCELLED, RunState.SUPERSEDED}
)  # a human ended it: this says nothing about the skill


def is_open(runs: Sequence[Run], threshold: int) -> bool:
    """Whether the last `threshold` of the ended `runs` have failed; `runs` is sorted newest first.

    Outages do not count: an engine or a forge that was unreachable for an hour must not leave every skill
    waiting for a human.
    """
    telling = [run for run in runs if run.state not in _IGNORED and not _is_outage(run)]
    return 0 < threshold <= len(telling) and all(has_failed(run) for run in telling[:threshold])


def has_failed(run: Run) -> bool:
    """Whether the run ended in a state that counts as a failure of its skill."""
    return run.state in _FAILED


def _is_outage(run: Run) -> bool:
    return run.state is RunState.ERROR and run.end is not None and run.end.retryable
