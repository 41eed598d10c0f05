"""The names of time zones in files that people write."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, WithJsonSchema

from runner.config.documents import closest

ZONE = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$"
_NO_PLACE = r"(localtime|posixrules|Factory)$|(posix|right)/"


def check_zone(text: str) -> str:
    """The name itself. Raises ValueError where no such IANA time zone is known."""
    try:
        zone = ZoneInfo(text) if re.fullmatch(ZONE, text) else None
    except (OSError, ValueError, KeyError):  # a folder of the database, or no zone at all
        zone = None
    if zone is not None and re.match(_NO_PLACE, text):
        raise ValueError("is another zone on each machine, or none: name a place, such as Europe/Berlin")
    if zone is None:
        near = closest(text, sorted(available_timezones()))
        raise ValueError(
            f"unknown time zone; {near if near.startswith('did') else 'names are like Europe/Berlin'}"
        )
    return text


Zone = Annotated[str, AfterValidator(check_zone), WithJsonSchema({"type": "string", "pattern": ZONE})]
