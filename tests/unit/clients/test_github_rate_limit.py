"""However requests come, no minute and no hour holds more of them than GitHub allows one token."""

import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.parts.patience  # noqa: F401
from runner.clients.github.rate_limit import RateLimiter, RequestKind
from tests.parts.pace import Clock
from tests.parts.patience import examples

COSTS = {"read": 1, "grant": 5, "write": 5, "create": 5}
KINDS: list[RequestKind] = ["read", "grant", "write", "create"]


class Sent:
    """What was sent through a pacer, and when."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pacer = RateLimiter(self.clock, self.clock.sleep)
        self.requests: list[tuple[float, RequestKind]] = []

    def __call__(self, kind: RequestKind, count: int = 1, lasts: float = 0.0) -> float:
        """Send so many; tell how long that took."""
        began = self.clock.now
        for _ in range(count):
            with self.pacer.slot(kind):
                self.requests.append((self.clock.now, kind))
                self.clock.now += lasts
        return self.clock.now - began

    def most(self, span: float, *kinds: RequestKind, points: bool = False) -> int:
        """The most that any `span` of seconds holds."""
        found = [(at, COSTS[kind] if points else 1) for at, kind in self.requests if kind in kinds]
        return max(
            (sum(n for at, n in found if begin <= at < begin + span - 0.01) for begin, _ in found), default=0
        )


@pytest.fixture
def send() -> Iterator[Sent]:
    return Sent()


def test_what_fits_into_the_budget_does_not_wait(send: Sent) -> None:
    assert send("read", 720) == 0


def test_the_last_of_a_minutes_reads_are_spread_over_it(send: Sent) -> None:
    send("read", 720)
    taken = send("read", 130)
    assert 59 < taken <= 60
    gaps = [after - before for (before, _), (after, _) in pairwise(send.requests[720:])]
    assert max(gaps) < 1
    assert send.most(60, "read") <= 850


def test_reads_leave_room_for_writes(send: Sent) -> None:
    send("read", 850)
    assert send("create") <= 1


def test_a_second_is_between_two_writes_whatever_they_take(send: Sent) -> None:
    assert send("write") == 0
    assert send("create") == 1
    send("write", lasts=30)
    ended = send.clock.now
    send("write")
    assert send.requests[-1][0] == ended + 1
    send.clock.sleep(1)
    assert send("write") == 0


def test_content_is_created_80_times_a_minute_and_500_times_an_hour(send: Sent) -> None:
    send("create", 501)
    assert send.most(60, "create") <= 80
    assert send.requests[500][0] - send.requests[0][0] >= 3600
    assert send("write") == 1, "what creates nothing need not wait for that hour"


def test_tokens_are_granted_without_a_pause(send: Sent) -> None:
    assert send("grant", 100) == 0


def test_when_github_wants_to_hear_nothing_nobody_asks(send: Sent) -> None:
    send.pacer.block(100)
    send.pacer.block(5)
    assert send.pacer.seconds_blocked() == 100
    assert send("read") == 100
    assert send.pacer.seconds_blocked() == 0
    assert send("write") == 0


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(1, 100), st.sampled_from([0.0, 0.0, 0.1, 7.0, 59.0])),
        max_size=8,
    )
)
def test_no_minute_holds_more_than_is_allowed(batches: list[tuple[RequestKind, int, float]]) -> None:
    send = Sent()
    for kind, count, pause in batches:
        send(kind, count)
        if pause:
            send.clock.sleep(pause)
    assert send.most(60, *KINDS, points=True) <= 900
    assert send.most(60, "create") <= 80
    writes = [at for at, kind in send.requests if kind in ("write", "create")]
    assert all(after - before >= 0.999 for before, after in pairwise(writes))


def test_threads_write_one_after_the_other() -> None:
    pacer, at_work, together = RateLimiter(sleep=lambda _: None), threading.Lock(), []
    pacer.clock = iter(range(10_000)).__next__

    def write() -> None:
        with pacer.slot("write"):
            together.append(not at_work.acquire(blocking=False))
            if not together[-1]:
                at_work.release()

    threads = [threading.Thread(target=write) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [False] * 20


def test_a_write_that_fails_lets_the_next_one_in(send: Sent) -> None:
    with pytest.raises(OSError), send.pacer.slot("write"):
        raise OSError
    assert send("write") == 1
