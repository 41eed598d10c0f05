"""A repository that fails waits alone, longer each time, and never for ever."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runner.triggers.sources.github import Backoff

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_at_first_and_after_success_it_may_be_tried() -> None:
    assert Backoff().may_try(NOW)
    assert Backoff().failed(NOW).succeeded().may_try(NOW)


def test_each_failure_doubles_the_wait_up_to_an_hour() -> None:
    state, waits = Backoff(), []
    for _ in range(10):
        state = state.failed(NOW, luck=0)
        assert state.until is not None
        waits.append((state.until - NOW).total_seconds())
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_wait_is_between_half_and_whole(failures: int, luck: float) -> None:
    whole = Backoff(failures=failures).failed(NOW, luck=0).until
    some = Backoff(failures=failures).failed(NOW, luck=luck)
    assert whole is not None
    assert some.until is not None
    assert NOW + (whole - NOW) / 2 <= some.until <= whole
    assert not some.may_try(NOW)
    assert some.may_try(whole)


def test_many_that_fail_together_come_back_apart() -> None:
    assert len({Backoff().failed(NOW).until for _ in range(50)}) > 40


def test_a_clock_that_is_set_back_keeps_nothing_waiting() -> None:
    state = Backoff().failed(NOW)
    assert state.may_try(NOW - 2 * HOUR)
