"""Which runs begin: never more than there may be, never fewer than could, the most urgent first."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runner.admission import Bounds, Busy, Waiting, admit

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLACES = [(repository, skill) for repository in "ab" for skill in "xyz"]

bound = st.none() | st.integers(1, 4)
all_bounds = st.builds(Bounds, total=bound, repository=bound, skill=bound)
running = st.lists(st.sampled_from(PLACES), max_size=8)
places = st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 3), st.integers(0, 5)), max_size=20)


def queue(some: Sequence[tuple[tuple[str, str], int, int]]) -> list[Waiting]:
    return [
        Waiting(
            run_id=f"run-{at}",
            repository=repository,
            skill=skill,
            priority=priority,
            since=NOW + timedelta(seconds=since),
        )
        for at, ((repository, skill), priority, since) in enumerate(some)
    ]


def carried_out(some: Sequence[tuple[str, str]]) -> list[Busy]:
    return [Busy(repository=repository, skill=skill) for repository, skill in some]


def urgency(one: Waiting) -> tuple[int, datetime, str]:
    return one.priority, one.since, one.run_id


def is_full(taken: Sequence[tuple[str, str]], one: Waiting, room: int, busy: int, bounds: Bounds) -> str:
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
    some: list[tuple[tuple[str, str], int, int]], busy: list[tuple[str, str]], room: int, bounds: Bounds
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
    some: list[tuple[tuple[str, str], int, int]], busy: list[tuple[str, str]], room: int, bounds: Bounds
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
    assert admit(waiting, carried_out([("a", "x")]), 9, Bounds()) == ["run-1", "run-2"]
    assert admit(waiting, carried_out([("a", "x")]), 9, Bounds(repository=1)) == ["run-2"]
    assert admit(waiting, [], 1, Bounds()) == ["run-0"]
    assert admit(waiting, carried_out([("b", "z")] * 3), 9, Bounds(total=2)) == []
