"""Calls again what failed for the moment, and says how long to wait before each call."""

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


def delay(attempt: int, first: float, longest: float, luck: float = 1.0) -> float:
    """Seconds to wait after the attempt of that number, from 1: `first`, then twice as long each time.

    `luck` (0 to 1) shortens that, so that many that failed together do not come back together.
    """
    return float(min(longest, first * 2 ** min(attempt - 1, 64)) * luck)


def chance(least: float) -> float:
    """A number between `least` and 1, as `luck` of `delay`."""
    return random.uniform(least, 1)  # noqa: S311 - to spread load, not to hide anything


def retry(
    call: Callable[[], T],
    on: type[E],
    is_temporary: Callable[[E], bool],
    delays: Sequence[float],
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """The result of `call`. When it raises a temporary error, it is called again after each of `delays`."""
    for seconds in delays:
        try:
            return call()
        except on as error:
            if not is_temporary(error):
                raise
        sleep(seconds)
    return call()
