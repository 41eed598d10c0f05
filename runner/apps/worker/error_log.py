"""Logs each error of a worker's loop once, and lets the loop go on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.core.errors import RunnerError

log = logging.getLogger("skillrunner.worker")


@dataclass(slots=True)
class ErrorLog:
    """The present errors, by subject."""

    errors: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def report_once(self, subject: str, prefix: str = "") -> Iterator[None]:
        """Log an error raised inside, unless the subject's last error is the same, and do not re-raise it.

        A bug counts as an error here: a failure in one repository must not end the work for all.
        """
        try:
            yield
        except RunnerError as error:
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
        if self.errors.pop(subject, None) is not None:
            log.info("%s: it works again", subject)
