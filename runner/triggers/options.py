"""What a trigger's options in `skill.yaml` may say, and the filters that several triggers share."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from runner.config.documents import Many, Model, Text
from runner.config.options import Glob
from runner.core.globs import matches
from runner.core.payload import text_at, value_at
from runner.core.units import Maybe
from runner.triggers.actors import ActorOptions, PeopleOptions

REF = r"^(?!!)(?!refs/)(?!/)(?!.*(\.\.|//))[^\s~^:\\]+$"


def _check_ref(text: str) -> str:
    """The glob itself. Raises ValueError where no branch or tag could match it."""
    if re.search(REF, text) and not text.endswith("\n"):
        return text
    if text.startswith("!"):
        raise ValueError("begins with `!`, which excludes nothing here: use the option that ends in _ignore")
    if text.startswith("refs/"):
        raise ValueError("begins with `refs/`: write the short name, such as main or v1.*")
    raise ValueError(
        "matches no branch or tag: no name has a space, `..`, `//`, `~`, `^`, `:` or a backslash"
    )


RefGlob = Annotated[str, AfterValidator(_check_ref), WithJsonSchema({"type": "string", "pattern": REF})]
Globs = Annotated[Many[RefGlob], Field(min_length=1)]
PathGlobs = Annotated[Many[Glob], Field(min_length=1)]
Names = Annotated[Many[Text], Field(min_length=1)]
Conclusion = Literal[
    "success",
    "failure",
    "neutral",
    "cancelled",
    "timed_out",
    "action_required",
    "stale",
    "skipped",
    "startup_failure",
]
"""How a check or a workflow ends, in GitHub's words."""


Tree = Literal["head", "merge", "base"]
"""Where a run stands: on the event's commit, on its merge with the base, or on the default branch."""


@dataclass(frozen=True, slots=True)
class BotNames:
    """What people may call us by in what they write."""

    mention: str = ""  # the login that stands behind an `@`
    commands: frozenset[str] = frozenset()  # the names of all commands of the repository


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandArguments:
    """What somebody said to a skill when they started it. Untrusted."""

    what: str  # how they started it: "/docs"
    words: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


class TriggerOptions(BaseModel):
    """The options of one trigger: which of its events the skill asks for. Every method has a default."""

    model_config = ConfigDict(defer_build=True)

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        """Why the event is not one that the skill asks for; empty: it is. Any JSON may come."""
        return ""

    @property
    def actor_rule(self) -> PeopleOptions | None:
        """Who may start the skill; None: whoever can cause the event."""
        return None

    @property
    def command_name(self) -> str:
        """The name of the command that starts the skill; empty: none does."""
        return ""

    def for_other_kinds(self) -> Mapping[str, "TriggerOptions"]:
        """The options for events of other kinds that it hears as well."""
        return {}

    @property
    def takes_words(self) -> bool:
        """Whether its events may say inputs, which are as untrusted as the events are."""
        return False

    def address_mismatch(self, payload: Mapping[str, Any], names: BotNames) -> str:
        """Why what was said is not for this skill, where it matters how we are called; empty: it is."""
        return ""

    def arguments(self, payload: Mapping[str, Any], names: BotNames) -> CommandArguments | None:
        """What was said to the skill; None: its events say nothing to it."""
        return None

    @property
    def stands_on(self) -> Tree:
        """The tree that the skill's runs stand on, where the event has a commit of its own."""
        return "head"

    @property
    def has_path_filter(self) -> bool:
        """Whether the changed paths must be known to decide."""
        return False

    def path_mismatch(self, changed: Collection[str]) -> str:
        """Why these changed paths are not those that the skill asks for; empty: they are."""
        return ""

    def workflow_filters(self) -> Mapping[str, Sequence[str]]:
        """What a GitHub workflow's `on:` can filter the event by; `**` lets everything through."""
        return {}


