"""When a run is tried again, and when a skill has failed so often that a human has to look."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from runner.core.errors import RunnerError
from runner.core.model import End, Phase, Reason, Run, RunState
from runner.scheduler.circuit_breaker import is_open
from runner.scheduler.retry import FREE_ATTEMPTS, may_publish_lost, may_retry_lost, retry_delay
from tests.parts.racer import run


def end(phase: Phase, reason: Reason, retryable: bool = True) -> End:
    return RunnerError(phase, reason, "m", retryable=retryable).end


PROVIDER = end(Phase.HARNESS, Reason.PROVIDER_ERROR)
FORGE = end(Phase.PUBLISH, Reason.FORGE_UNAVAILABLE)
ENGINE = end(Phase.SANDBOX, Reason.ENGINE_UNAVAILABLE)
LIMITED = end(Phase.PUBLISH, Reason.FORGE_RATE_LIMITED)
SECONDS = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ended", "attempt", "attempts", "wait"),
    [
        (PROVIDER, 1, 1, None),
        (PROVIDER, 1, 3, 30),
        (PROVIDER, 2, 3, 60),
        (PROVIDER, 3, 3, None),
        (PROVIDER, 9, 10, 1800),
        (LIMITED, 1, 2, 60),
        (LIMITED, 2, 3, 60),
        (LIMITED, 3, 4, 120),
        (FORGE, 1, 1, None),
        (end(Phase.HARNESS, Reason.ENGINE_FAILED), 1, 1, None),
        (end(Phase.HARNESS, Reason.HARNESS_FAILED, retryable=False), 1, 3, None),
        (end(Phase.PLAN, Reason.CANCELLED, retryable=False), 1, 3, None),
        (end(Phase.SANDBOX, Reason.IMAGE_NOT_FOUND, retryable=False), 1, 3, None),
    ],
)
def test_only_what_may_help_is_tried_again_and_later_each_time(
    ended: End, attempt: int, attempts: int, wait: int | None
) -> None:
    assert retry_delay(ended, attempt, attempts) == (None if wait is None else wait * SECONDS)


@pytest.mark.parametrize(
    ("ended", "attempt", "wait"),
    [
        (ENGINE, 1, 30),
        (ENGINE, FREE_ATTEMPTS - 1, 240),
        (ENGINE, FREE_ATTEMPTS, None),
        (FORGE, 1, 30),
        (end(Phase.PLAN, Reason.SECRET_MISSING, retryable=False), 1, None),
        (end(Phase.SETUP, Reason.SETUP_FAILED), 1, None),
    ],
)
def test_what_breaks_before_the_harness_begins_costs_no_attempt(
    ended: End, attempt: int, wait: int | None
) -> None:
    assert retry_delay(ended, attempt, 1, harness_started=False) == (None if wait is None else wait * SECONDS)


def test_a_run_takes_no_third_worker_with_it() -> None:
    assert may_retry_lost(1, 1)
    assert not may_retry_lost(2, 1)
    assert may_retry_lost(2, 3)


def ended(*states: RunState | End) -> Sequence[Run]:
    """Newest first."""
    ends = [one if isinstance(one, End) else End(state=one, phase=Phase.HARNESS) for one in states]
    return [run(f"run-{at}", state=one.state, end=one) for at, one in enumerate(ends)]


FAILED, LOST, CANCELLED, GOOD = RunState.FAILED, RunState.LOST, RunState.CANCELLED, RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("states", "broken"),
    [
        ((), False),
        ((FAILED, FAILED), False),
        ((FAILED, RunState.TIMED_OUT, LOST), True),
        ((FAILED, FAILED, GOOD, FAILED), False),
        ((FAILED, FAILED, FAILED, GOOD), True),
        ((FAILED, RunState.NOTHING_TO_DO, FAILED, FAILED), False),
        ((FAILED, CANCELLED, FAILED, RunState.SUPERSEDED, FAILED), True),
        ((FAILED, ENGINE, FAILED, FORGE, FAILED), True),
        ((ENGINE, ENGINE, ENGINE, ENGINE), False),
        ((end(Phase.PLAN, Reason.INVALID_CONFIG, retryable=False),) * 3, True),
        ((PROVIDER,) * 3, True),
    ],
)
def test_a_circuit_breaks_after_so_many_failures_in_a_row(
    states: tuple[RunState | End], broken: bool
) -> None:
    assert is_open(ended(*states), 3) is broken


def test_zero_failures_break_no_circuit() -> None:
    assert not is_open(ended(FAILED, FAILED), 0)
    assert not is_open((), 0)


@pytest.mark.parametrize(
    "reason", [Reason.HARNESS_MISSING, Reason.IMAGE_BUILD_FAILED, Reason.IMAGE_NOT_FOUND]
)
def test_a_registry_that_is_away_is_asked_again_and_breaks_no_circuit(reason: Reason) -> None:
    away = end(Phase.SANDBOX, reason)
    assert away.state is RunState.ERROR
    assert retry_delay(away, 1, 1, harness_started=False) == 30 * SECONDS
    assert not is_open(ended(away, away, away), 3)
    wrong = end(Phase.SANDBOX, reason, retryable=False)
    assert retry_delay(wrong, 1, 1, harness_started=False) is None
    assert is_open(ended(wrong, wrong, wrong), 3)


def test_what_only_has_to_be_published_goes_on_for_some_attempts() -> None:
    """And not for ever: it may be what kills its worker."""
    assert [may_publish_lost(attempt) for attempt in (1, FREE_ATTEMPTS - 1, FREE_ATTEMPTS)] == [
        True,
        True,
        False,
    ]
