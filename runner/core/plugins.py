"""Kinds by name: a file in a family's package, or a third party's module behind an entry point.

A module of `runner.triggers`, `runner.harnesses`, `runner.publish.outputs` or `runner.sandboxes` that exports
`KINDS`, the names in a skill file and the Pydantic models of their options, adds these kinds. A sandbox has
no options: a module that exports `open` adds one kind of its own name. A third party's module does the
same as an entry point of the group `skillrunner.<family>`.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

_ROOMS = {
    "harnesses": "runner.harnesses",
    "outputs": "runner.publish.outputs",
    "sandboxes": "runner.sandboxes",
    "triggers": "runner.triggers",
}
"""Where the kinds of each family are."""


def kinds(family: str) -> Mapping[str, "type[BaseModel]"]:
    """The kinds of a family that have options, and the model of these; sorted by name."""
    options = {name: _declared(found).get(name) for name, found in _modules(family).items()}
    return {name: model for name, model in sorted(options.items()) if model is not None}


def names(family: str) -> list[str]:
    """The names of all kinds of a family, sorted."""
    return sorted(_modules(family))


def module(family: str, kind: str) -> ModuleType:
    """The module that implements a kind. Raises KeyError with the name when there is none."""
    return _modules(family)[kind]


@cache
def _any_foreign() -> bool:
    """Whether any installed package names our groups: a look at the files, far faster than the library."""
    listed = (path for entry in sys.path for path in Path(entry or ".").glob("*.*-info/entry_points.txt"))
    return any("[skillrunner." in path.read_text(encoding="utf-8", errors="replace") for path in listed)


@cache
def _modules(family: str) -> Mapping[str, ModuleType]:
    """Our own kinds and third parties'; a third party cannot take the name of one of ours."""
    found: dict[str, ModuleType] = {}
    for candidate in (*_own(family), *_foreign(family)):
        for kind in _declared(candidate):
            found.setdefault(kind, candidate)
    return found


def _declared(candidate: ModuleType) -> Mapping[str, Any]:
    bare = {candidate.__name__.rsplit(".", 1)[-1]: None} if hasattr(candidate, "open") else {}
    declared: Mapping[str, Any] = getattr(candidate, "KINDS", bare)
    return declared


def _own(family: str) -> Iterator[ModuleType]:
    package = importlib.import_module(_ROOMS[family])
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{_ROOMS[family]}.{info.name}")


def _foreign(family: str) -> Iterator[ModuleType]:
    if not _any_foreign():
        return
    from importlib.metadata import entry_points

    for entry in entry_points(group=f"skillrunner.{family}"):
        loaded = entry.load()
        if isinstance(loaded, ModuleType):
            yield loaded
