"""A worker knows that it is taken for dead before anybody takes over, by clocks that nobody can set."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.apps.worker.lease import HeartbeatMonitor, Lease, uptime
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.store import Store
from runner.store.workers import WorkerStore
from tests.parts.racer import NOW, worker


@dataclass
class Clock:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Said:
    """A store whose workers' words are kept, or lost."""

    beats: int = 0
    away: bool = False
    buried: bool = False
    slow: Callable[[], None] = field(default=lambda: None)

    def renew(self, *_: object) -> bool:
        self.slow()
        if self.away:
            raise RunnerError(Phase.STORE, Reason.STORE_FAILED, "away", retryable=True)
        self.beats += not self.buried
        return not self.buried


def lease(clock: Clock, said: Said, shared: bool = True) -> Lease:
    return Lease(said, "w", 30.0, lambda: NOW, shared, clock=clock)  # type: ignore[arg-type]


def lost(held: Lease) -> bool:
    if held.is_held():
        return False
    with pytest.raises(RunnerError) as caught:
        held.check()
    return caught.value.reason is Reason.WORKER_LOST


def test_a_lease_holds_for_as_long_as_we_speak() -> None:
    clock, said = Clock(), Said()
    held = lease(clock, said)
    for _ in range(10):
        clock.at += 29
        assert held.is_held()
        held.renew()
    clock.at += 31
    assert lost(held)


def test_a_word_counts_from_when_it_was_begun() -> None:
    """It may take long until it is heard, and others may have heard it at once."""
    clock = Clock()

    def slowly() -> None:
        clock.at += 20

    held = lease(clock, Said(slow=slowly))
    held.renew()
    clock.at += 9
    assert held.is_held()
    clock.at += 2
    assert lost(held)


def test_a_database_that_is_away_for_a_moment_costs_nothing() -> None:
    clock, said = Clock(), Said(away=True)
    held = lease(clock, said)
    clock.at += 29
    with pytest.raises(RunnerError):
        held.renew()
    assert held.is_held()
    said.away = False
    held.renew()
    clock.at += 29
    assert held.is_held()


def test_who_was_buried_hears_of_it() -> None:
    held = lease(Clock(), Said(buried=True))
    held.renew()
    assert lost(held)


def test_where_a_file_is_the_database_nobody_takes_over_for_silence() -> None:
    clock = Clock()
    held = lease(clock, Said(), shared=False)
    clock.at += 10_000
    assert held.is_held()


def test_a_lease_is_kept_in_a_thread(tmp_path: Path) -> None:
    store = Store(tmp_path)
    WorkerStore(store).register(worker("w"))
    held = Lease(WorkerStore(store), "w", 0.3, lambda: NOW)
    heard: list[int] = []
    with held.renewal_thread(lambda _: heard.append(1), lambda error, _: pytest.fail(error.message)):
        until = time.monotonic() + 30
        while len(heard) < 5 and time.monotonic() < until:
            time.sleep(0.01)
    assert WorkerStore(store).list_living()[0].beats >= 5
    store.close()


def test_the_clock_goes_on() -> None:
    assert uptime() <= uptime()


# --- who is silent ----------------------------------------------------------------------------------


def silent(vigil: HeartbeatMonitor, now: float, **said: int) -> list[str]:
    living = [worker(name, beats=number) for name, number in said.items()]
    return [one.id for one in vigil.find_expired(living, now)]


def test_who_says_nothing_is_dead_after_its_silence() -> None:
    vigil = HeartbeatMonitor()
    for now in range(0, 35, 5):
        assert silent(vigil, now, a=now, b=1) == []
    assert silent(vigil, 35, a=35, b=1) == ["b"]
    assert silent(vigil, 36, a=35) == []


def test_what_could_not_be_heard_is_no_silence() -> None:
    """The database was away, or this process was stopped: everybody gets a whole silence again."""
    vigil = HeartbeatMonitor()
    assert silent(vigil, 0, a=1) == []
    assert silent(vigil, 500, a=1) == []
    for now in range(505, 535, 5):
        assert silent(vigil, now, a=1) == []
    assert silent(vigil, 535, a=1) == ["a"]


def test_a_heartbeat_that_is_not_sent_is_no_answer_of_the_database() -> None:
    """The heartbeat's thread may be the first to see that the lease has ended."""
    clock, told = Clock(), list[str]()
    held = Lease(Said(away=True), "w", 0.06, lambda: NOW, clock=clock)  # type: ignore[arg-type]

    def fail(error: RunnerError, began: float) -> None:
        assert began == clock.at
        told.append(error.message)
        clock.at += 1

    with held.renewal_thread(lambda began: told.append(f"answered {began}"), fail):
        until = time.monotonic() + 30
        while not held.is_lost and time.monotonic() < until:
            time.sleep(0.001)
    assert (told, held.is_held()) == (["away"], False)


def test_each_worker_has_its_own_silence() -> None:
    vigil = HeartbeatMonitor()
    some = [worker("quick", silence=6.0), worker("slow", silence=60.0)]
    dead = [[one.id for one in vigil.find_expired(some, now)] for now in range(9)]
    assert dead == [[]] * 7 + [["quick"]] * 2


@given(st.lists(st.tuples(st.floats(0.1, 12.0), st.booleans()), max_size=60))
def test_nobody_is_found_dead_before_its_own_lease_has_ended(steps: list[tuple[float, bool]]) -> None:
    """Whoever speaks and whoever listens, and however long either is stopped."""
    clock, said, vigil = Clock(0.0), Said(), HeartbeatMonitor()
    held = lease(clock, said)
    for seconds, speaks in steps:
        clock.at += seconds
        if speaks:
            held.renew()
        elif silent(vigil, clock.at, w=said.beats):
            assert lost(held)
            return