class EventOptions(Model, TriggerOptions):
    """The options of an event that somebody caused."""

    actor: ActorOptions = Field(default=ActorOptions.model_construct(), description="Who may start the skill")

    @property
    def actor_rule(self) -> PeopleOptions | None:
        return self.actor


class ActivityOptions(EventOptions):
    """The options of an event whose payload names an activity under `action`."""

    types: Many[str]

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        action = payload.get("action")
        if action not in self.types:
            return f"`types` holds {', '.join(self.types)}, and this is `{action}`"
        return self.other_mismatch(payload)

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        """The same, for what the options hold besides `types`."""
        return ""

    def workflow_filters(self) -> Mapping[str, Sequence[str]]:
        return {"types": self.types}


class CommitOptions(Model):
    """Options of an event that is about a commit."""

    tree: Literal["head", "base"] = Field(
        default="head", description="Whether runs stand on the event's commit or on the default branch"
    )

    @property
    def stands_on(self) -> Tree:
        return self.tree


class PullRequestTreeOptions(Model):
    """Options of an event that is about a pull request."""

    tree: Tree = Field(
        default="head",
        description="Whether runs stand on the head of the pull request, its merge or the default branch",
    )

    @property
    def stands_on(self) -> Tree:
        return self.tree


class ChangeOptions(EventOptions):
    """Filters on what changed, and where."""

    branches: Maybe[Globs] = Field(default=None, description="Only these branches")
    branches_ignore: Maybe[Globs] = Field(default=None, description="Not these branches")
    paths: Maybe[PathGlobs] = Field(default=None, description="Only if one of these paths changed")
    paths_ignore: Maybe[PathGlobs] = Field(default=None, description="Not if only these paths changed")

    @property
    def has_path_filter(self) -> bool:
        return self.paths is not None or self.paths_ignore is not None

    def path_mismatch(self, changed: Collection[str]) -> str:
        if self.paths is not None and not any(matches(path, self.paths) for path in changed):
            return f"no changed path is among `paths`: {', '.join(self.paths)}"
        if self.paths_ignore is not None and all(matches(path, self.paths_ignore) for path in changed):
            return f"every changed path is among `paths_ignore`: {', '.join(self.paths_ignore)}"
        return ""

    def branch_mismatch(self, branch: object) -> str:
        """Why the branch is not one that the skill asks for; empty: it is."""
        if self.branches_ignore is not None and matches(str(branch), self.branches_ignore):
            return f"`branches_ignore` holds `{branch}`"
        return glob_mismatch("branches", branch, self.branches)


def glob_mismatch(key: str, value: object, globs: Collection[str] | None) -> str:
    """Why no glob of the option `key` matches; empty: one does, or the option is not given."""
    if globs is None or matches(str(value), globs):
        return ""
    return f"`{key}` holds {', '.join(globs)}, and this is `{value}`"


def name_mismatch(key: str, value: object, wanted: Collection[str] | None) -> str:
    """Why the value is not among those of the option `key`; empty: it is, or the option is not given."""
    if wanted is None or value in wanted:
        return ""
    return f"`{key}` holds {', '.join(wanted)}, and this is `{value}`"


def label_mismatch(payload: Mapping[str, Any], subject: str, wanted: Collection[str] | None) -> str:
    """The same for labels, whose case does not matter, as on GitHub.

    Where a label came or went, that label counts; elsewhere any that is there.
    """
    if wanted is None:
        return ""
    folded = {label.casefold() for label in wanted}
    if payload.get("action") in ("labeled", "unlabeled"):
        label = value_at(payload, "label", "name")
        known = isinstance(label, str) and label.casefold() in folded
        return "" if known else name_mismatch("labels", label, wanted)
    labels = value_at(payload, subject, "labels")
    names = {text_at(label, "name").casefold() for label in labels} if isinstance(labels, list) else set()
    return "" if names & folded else f"none of the labels {', '.join(wanted)} is there"
