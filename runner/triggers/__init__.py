"""What starts a skill: one file for each kind of `on:`, named as the skill file names it.

In come a payload and a skill's options, out comes whether they match, what the event is about and the key by
which two deliveries of it are known for one. Everything here is pure; `sources/` holds what hears events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from runner.core import payload as payloads
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.model.decision import Event
from runner.core.plugins import Family, Plugin
from runner.triggers import _event_key
from runner.triggers._event_key import KeyPart
from runner.triggers.options import Tree, TriggerOptions

__all__ = [
    "TRIGGERS",
    "CommitRange",
    "EventCommit",
    "KeyPart",
    "SkillTrigger",
    "TriggerKind",
    "TriggerOptions",
    "action_triggers",
    "actor",
    "kind_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillTrigger:
    """A trigger as one skill has it under `on:`."""

    skill: str
    file: str  # the skill file, for messages
    options: TriggerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRange:
    """The commits between which an event changed paths."""

    base: str
    head: str
    from_fork_point: bool  # compare with where `head` left `base`, as a pull request shows it
    refs: tuple[str, ...] = ()  # that bring the commits


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCommit:
    """The commit that an event is about: its run stands there, and not on the default branch."""

    name: str  # as people name it: "the head of #7"
    sha: str = ""  # empty: whatever `ref` names when the run starts
    ref: str = ""  # brings the commit; empty: its own name does
    branch: str = ""  # that it is the head of; empty: none is known
    is_merge: bool = False  # the forge itself merged the head with its base: it is as its parents are


class TriggerKind(Plugin, Protocol):
    """What starts a skill: `name` is its key under `on:`, and the kind of its events.

    Deciding asks `options`. Whoever hears an event asks for its key, its subject and the facts behind it. The
    Action asks which of GitHub's events it is, and what the generated workflow has to listen to.
    """

    options: type[TriggerOptions]
    """What a skill file may say under the name."""

    # --- what an event is about -------------------------------------------------------------------

    subject_path: payloads.Path = ()
    """The path of the event's subject in a payload: a tag, an issue's number. Empty: it has none."""

    subject_noun: str = ""
    """What such a subject is: triggers with the same noun may have the same subject. Empty: the name."""

    key_parts: tuple[KeyPart, ...] = ()
    """The values that distinguish one event from another. Empty: the whole payload does."""

    time_path: payloads.Path = ()
    """The path of the time that distinguishes repetitions of the same event."""

    time_paths: Mapping[str, payloads.Path] = {}
    """By activity, where that is another path; an empty one where the activity cannot happen again."""

    def subject(self, payload: Mapping[str, Any]) -> str:
        """The event's subject as people name it; empty: it has none."""
        value = payloads.scalar_at(payload, *self.subject_path)
        text = "" if value is None else str(value)
        return text.removeprefix("refs/heads/").removeprefix("refs/tags/")

    def subject_key(self, payload: Mapping[str, Any]) -> str:
        """The event's subject for `overlap`: "issue:7"; empty: the skill itself is all that it is about."""
        value = payloads.scalar_at(payload, *self.subject_path)
        return "" if value is None else f"{self.subject_noun or self.name}:{value}"

    def key(self, payload: Mapping[str, Any]) -> str:
        """The event key, equal for every delivery of the same event: "release:12:published"."""
        when = payloads.scalar_at(payload, *self.time_of(payload))
        return (
            self.stem(payload) if when is None else f"{self.stem(payload)}:{_event_key.whole_seconds(when)}"
        )

    def other_keys(self, payload: Mapping[str, Any]) -> tuple[str, ...]:
        """Further keys; a delivery of the same event the other way (webhook or poll) shares one."""
        return ()

    def stem(self, payload: Mapping[str, Any]) -> str:
        """The key without a time."""
        return _event_key.stem(self.name, payload, self.key_parts, with_digest=self.has_only_content(payload))

    def has_only_content(self, payload: Mapping[str, Any]) -> bool:
        """Whether only the whole payload distinguishes this event from others with the same key parts."""
        return False

    def time_of(self, payload: Mapping[str, Any]) -> payloads.Path:
        """The path of the time that belongs to this payload's key; empty: none."""
        return self.time_paths.get(payloads.text_at(payload, "action"), self.time_path)

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        """Whether a payload without an event name is of this kind and no other."""
        return False

    def event(self, payload: Mapping[str, Any], at: datetime, delivery: str = "") -> Event:
        """The event of a payload from any source; `delivery` is the sender's id of it."""
        return Event(
            kind=self.name,
            key=self.key(payload),
            other_keys=self.other_keys(payload),
            at=at,
            payload=payload,
            subject=self.subject(payload),
            subject_key=self.subject_key(payload),
            delivery=delivery,
        )

    # --- what deciding has to look up ---------------------------------------------------------------

    def from_fork(self, payload: Mapping[str, Any], repository: str) -> bool:
        """Whether another repository than "owner/name" brings the code, so that its runs may only read."""
        return False

    def commits(self, payload: Mapping[str, Any], default_branch: str) -> CommitRange | None:
        """The range of commits whose paths the event changed; None: there is none."""
        return None

    def commit(self, payload: Mapping[str, Any], tree: Tree) -> EventCommit | None:
        """The commit that the runs of the event stand on; None: the default branch. `tree` is not "base"."""
        return None

    # --- in GitHub Actions --------------------------------------------------------------------------

    def action_events(self) -> tuple[str, ...]:
        """GitHub's names of the workflow events that this trigger hears. No two triggers hear one."""
        return ()

    is_privileged: bool = False
    """Whether a linter of workflows warns of these events whatever a job then does."""

    def workflow_events(self, skills: Sequence[SkillTrigger]) -> Mapping[str, Any]:
        """What the `on:` of the workflow that runs these skills holds, by GitHub's name of the event.

        Finer filters are decided when the workflow runs. Raises RunnerError INVALID_SKILL where GitHub cannot
        serve one of the skills.
        """
        return {}


TRIGGERS: Family[TriggerKind] = Family("triggers", "runner.triggers", TriggerKind)


def kind_of(payload: Mapping[str, Any]) -> str | None:
    """The kind of a payload, told by what is in it; None when it is none that we know."""
    found = [name for name, trigger in TRIGGERS.all().items() if trigger.recognizes(payload)]
    return found[0] if len(found) == 1 else None


def actor(payload: Mapping[str, Any]) -> str | None:
    """The login of the event's actor; None: the payload names nobody."""
    return payloads.text_at(payload, "sender", "login") or None


def action_triggers() -> Mapping[str, TriggerKind]:
    """The trigger that hears each event of GitHub Actions. Raises RunnerError where two hear the same."""
    heard: dict[str, TriggerKind] = {}
    for trigger in TRIGGERS.all().values():
        for event in trigger.action_events():
            if (other := heard.setdefault(event, trigger)) is not trigger:
                message = f"the triggers {other.name} and {trigger.name} both hear GitHub's event {event}"
                hint = "remove the package of one of them"
                raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
    return heard
