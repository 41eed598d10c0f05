"""Which runs begin: never more than there may be, never fewer than could, the most urgent first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runner.core.units import Rate
from runner.scheduler.admission import (
    PRIORITIES,
    AdmissionLimits,
    QueueState,
    RunningRun,
    StartedRun,
    WaitingRun,
    rank,
    waiting_reasons,
)
from runner.scheduler.admission import admit as admit_from

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLACES = [(repository, skill) for repository in "ab" for skill in "xyz"]

bound = st.none() | st.integers(1, 4)
all_bounds = st.builds(AdmissionLimits, total=bound, repository=bound, skill=bound)
running = st.lists(st.sampled_from(PLACES), max_size=8)
places = st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 3), st.integers(0, 5)), max_size=20)


def queue(some: Sequence[tuple[tuple[str, str], int, int]]) -> list[WaitingRun]:
    return [
        WaitingRun(
            run_id=f"run-{at}",
            repository=repository,
            skill=skill,
            priority=priority,
            since=NOW + timedelta(seconds=since),
        )
        for at, ((repository, skill), priority, since) in enumerate(some)
    ]


def admit(
    waiting: Sequence[WaitingRun], busy: Sequence[RunningRun], room: int, bounds: AdmissionLimits
) -> list[str]:
    return admit_from(QueueState(waiting=waiting, running=busy, starts=(), now=NOW), room, bounds)


def carried_out(some: Sequence[tuple[str, str]]) -> list[RunningRun]:
    return [RunningRun(repository=repository, skill=skill) for repository, skill in some]


def urgency(one: WaitingRun) -> tuple[datetime, str]:
    return rank(one.since, one.priority), one.run_id


def is_full(
    taken: Sequence[tuple[str, str]], one: WaitingRun, room: int, busy: int, bounds: AdmissionLimits
) -> str:
    """What keeps one more from beginning, next to `taken`; of them the first `busy` are not ours."""
    counts = {
        "room": (len(taken) - busy, room),
        "total": (len(taken), bounds.total),
        "repository": (sum(place[0] == one.repository for place in taken), bounds.repository),
        "skill": (taken.count((one.repository, one.skill)), bounds.skill),
    }
    return next((what for what, (now, most) in counts.items() if most is not None and now >= most), "")


@given(places, running, st.integers(0, 9), all_bounds)
def test_as_many_begin_as_may_and_no_more(
    some: list[tuple[tuple[str, str], int, int]],
    busy: list[tuple[str, str]],
    room: int,
    bounds: AdmissionLimits,
) -> None:
    waiting = queue(some)
    chosen = admit(waiting, carried_out(busy), room, bounds)
    by_id = {one.run_id: one for one in waiting}
    assert Counter(chosen) <= Counter(by_id.keys())
    taken = list(busy)
    for run_id in chosen:
        assert not is_full(taken, by_id[run_id], room, len(busy), bounds)
        taken.append((by_id[run_id].repository, by_id[run_id].skill))
    left_out = [one for one in waiting if one.run_id not in chosen]
    assert all(is_full(taken, one, room, len(busy), bounds) for one in left_out)
    assert [by_id[run_id] for run_id in chosen] == sorted((by_id[run_id] for run_id in chosen), key=urgency)


@given(places, running, st.integers(0, 9), all_bounds)
def test_nobody_is_passed_over_for_one_less_urgent(
    some: list[tuple[tuple[str, str], int, int]],
    busy: list[tuple[str, str]],
    room: int,
    bounds: AdmissionLimits,
) -> None:
    """Who is left out found its place full with what is more urgent than itself."""
    waiting = queue(some)
    chosen = set(admit(waiting, carried_out(busy), room, bounds))
    for one in waiting:
        if one.run_id not in chosen:
            before = [other for other in waiting if other.run_id in chosen and urgency(other) < urgency(one)]
            taken = [*busy, *((other.repository, other.skill) for other in before)]
            assert is_full(taken, one, room, len(busy), bounds)


def test_one_that_has_to_wait_holds_up_nobody_else() -> None:
    waiting = queue([(("a", "x"), 0, 0), (("a", "y"), 5, 1), (("b", "x"), 9, 2)])
    assert admit(waiting, carried_out([("a", "x")]), 9, AdmissionLimits()) == ["run-1", "run-2"]
    assert admit(waiting, carried_out([("a", "x")]), 9, AdmissionLimits(repository=1)) == ["run-2"]
    assert admit(waiting, [], 1, AdmissionLimits()) == ["run-0"]
    assert admit(waiting, carried_out([("b", "z")] * 3), 9, AdmissionLimits(total=2)) == []


def order(some: Sequence[tuple[str, timedelta]]) -> list[str]:
    """In which order runs of these priorities begin, that came at these times."""
    waiting = [
        WaitingRun(
            run_id=f"{name} {came}", repository="a", skill=name, priority=PRIORITIES[name], since=NOW + came
        )
        for name, came in some
    ]
    return [run_id.split()[0] for run_id in admit(waiting, [], 9, AdmissionLimits(skill=None))]


def test_the_urgent_go_first_and_nobody_waits_for_ever() -> None:
    at_once, hour = timedelta(), timedelta(hours=1)
    assert order([("low", at_once), ("normal", at_once), ("high", at_once)]) == ["high", "normal", "low"]
    assert order([("low", at_once), ("normal", 1.9 * hour), ("high", 3.9 * hour)]) == [
        "high",
        "normal",
        "low",
    ]
    assert order([("low", at_once), ("normal", 2.1 * hour), ("high", 4.2 * hour)]) == [
        "low",
        "normal",
        "high",
    ]


# --- rates ------------------------------------------------------------------------------------------

HOUR, DAY = 3_600, 86_400
MINUTE = timedelta(minutes=1)


def began(*ago: float, place: tuple[str, str] = ("a", "x")) -> list[StartedRun]:
    return [StartedRun(repository=place[0], skill=place[1], at=NOW - one * MINUTE) for one in ago]


def scene(begun: Sequence[StartedRun], *some: tuple[str, str], now: datetime = NOW) -> QueueState:
    return QueueState(waiting=queue([(place, 5, 0) for place in some]), running=(), starts=begun, now=now)


def test_a_window_slides_and_the_next_begins_when_the_oldest_leaves_it() -> None:
    bounds = AdmissionLimits(skill=None, skill_rate=Rate(2, HOUR))
    waits = scene(began(50, 10), ("a", "x"), ("a", "y"))
    assert admit_from(waits, 9, bounds) == ["run-1"]
    why = "2 runs of a x have begun, 2/h may: the next at 2026-11-21 12:10:00 UTC"
    assert waiting_reasons(waits, bounds) == {"run-0": why}
    assert admit_from(scene(began(60, 10), ("a", "x"), ("a", "x")), 9, bounds) == ["run-0"]


def test_what_begins_now_counts_at_once() -> None:
    some = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "x")]
    assert admit_from(scene((), *some), 9, AdmissionLimits(total_rate=Rate(1, 60))) == ["run-0"]
    assert admit_from(scene((), *some), 9, AdmissionLimits(repository_rate=Rate(1, DAY))) == [
        "run-0",
        "run-2",
    ]
    assert admit_from(scene((), *some), 9, AdmissionLimits(skill=None, skill_rate=Rate(1, HOUR))) == [
        "run-0",
        "run-1",
        "run-2",
    ]
    assert admit_from(scene(began(5, 4)), 9, AdmissionLimits(total_rate=Rate(1, 60))) == []


def test_a_clock_that_was_far_wrong_holds_nothing_up() -> None:
    bounds = AdmissionLimits(skill_rate=Rate(1, HOUR))
    assert admit_from(scene(began(-1), ("a", "x")), 9, bounds) == []
    assert admit_from(scene(began(-60 * 24 * 365), ("a", "x")), 9, bounds) == ["run-0"]


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 5))
def test_no_window_ever_holds_more_than_it_may(comes: list[int], most: int) -> None:
    """Runs come at these minutes, and as many as may begin each minute."""
    bounds, begun, waits = (
        AdmissionLimits(skill=None, total_rate=Rate(most, HOUR)),
        list[StartedRun](),
        list[WaitingRun](),
    )
    for minute in range(1_000):
        now = NOW + minute * MINUTE
        waits += queue([(("a", "x"), 5, 0)] * comes.count(minute))
        waits = [replace(one, run_id=str(at), since=now) for at, one in enumerate(waits)]
        chosen = admit_from(QueueState(waiting=waits, running=(), starts=begun, now=now), 9, bounds)
        begun += [StartedRun(repository="a", skill="x", at=now)] * len(chosen)
        waits = waits[len(chosen) :]
    starts = [(one.at - NOW) // MINUTE for one in begun]
    assert all(sum(at - 60 < other <= at for other in starts) <= most for at in starts)
    assert len(starts) + len(waits) == len(comes)


def test_words_say_why_a_run_waits() -> None:
    waits = QueueState(
        waiting=queue([(("a", "x"), 5, 0), (("b", "y"), 5, 0), (("b", "z"), 5, 0)]),
        running=carried_out([("a", "x")]),
        starts=(),
        now=NOW,
    )
    assert waiting_reasons(waits, AdmissionLimits()) == {"run-0": "1 runs of a x go on, and 1 may at a time"}
    assert waiting_reasons(waits, AdmissionLimits(total=2))["run-2"] == "2 runs go on, and 2 may at a time"
