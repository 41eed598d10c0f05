"""A clock on which time passes only while somebody sleeps, and a pacer that keeps to it."""

from runner.clients.github.rate_limit import RateLimiter


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def pacer() -> RateLimiter:
    clock = Clock()
    return RateLimiter(clock, clock.sleep)
