"""The hidden line in a pull request's body by which any machine can tell what it is about."""

import json
import re
from dataclasses import asdict, dataclass

_FOUND = re.compile(r"^<!-- skillrunner: (\{[^\n]*\}) -->$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What a pull request was made from."""

    skill: str
    key: str
    cause: str  # the trigger's key
    head: str  # the commit that was pushed
    patch: str  # sha256 of the patch
    version: int = 1


def write(marker: Marker) -> str:
    # `>` and `-` cannot end the comment early: JSON may spell any character as an escape.
    text = json.dumps(asdict(marker), sort_keys=True).replace("-", "\\u002d").replace(">", "\\u003e")
    return f"<!-- skillrunner: {text} -->"


def read(body: str) -> Marker | None:
    """The marker in a body: the last one, which stands below all that others wrote; None: there is none.

    People may edit bodies.
    """
    found = _FOUND.findall(body)
    if not found:
        return None
    try:
        return Marker(**json.loads(found[-1]))
    except (TypeError, ValueError):
        return None
