"""When to try again what failed. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runner.core.retrying import chance, delay

MAX_DELAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often in a row something failed, and when it is tried again."""

    failures: int = 0
    wait: timedelta = timedelta()
    next_try: datetime | None = None  # None: at once

    def after_failure(self, now: datetime, usual: timedelta, luck: float | None = None) -> "Backoff":
        """Wait twice the usual time, and twice as long after each further failure, up to an hour.

        `luck`, from a half to 1, shortens that, so that many that failed together do not come back together.
        Nothing is tried earlier than usual.
        """
        seconds = delay(
            self.failures + 2,
            usual.total_seconds(),
            MAX_DELAY.total_seconds(),
            chance(0.5) if luck is None else luck,
        )
        wait = max(usual, timedelta(seconds=seconds))
        return Backoff(failures=self.failures + 1, wait=wait, next_try=now + wait)

    def may_try(self, now: datetime) -> bool:
        """Whether the wait is over. A clock that is set back does not make it longer."""
        return self.next_try is None or now >= self.next_try or self.next_try - now > self.wait


@dataclass(slots=True)
class Backoffs:
    """What fails at present, by subject; of what does not, nothing is kept."""

    usual: timedelta  # between two tries of what works
    _failing: dict[str, Backoff] = field(default_factory=dict)

    def add_failure(self, subject: str, now: datetime) -> None:
        self._failing[subject] = self._failing.get(subject, Backoff()).after_failure(now, self.usual)

    def reset(self, subject: str) -> bool:
        """Forget the failures of a subject; tell whether there were any."""
        return self._failing.pop(subject, None) is not None

    def keep_only(self, subjects: Collection[str]) -> None:
        for gone in set(self._failing) - set(subjects):
            self.reset(gone)

    def may_try(self, subject: str, now: datetime) -> bool:
        return self._failing.get(subject, Backoff()).may_try(now)

    def next_try(self, subject: str) -> datetime | None:
        """When the subject is tried again; None where it does not fail."""
        return self._failing.get(subject, Backoff()).next_try

    def retries(self, now: datetime) -> list[str]:
        """The subjects that failed and whose wait is over."""
        return [subject for subject, one in list(self._failing.items()) if one.may_try(now)]
