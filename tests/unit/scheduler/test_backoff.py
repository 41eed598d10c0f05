"""What fails waits longer each time, and never for ever."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.scheduler.backoff import Backoff, Backoffs

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def waits(usual: timedelta, luck: float, count: int) -> list[float]:
    state, found = Backoff(), []
    for _ in range(count):
        state = state.after_failure(NOW, usual, luck)
        assert state.next_try == NOW + state.wait
        found.append(state.wait.total_seconds())
    return found


def test_each_failure_doubles_the_wait_up_to_an_hour() -> None:
    assert waits(MINUTE, 1, 8) == [120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_luck_shortens_it_by_up_to_a_half_and_not_below_the_usual_time() -> None:
    assert waits(MINUTE, 0.5, 7) == [60, 120, 240, 480, 960, 1800, 1800]
    assert waits(2 * HOUR, 0.5, 2) == [7200, 7200]
    assert waits(2 * HOUR, 1, 2) == [7200, 7200]


@given(st.integers(0, 10_000), st.floats(0.5, 1), st.integers(1, 100_000))
def test_the_wait_is_between_half_and_whole(failures: int, luck: float, seconds: int) -> None:
    usual = timedelta(seconds=seconds)
    whole = Backoff(failures=failures).after_failure(NOW, usual, 1).wait
    some = Backoff(failures=failures).after_failure(NOW, usual, luck)
    assert whole <= max(HOUR, usual)
    assert max(usual, whole / 2) <= some.wait <= whole
    assert not some.may_try(NOW + some.wait - timedelta(seconds=0.5))
    assert some.may_try(NOW + some.wait)


def test_many_that_fail_together_come_back_apart() -> None:
    assert len({Backoff().after_failure(NOW, MINUTE).wait for _ in range(50)}) > 40


@pytest.mark.parametrize("usual", [MINUTE, 5 * HOUR])
def test_a_clock_that_is_set_back_keeps_nothing_waiting(usual: timedelta) -> None:
    state = Backoff().after_failure(NOW, usual)
    assert not state.may_try(NOW)
    assert state.may_try(NOW - HOUR / 2)


def test_each_subject_waits_alone_until_it_works() -> None:
    some = Backoffs(MINUTE)
    some.add_failure("a", NOW)
    some.add_failure("a", NOW + 2 * MINUTE)
    some.add_failure("b", NOW + 2 * MINUTE)
    assert [some.may_try(one, NOW + 2 * MINUTE) for one in "abc"] == [False, False, True]
    assert some.retries(NOW + 2 * MINUTE) == []
    assert some.retries(NOW + 4 * MINUTE) == ["b"]
    assert some.retries(NOW + 6 * MINUTE) == ["a", "b"]
    assert some.next_try("c") is None
    assert (some.reset("a"), some.reset("a"), some.next_try("a")) == (True, False, None)
    some.keep_only(["a"])
    assert some.may_try("b", NOW + 2 * MINUTE)
