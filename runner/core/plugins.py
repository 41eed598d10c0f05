"""Kinds by name: classes in a family's package, or in a third party's module behind an entry point.

Every family (harness, sandbox, trigger, event source, output, forge) is one `Family` object in the room it
belongs to. A file adds kinds to a family when it exports `PLUGINS`, a tuple of classes that derive from the
family's Protocol. A file without `PLUGINS` is a helper. A third party names its module as an entry point of
the group `skillrunner.<family>`; it cannot take the name of a kind that is there already.
"""

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from pydantic import BaseModel


class Plugin(Protocol):
    """What every plugin has."""

    name: str
    """The kind's name in files, flags and records: "claude-code"."""


P = TypeVar("P", bound=Plugin)


@dataclass(frozen=True)
class Family(Generic[P]):
    """All kinds of one family.

    `protocol` names everything a plugin may have: what it declares abstract, or annotates without a value,
    every plugin must have; the rest has its default there.
    """

    name: str  # of the entry-point group behind "skillrunner."
    package: str  # whose files are searched
    protocol: type[P]

    def names(self) -> list[str]:
        """The names of all kinds, sorted."""
        return sorted(self.all())

    def all(self) -> Mapping[str, P]:
        """Every kind by its name. Raises RunnerError INVALID_CONFIG for a plugin that lacks something."""
        loaded: Mapping[str, P] = _load(self)
        return loaded

    def get(self, name: str) -> P:
        """The kind of this name. Raises RunnerError INVALID_CONFIG when there is none."""
        found = self.all().get(name)
        if found is None:
            near = difflib.get_close_matches(name, self.names(), 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self.names())}"
            message = f"there is no `{name}` among the {self.name}"
            raise RunnerError(Phase.PLAN, Reason.INVALID_CONFIG, message, hint=hint)
        return found


@cache
def _load(family: Family[P]) -> Mapping[str, P]:
    kinds: dict[str, P] = {}
    for module in (*_own_modules(family), *_foreign_modules(family)):
        for candidate in _candidates(family, module):
            plugin = _create(family, module, candidate)
            kinds.setdefault(plugin.name, plugin)
    return dict(sorted(kinds.items()))


def _own_modules(family: Family[P]) -> Iterator[ModuleType]:
    package = importlib.import_module(family.package)
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{family.package}.{info.name}")
            if hasattr(module, "PLUGINS"):  # a helper has none
                yield module


def _foreign_modules(family: Family[P]) -> Iterator[ModuleType]:
    if not _any_foreign():
        return
    from importlib.metadata import entry_points

    for entry in entry_points(group=f"skillrunner.{family.name}"):
        try:
            loaded = entry.load()
        except Exception as error:  # whatever a third party's module does when it is imported
            message = f"the plugin {entry.value} cannot be imported: {type(error).__name__}: {error}"
            raise _unusable(family, message) from error
        if not isinstance(loaded, ModuleType) or not hasattr(loaded, "PLUGINS"):
            raise _unusable(family, f"{_file(loaded)}: the entry point {entry.value} has no PLUGINS")
        yield loaded


@cache
def _any_foreign() -> bool:
    """Whether any installed package names our groups: a look at the files, far faster than the library."""
    listed = (path for entry in sys.path for path in Path(entry or ".").glob("*.*-info/entry_points.txt"))
    return any("[skillrunner." in path.read_text(encoding="utf-8", errors="replace") for path in listed)


def _candidates(family: Family[P], module: ModuleType) -> tuple[type[P], ...]:
    candidates = module.PLUGINS
    if not isinstance(candidates, tuple) or not all(inspect.isclass(one) for one in candidates):
        raise _unusable(family, f"{_file(module)}: PLUGINS is not a tuple of classes")
    return candidates


def _create(family: Family[P], module: ModuleType, candidate: type[P]) -> P:
    if family.protocol not in candidate.__mro__:
        base = f"{family.protocol.__module__}.{family.protocol.__name__}"
        raise _unusable(family, f"{_file(module)}: {candidate.__name__} does not derive from {base}")
    if missing := _missing(family, candidate):
        raise _unusable(family, f"{_file(module)}: {candidate.__name__} lacks {', '.join(missing)}")
    return candidate()


def _missing(family: Family[P], candidate: type[P]) -> list[str]:
    """The names that a plugin must have and this one has not."""
    abstract: frozenset[str] = getattr(candidate, "__abstractmethods__", frozenset())
    annotated = {name for base in family.protocol.__mro__ for name in inspect.get_annotations(base)}
    return sorted({*abstract, *(name for name in annotated if not hasattr(candidate, name))})


def _file(module: object) -> str:
    return str(getattr(module, "__file__", None) or module)


def _unusable(family: Family[P], message: str) -> RunnerError:
    hint = f"docs/plugins.md says what the family {family.name} needs; remove the package to go on without it"
    return RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)


# What follows serves the families that are not `Family` objects yet.

_ROOMS = {
    "harnesses": "runner.harnesses",
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
