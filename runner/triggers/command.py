"""Somebody gives a command on the forge: `/name words` or a mention of the bot at a line's start, or a label.

It has no events of its own: it hears the issues, pull requests, comments, reviews and discussions in which
commands stand, when they are written and not when they are edited.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from runner.config.documents import Many, Text
from runner.core.payload import text_at
from runner.core.units import Maybe
from runner.triggers import TriggerKind
from runner.triggers._command_lines import CommandLine, command_lines
from runner.triggers.actors import PeopleOptions
from runner.triggers.options import (
    BotNames,
    CommandArguments,
    EventOptions,
    PullRequestTreeOptions,
    Tree,
    TriggerOptions,
)

CommandPlace = Literal["issue", "pull_request", "comment", "review", "discussion"]

_PLACES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "issue": {"issues": ("opened", "issue")},
    "pull_request": {"pull_request": ("opened", "pull_request")},
    "comment": {"issue_comment": ("created", "comment")},
    "review": {
        "pull_request_review": ("submitted", "review"),
        "pull_request_review_comment": ("created", "comment"),
    },
    "discussion": {"discussion": ("created", "discussion"), "discussion_comment": ("created", "comment")},
}
"""By place and kind of event: the activity by which a text comes to be, and what holds the text."""

_LABELED = {"issues": "issue", "pull_request": "pull_request", "discussion": "discussion"}
"""By kind of event: the place that a label is put on."""


class CommandOn(TriggerOptions):
    """A command as events of one kind hold it."""

    command: "CommandTriggerOptions"
    kind: str

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        """A line may begin with a mention of anybody here: whose it is, `address_mismatch` is told."""
        if self._is_labeled(payload):
            return ""
        if payload.get("action") not in self._texts:
            return f"commands are given in what is new, and this was `{payload.get('action')}`"
        found = self._lines(payload)
        if any(one.name == self.command.name or (one.mention and self.command.mention) for one in found):
            return ""
        return self._no_line()

    def address_mismatch(self, payload: Mapping[str, Any], names: BotNames) -> str:
        return "" if self.arguments(payload, names) is not None else self._no_line()

    def arguments(self, payload: Mapping[str, Any], names: BotNames) -> CommandArguments | None:
        if self._is_labeled(payload):
            return CommandArguments(what=f"the label {self.command.label}")
        found = (self._arguments(one, names) for one in self._lines(payload))
        return next((one for one in found if one is not None), None)

    @property
    def takes_words(self) -> bool:
        return True

    @property
    def actor_rule(self) -> PeopleOptions:
        return self.command.actor

    @property
    def stands_on(self) -> Tree:
        return self.command.tree

    def workflow_filters(self) -> Mapping[str, Sequence[str]]:
        labeled = {"labeled"} if self._takes_label else set()
        return {"types": sorted({*self._texts, *labeled})}

    @property
    def _texts(self) -> Mapping[str, str]:
        """By activity: what holds the text."""
        found = (_PLACES[place].get(self.kind) for place in self.command.places)
        return dict(one for one in found if one)

    @property
    def _takes_label(self) -> bool:
        return self.command.label is not None and _LABELED.get(self.kind) in self.command.places

    def _is_labeled(self, payload: Mapping[str, Any]) -> bool:
        if not self._takes_label or payload.get("action") != "labeled":
            return False
        return text_at(payload, "label", "name").casefold() == (self.command.label or "").casefold()

    def _lines(self, payload: Mapping[str, Any]) -> Sequence[CommandLine]:
        holder = self._texts.get(text_at(payload, "action"))
        return command_lines(text_at(payload, holder, "body")) if holder else ()

    def _arguments(self, line: CommandLine, names: BotNames) -> CommandArguments | None:
        """What the line tells this command; None: it is for nobody, or for another command."""
        if line.mention and line.mention.lower() != names.mention.lower():
            return None
        if line.name == self.command.name and (self.command.mention or not line.mention):
            return CommandArguments(what=f"/{line.name}", words=line.words, values=line.values)
        if not line.mention or not self.command.mention or line.name in names.commands:
            return None
        return CommandArguments(what=f"@{names.mention}", words=(line.text,) if line.text else ())

    def _no_line(self) -> str:
        mention = ", and none with a mention of the bot" if self.command.mention else ""
        return f"no line begins with /{self.command.name}{mention}"


class CommandTriggerOptions(PullRequestTreeOptions, EventOptions):
    """Somebody gives a command."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,38}$")] = Field(
        description="The command without its slash", examples=["docs"]
    )
    mention: bool = Field(
        default=False, description="Whether a line that begins with a mention of the bot is a command too"
    )
    label: Maybe[Text] = Field(default=None, description="A label that gives the command when it is put on")
    actor: PeopleOptions = Field(  # type: ignore[assignment]  # bots give no commands
        default=PeopleOptions.model_construct(), description="Who may give it; bots never may"
    )

    @property
    def actor_rule(self) -> PeopleOptions:
        return self.actor

    @property
    def places(self) -> tuple[CommandPlace, ...]:
        """What the file says under `in`, which is no name in Python."""
        return tuple(getattr(self, "in"))

    @property
    def command_name(self) -> str:
        return self.name

    def for_other_kinds(self) -> Mapping[str, TriggerOptions]:
        kinds = {kind for place in self.places for kind in _PLACES[place]}
        return {kind: CommandOn.model_construct(command=self, kind=kind) for kind in sorted(kinds)}


_IN: Any = (
    Annotated[Many[CommandPlace], Field(min_length=1)],
    Field(
        default=("issue", "pull_request", "comment", "review"),
        description="Where it is heard; default: everywhere but in discussions",
    ),
)
_OPTIONS: type[CommandTriggerOptions] = create_model(
    "Command", __base__=CommandTriggerOptions, __doc__=CommandTriggerOptions.__doc__, **{"in": _IN}
)


class CommandTrigger(TriggerKind):
    """Its events are those of other kinds."""

    name = "command"
    options = _OPTIONS


PLUGINS = (CommandTrigger,)
