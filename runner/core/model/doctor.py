"""What `skillrunner doctor` says of one thing that it looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorLine:
    """One line of `skillrunner doctor`."""

    ok: bool
    subject: str
    message: str
    hint: str = ""  # the next thing to do; a line that is ok and has one is a warning
