"""Logs each error of a worker's loop once, and lets the loop go on."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock

from runner.apps.worker.lease import uptime
from runner.core.errors import RunnerError
from runner.core.model import Reason

log = logging.getLogger("skillrunner.worker")

_NUMBERS = re.compile(r"\d+")  # sizes, times and counts, which are others each time and say nothing new

OUTAGE = "database"
"""The subject of a database that does not answer."""


def is_outage(error: RunnerError) -> bool:
    """Whether the database did not answer, which passes by itself: it is waited for."""
    return error.reason is Reason.STORE_FAILED and error.retryable


@dataclass(slots=True)
class ErrorLog:
    """The present errors, by subject. Any thread may write to it.

    A call to the database may take long. Its failure is no new outage when one has ended since it began, and
    its answer does not end an outage that was noted since.
    """

    errors: dict[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = uptime
    _unsaid: set[str] = field(default_factory=set)  # those that an outage of the database explains
    _outage_at: float = float("-inf")  # when the last outage was noted
    _answer_at: float = float("-inf")  # when the last outage was over
    _lock: RLock = field(default_factory=RLock)

    @contextmanager
    def report_once(self, subject: str, prefix: str = "") -> Iterator[None]:
        """Log an error raised inside, unless the subject's last error is the same, and do not re-raise it.

        A bug counts as an error here: a failure in one repository must not end the work for all.
        """
        began = self.clock()
        try:
            yield
        except RunnerError as error:
            if is_outage(error):
                self._note_cut_off(subject, f"{prefix}{error.message}")
                self.note_outage(error.message, began)
            else:
                self.report(subject, f"{prefix}{error.message}")
        except Exception as error:  # noqa: BLE001 - see above
            message = f"{prefix}{type(error).__name__}: {error}; this is a bug in skillrunner"
            self.report(subject, message, bug=True)
        else:
            self.resolve(subject)

    def _note_cut_off(self, subject: str, message: str) -> None:
        with self._lock:
            self.errors[subject] = message
            self._unsaid.add(subject)

    def report(self, subject: str, message: str, *, bug: bool = False) -> None:
        with self._lock:
            self._unsaid.discard(subject)
            known, self.errors[subject] = self.errors.get(subject), message
            if known is None or _NUMBERS.sub("", known) != _NUMBERS.sub("", message):
                log.error("%s", message, exc_info=bug)

    def resolve(self, subject: str) -> None:
        with self._lock:
            is_told = subject not in self._unsaid
            self._unsaid.discard(subject)
            if self.errors.pop(subject, None) is not None and is_told:
                log.info("%s: it works again", subject)

    def note_outage(self, message: str, began: float) -> None:
        """Log once for each outage that the database does not answer, whoever meets it in whatever words.

        `began` is when the call began that failed.
        """
        with self._lock:
            if OUTAGE not in self.errors and began >= self._answer_at:
                self.errors[OUTAGE], self._outage_at = message, self.clock()
                log.error("the database does not answer, and is waited for: %s", " ".join(message.split()))

    def note_answer(self, began: float) -> None:
        """Log that an outage is over. `began` is when the call began that was answered."""
        with self._lock:
            if began >= self._outage_at and self.errors.pop(OUTAGE, None) is not None:
                self._answer_at = self.clock()
                log.info("the database answers again")

    def present(self) -> dict[str, str]:
        """The present errors, by subject, as they are now: other threads go on to write."""
        with self._lock:
            return dict(self.errors)
