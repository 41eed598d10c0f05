"""Kinds by name: classes in a family's package, or in a third party's module behind an entry point.

Every family (harness, sandbox, trigger, event source, output, forge) is one `Family` object in the room it
belongs to. A file adds kinds to a family when it exports `PLUGINS`, a tuple of classes that derive from the
family's Protocol. A file without `PLUGINS` is a helper. A third party names its module as an entry point of
the group `skillrunner.<family>`. A name stands for one kind: what takes one that is there already is refused.
"""

import difflib
import importlib
import inspect
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, get_type_hints

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Plugin(Protocol):
    """What every plugin has."""

    name: str
    """The kind's name in files, flags and records: "claude-code"."""


P = TypeVar("P", bound=Plugin)
P_co = TypeVar("P_co", bound=Plugin, covariant=True)


class PluginError(RunnerError):
    """A plugin cannot be used: which file, and what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdParty:
    """What an installed package adds to a family, or why it cannot."""

    package: str  # "acme-harness 1.2"
    family: str
    kinds: tuple[str, ...] = ()
    error: PluginError | None = None


@dataclass(frozen=True)
class Family(Generic[P_co]):
    """All kinds of one family.

    `protocol` names everything a plugin may have: what it declares abstract, or annotates without a value,
    every plugin must have; the rest has its default there.
    """

    name: str  # of the entry-point group behind "skillrunner."
    package: str  # whose files are searched
    protocol: type[object]  # P_co itself, which mypy would not take as type[P_co]: it is abstract

    def names(self) -> list[str]:
        """The names of all kinds, sorted."""
        return sorted(self.all())

    def all(self) -> Mapping[str, P_co]:
        """Every kind by its name. Raises PluginError for a plugin that cannot be used."""
        loaded: Mapping[str, P_co] = _load(self)
        return loaded

    def get(self, name: str) -> P_co:
        """The kind of this name. Raises RunnerError INVALID_CONFIG when there is none."""
        found = self.all().get(name)
        if found is None:
            near = difflib.get_close_matches(name, self.names(), 1)
            there = f"there are: {', '.join(self.names())}"
            hint = f"did you mean {near[0]}? {there}" if near else there
            message = f"there is no `{name}` among the {self.name}"
            raise RunnerError(Phase.PLAN, Reason.INVALID_CONFIG, message, hint=hint)
        return found

    def third_parties(self) -> Iterator[ThirdParty]:
        """What each installed package adds, or why it cannot, in the order in which they are loaded."""
        kinds = _own_kinds(self)
        for entry in _entries(self):
            package = _package(entry)
            try:
                added = _foreign_kinds(self, entry, kinds)
            except PluginError as error:
                yield ThirdParty(package=package, family=self.name, error=error)
            else:
                kinds |= added
                yield ThirdParty(package=package, family=self.name, kinds=tuple(added))


@cache
def _load(family: Family[P]) -> Mapping[str, P]:
    kinds = _own_kinds(family)
    for entry in _entries(family):
        kinds |= _foreign_kinds(family, entry, kinds)
    return dict(sorted(kinds.items()))


def _own_kinds(family: Family[P]) -> dict[str, P]:
    kinds: dict[str, P] = {}
    package = importlib.import_module(family.package)
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{family.package}.{info.name}")
            if hasattr(module, "PLUGINS"):  # a helper has none
                kinds |= _kinds(family, module, kinds)
    return kinds


def _foreign_kinds(family: Family[P], entry: "EntryPoint", there: Mapping[str, P]) -> dict[str, P]:
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:  # whatever a third party's module does when it is imported
        raise _unusable(
            family, f"{_place(error) or entry.value}: it cannot be imported: {_words(error)}"
        ) from error
    if not isinstance(loaded, ModuleType) or not hasattr(loaded, "PLUGINS"):
        raise _unusable(family, f"{_file(loaded)}: the entry point {entry.value} has no PLUGINS")
    kinds = _kinds(family, loaded, there)
    for plugin in kinds.values():  # mypy has looked at ours
        if wrong := _wrong_value(family, plugin):
            raise _unusable(family, f"{_file(loaded)}: {type(plugin).__name__}.{wrong}")
    return kinds


def _entries(family: Family[P]) -> Iterator["EntryPoint"]:
    if _any_foreign():
        from importlib.metadata import entry_points

        yield from sorted(entry_points(group=f"skillrunner.{family.name}"), key=_package)


@cache
def _any_foreign() -> bool:
    """Whether any installed package names our groups: a look at the files, far faster than the library."""
    listed = (path for entry in sys.path for path in Path(entry or ".").glob("*.*-info/entry_points.txt"))
    return any("[skillrunner." in path.read_text(encoding="utf-8", errors="replace") for path in listed)


def _package(entry: "EntryPoint") -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _kinds(family: Family[P], module: ModuleType, there: Mapping[str, P]) -> dict[str, P]:
    """The kinds of one file, none of which may have a name that is `there` already."""
    kinds: dict[str, P] = {}
    candidates = [one for one in _candidates(family, module) if not _is_of_another(family, one)]
    if not candidates:
        raise _unusable(family, f"{_file(module)}: PLUGINS holds nothing of the family {family.name}")
    for candidate in candidates:
        plugin = _create(family, module, candidate)
        if (first := {**there, **kinds}.get(plugin.name)) is not None:
            holder = _file(sys.modules[type(first).__module__])
            what = f"{candidate.__name__} takes the name `{plugin.name}`, which {holder} has already"
            raise _unusable(family, f"{_file(module)}: {what}")
        kinds[plugin.name] = plugin
    return kinds


def _candidates(family: Family[P], module: ModuleType) -> tuple[type[P], ...]:
    candidates = module.PLUGINS
    if not isinstance(candidates, tuple) or not all(inspect.isclass(one) for one in candidates):
        raise _unusable(family, f"{_file(module)}: PLUGINS is not a tuple of classes")
    return candidates


def _is_of_another(family: Family[P], candidate: type[P]) -> bool:
    """Whether a class is a plugin of another family: one file may add to several."""
    return Plugin in candidate.__mro__ and family.protocol not in candidate.__mro__


def _create(family: Family[P], module: ModuleType, candidate: type[P]) -> P:
    what = f"{_file(module)}: {candidate.__name__}"
    if family.protocol not in candidate.__mro__:
        base = f"{family.protocol.__module__}.{family.protocol.__name__}"
        raise _unusable(family, f"{what} does not derive from {base}")
    if missing := _missing(family, candidate):
        raise _unusable(family, f"{what} lacks {', '.join(missing)}")
    if not isinstance(candidate.name, str) or not _NAME.fullmatch(candidate.name):
        raise _unusable(family, f"{what} has the name {candidate.name!r}: write a-z, 0-9, - and _")
    try:
        return candidate()
    except Exception as error:
        raise _unusable(family, f"{what} cannot be created: {_words(error)}") from error


def _missing(family: Family[P], candidate: type[P]) -> list[str]:
    """The names that a plugin must have and this one has not."""
    abstract: frozenset[str] = getattr(candidate, "__abstractmethods__", frozenset())
    annotated = {name for base in family.protocol.__mro__ for name in inspect.get_annotations(base)}
    return sorted({*abstract, *(name for name in annotated if not hasattr(candidate, name))})


def _wrong_value(family: Family[P], plugin: P) -> str:
    """The first attribute that is not what the Protocol says, with its value and why; empty: none is."""
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    for name, expected in get_type_hints(family.protocol).items():
        value: object = getattr(plugin, name)
        try:
            TypeAdapter(expected).validate_python(value, strict=True)
        except PydanticUserError:
            continue  # a type that can be checked by mypy alone
        except ValidationError as error:
            return f"{name} is {value!r}: {error.errors()[0]['msg']}"
    return ""


def _file(module: object) -> str:
    return str(getattr(module, "__file__", None) or module)


def _place(error: BaseException) -> str:
    """The plugin's own file and line that could not be imported; empty: it was not found."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = (one for one in frames if one.filename != __file__ and "importlib" not in one.filename)
    return next((f"{one.filename}:{one.lineno}" for one in theirs), "")


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _unusable(family: Family[P], message: str) -> PluginError:
    hint = (
        f"docs/plugins.md says what the family {family.name} needs; uninstall the package to go on without it"
    )
    return PluginError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
