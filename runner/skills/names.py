"""The names that a template may use, and a quick check of templates that only print them."""

import re
from collections.abc import Collection, Mapping

FIELDS: Mapping[str, tuple[str, ...] | None] = {
    "skill": ("name", "description", "path", "commit"),
    "repository": ("name", "url", "default_branch"),
    "run": ("id", "base_ref", "base_sha", "tree"),
    "event": None,  # as the payload has it
    "now": None,  # an aware UTC datetime
    "inputs": None,  # as the skill declares them
}
"""The names that a template sees, and the fields of each where these are known beforehand."""

_TAG = re.compile(r"\{[{%#]")
_PRINT = re.compile(r"(?<!\{)\{\{-?\s*([a-z]+)((?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*-?\}\}")


def has_only_known_names(source: str, inputs: Collection[str]) -> bool:
    """Whether a template only prints known names, as most do; Jinja2 has to check the others.

    This spares most skills the import of Jinja2, and half of the time that checking them takes.
    """
    prints = _PRINT.findall(source)
    return len(_TAG.findall(source)) == len(prints) and all(
        _known(name, path.split(".")[1:2], inputs) for name, path in prints
    )


def _known(name: str, field: list[str], inputs: Collection[str]) -> bool:
    if name not in FIELDS:
        return False
    known = inputs if name == "inputs" else FIELDS[name]
    return known is None or all(part in known for part in field)
