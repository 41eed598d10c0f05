"""AdmissionLimits and rates at their edges, and how far back they look."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from runner.config.worker import WorkerConfig
from runner.core.units import Rate
from runner.scheduler.admission import (
    PRIORITIES,
    AdmissionLimits,
    QueueState,
    RunningRun,
    StartedRun,
    WaitingRun,
    admit,
    limits_of,
    rank,
    waiting_reasons,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def waits(*places: str, priority: int = 5) -> list[WaitingRun]:
    """Runs of a repository and a skill, such as "a x", named by their place in the list."""
    return [
        WaitingRun(
            run_id=str(at),
            repository=place.split()[0],
            skill=place.split()[1],
            priority=priority,
            since=NOW + at * TICK,
        )
        for at, place in enumerate(places)
    ]


def scene(
    waiting: Sequence[WaitingRun], busy: Sequence[str] = (), begun: Sequence[tuple[str, datetime]] = ()
) -> QueueState:
    def split(place: str) -> dict[str, str]:
        return dict(zip(("repository", "skill"), place.split(), strict=True))

    return QueueState(
        waiting=waiting,
        running=[RunningRun(**split(place)) for place in busy],
        starts=[StartedRun(at=at, **split(place)) for place, at in begun],
        now=NOW,
    )


@pytest.mark.parametrize(
    ("bounds", "memory"),
    [
        (AdmissionLimits(), None),
        (AdmissionLimits(total=1, repository=1, skill=1), None),
        (AdmissionLimits(total_rate=Rate(1, MINUTE)), timedelta(minutes=1)),
        (AdmissionLimits(repository_rate=Rate(9, HOUR)), timedelta(hours=1)),
        (AdmissionLimits(skill_rate=Rate(1, DAY)), timedelta(days=1)),
        (
            AdmissionLimits(
                total_rate=Rate(1, MINUTE), repository_rate=Rate(1, DAY), skill_rate=Rate(1, HOUR)
            ),
            timedelta(days=1),
        ),
    ],
)
def test_how_far_back_it_matters_what_began(bounds: AdmissionLimits, memory: timedelta | None) -> None:
    assert bounds.rate_window == memory


def test_bounds_are_those_of_the_configuration() -> None:
    assert limits_of(WorkerConfig()) == AdmissionLimits(total=None, repository=None, skill=1)
    worker = WorkerConfig.model_validate(
        {
            "concurrency": {"total": 7, "repository": 5, "skill": 3},
            "rate": {"total": "9/min", "repository": "8/h", "skill": "6/d"},
        }
    )
    assert limits_of(worker) == AdmissionLimits(
        total=7,
        repository=5,
        skill=3,
        total_rate=Rate(9, MINUTE),
        repository_rate=Rate(8, HOUR),
        skill_rate=Rate(6, DAY),
    )


def test_what_urgency_means() -> None:
    assert PRIORITIES == {"high": 3, "normal": 5, "low": 7}
    assert rank(NOW, 0) == NOW
    assert rank(NOW, 7) - rank(NOW, 5) == timedelta(hours=2)
    first, second = waits("a x", "b x")
    later = WaitingRun(
        run_id="9", repository="c", skill="x", priority=4, since=NOW + timedelta(hours=1) - TICK
    )
    equal = WaitingRun(run_id="00", repository="d", skill="x", priority=5, since=NOW)
    assert admit(scene([second, first, later, equal]), 9, AdmissionLimits()) == ["9", "0", "00", "1"]


@pytest.mark.parametrize(("room", "chosen"), [(0, []), (1, ["0"]), (2, ["0", "1"]), (3, ["0", "1", "2"])])
def test_as_many_as_there_is_room_for(room: int, chosen: list[str]) -> None:
    assert admit(scene(waits("a x", "b x", "c x")), room, AdmissionLimits()) == chosen


PLACES = ("a x", "a x", "a y", "b x")


@pytest.mark.parametrize(
    ("bounds", "busy", "chosen"),
    [
        (AdmissionLimits(skill=None), (), "0123"),
        (AdmissionLimits(), (), "023"),
        (AdmissionLimits(skill=2), (), "0123"),
        (AdmissionLimits(skill=2), ("a x",), "023"),
        (AdmissionLimits(skill=2), ("a x", "a x"), "23"),
        (AdmissionLimits(skill=0), (), ""),
        (AdmissionLimits(skill=None, repository=1), (), "03"),
        (AdmissionLimits(skill=None, repository=2), (), "013"),
        (AdmissionLimits(skill=None, repository=2), ("a z",), "03"),
        (AdmissionLimits(skill=None, repository=2), ("b z", "b z"), "01"),
        (AdmissionLimits(skill=None, total=2), (), "01"),
        (AdmissionLimits(skill=None, total=2), ("c z",), "0"),
        (AdmissionLimits(skill=None, total=2), ("c z", "c z"), ""),
        (AdmissionLimits(skill=None, total=0), (), ""),
        (AdmissionLimits(skill=1, repository=2, total=2), (), "02"),
    ],
)
def test_how_many_at_a_time(bounds: AdmissionLimits, busy: Sequence[str], chosen: str) -> None:
    assert "".join(admit(scene(waits(*PLACES), busy), 9, bounds)) == chosen
    left = [str(at) for at in range(4) if str(at) not in chosen]
    assert list(waiting_reasons(scene(waits(*PLACES), busy), bounds)) == left, (
        "each of the others is told why"
    )


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({"skill_rate": Rate(1, HOUR)}, "023"),
        ({"skill_rate": Rate(2, HOUR)}, "0123"),
        ({"repository_rate": Rate(1, HOUR)}, "03"),
        ({"repository_rate": Rate(2, HOUR)}, "013"),
        ({"total_rate": Rate(1, HOUR)}, "0"),
        ({"total_rate": Rate(3, HOUR)}, "012"),
        ({"skill_rate": Rate(1, HOUR), "repository_rate": Rate(2, HOUR), "total_rate": Rate(2, HOUR)}, "02"),
    ],
)
def test_how_many_in_a_stretch_of_time(rates: dict[str, Rate], chosen: str) -> None:
    bounds = AdmissionLimits(skill=None, **rates)  # type: ignore[arg-type]
    assert "".join(admit(scene(waits(*PLACES)), 9, bounds)) == chosen


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (timedelta(0), True),
        (timedelta(hours=1) - TICK, True),
        (timedelta(hours=1), False),
        (timedelta(hours=2), False),
        (-TICK, True),
        (-timedelta(hours=1) + TICK, True),
        (-timedelta(hours=1), False),
        (-timedelta(hours=2), False),
    ],
)
@pytest.mark.parametrize("which", ["skill_rate", "repository_rate", "total_rate"])
def test_a_stretch_is_open_at_both_ends(which: str, ago: timedelta, counts: bool) -> None:
    bounds = AdmissionLimits(skill=None, **{which: Rate(1, HOUR)})  # type: ignore[arg-type]
    found = scene(waits("a x"), begun=[("a x", NOW - ago)])
    assert admit(found, 9, bounds) == ([] if counts else ["0"])
    elsewhere = scene(waits("a x"), begun=[("b z", NOW - ago)])
    assert admit(elsewhere, 9, bounds) == ([] if counts and which == "total_rate" else ["0"])


@pytest.mark.parametrize(
    ("bounds", "busy", "begun", "said"),
    [
        (AdmissionLimits(), ["a x"], [], "1 runs of a x go on, and 1 may at a time"),
        (AdmissionLimits(repository=2), ["a y", "a z"], [], "2 runs of a go on, and 2 may at a time"),
        (AdmissionLimits(total=2), ["b y", "c z", "c z"], [], "3 runs go on, and 2 may at a time"),
        (
            AdmissionLimits(skill_rate=Rate(1, HOUR)),
            [],
            [("a x", 30)],
            "1 runs of a x have begun, 1/h may: the next at 12:30",
        ),
        (
            AdmissionLimits(repository_rate=Rate(2, HOUR)),
            [],
            [("a y", 50), ("a z", 20)],
            "2 runs of a have begun, 2/h may: the next at 12:10",
        ),
        (
            AdmissionLimits(total_rate=Rate(2, HOUR)),
            [],
            [("b y", 20), ("c y", 50), ("c y", 90)],
            "2 runs have begun, 2/h may: the next at 12:10",
        ),
        (
            AdmissionLimits(total_rate=Rate(1, HOUR)),
            [],
            [("b y", 20), ("c y", 50)],
            "2 runs have begun, 1/h may: the next at 12:40",
        ),
    ],
)
def test_each_reason_to_wait_in_words(
    bounds: AdmissionLimits, busy: list[str], begun: list[tuple[str, int]], said: str
) -> None:
    began = [(place, NOW - timedelta(minutes=ago)) for place, ago in begun]
    found = waiting_reasons(scene(waits("a x"), busy, began), bounds)["0"]
    assert found.replace("2026-11-21 ", "").replace(":00 UTC", "") == said


def test_who_only_waits_its_turn_is_not_held_up() -> None:
    assert waiting_reasons(scene(waits("a x", "b y")), AdmissionLimits(total=2)) == {}
    assert list(waiting_reasons(scene(waits("a x", "a x", "b y")), AdmissionLimits(total=2))) == ["1"]
    assert list(waiting_reasons(scene(waits("a x", "b y", "c z")), AdmissionLimits(total=2))) == ["2"]
