"""When to ask a repository again that failed. Pure."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

_FIRST = timedelta(seconds=30)
_LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often in a row something failed, and when it may be tried again."""

    failures: int = 0
    until: datetime | None = None  # None: at once

    def failed(self, now: datetime, luck: float | None = None) -> "Backoff":
        """Twice as long each time, up to an hour. `luck` (0 to 1) shortens it by up to a half, so that many
        that failed together do not come back together."""
        drawn = random.random() if luck is None else luck  # noqa: S311 - to spread load, not to hide anything
        whole = min(_LONGEST, _FIRST * 2 ** min(self.failures, 16))
        return Backoff(failures=self.failures + 1, until=now + whole * (1 - drawn / 2))

    def succeeded(self) -> "Backoff":
        return Backoff()

    def may_try(self, now: datetime) -> bool:
        """A clock that was set back by more than the longest wait does not make the wait longer."""
        return self.until is None or now >= self.until or self.until - now > _LONGEST
