"""Logs each error of a worker's loop once, and lets the loop go on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.core.errors import RunnerError
from runner.core.model import Reason

log = logging.getLogger("skillrunner.worker")

OUTAGE = "database"
"""The subject of a database that does not answer."""


def is_outage(error: RunnerError) -> bool:
    """Whether the database did not answer, which passes by itself: it is waited for."""
    return error.reason is Reason.STORE_FAILED and error.retryable


@dataclass(slots=True)
class ErrorLog:
    """The present errors, by subject."""

    errors: dict[str, str] = field(default_factory=dict)
    _unsaid: set[str] = field(default_factory=set)  # those that an outage of the database explains

    @contextmanager
    def report_once(self, subject: str, prefix: str = "") -> Iterator[None]:
        """Log an error raised inside, unless the subject's last error is the same, and do not re-raise it.

        A bug counts as an error here: a failure in one repository must not end the work for all.
        """
        try:
            yield
        except RunnerError as error:
            if is_outage(error):
                self.errors[subject] = f"{prefix}{error.message}"
                self._unsaid.add(subject)
                self.note_outage(error.message)
            else:
                self.report(subject, f"{prefix}{error.message}")
        except Exception as error:  # noqa: BLE001 - see above
            message = f"{prefix}{type(error).__name__}: {error}; this is a bug in skillrunner"
            self.report(subject, message, bug=True)
        else:
            self.resolve(subject)

    def report(self, subject: str, message: str, *, bug: bool = False) -> None:
        if self.errors.get(subject) != message:
            self.errors[subject] = message
            log.error("%s", message, exc_info=bug)

    def resolve(self, subject: str) -> None:
        is_told = subject not in self._unsaid
        self._unsaid.discard(subject)
        if self.errors.pop(subject, None) is not None and is_told:
            log.info("%s: it works again", subject)

    def note_outage(self, message: str) -> None:
        """Log once for each outage that the database does not answer, whoever meets it in whatever words."""
        if OUTAGE not in self.errors:
            self.errors[OUTAGE] = message
            log.error("the database does not answer, and is waited for: %s", " ".join(message.split()))

    def note_answer(self) -> None:
        """Log that an outage is over."""
        if self.errors.pop(OUTAGE, None) is not None:
            log.info("the database answers again")
