"""What a trigger has that hears an event of GitHub's: by webhook, by polling, and in the Action."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.payload import scalar_at, text_at
from runner.triggers import TRIGGERS, SkillTrigger, TriggerKind
from runner.triggers._event_key import minute_keys
from runner.triggers.sources.github.event_list import EventList
from runner.triggers.sources.github.workflow_filters import union

_OF_OTHERS = frozenset({"review", "comment", "thread", "deployment", "deployment_status"})
"""Objects of events that show what they are about as another event does: a review its pull request."""


class GitHubTrigger(TriggerKind):
    """An event of GitHub's; `name` is GitHub's own name of it, in `X-GitHub-Event` as under `on:`.

    Without more than `name` and `options` it is heard by webhook and in the Action. For the worker's polling,
    `lists` name what is read.
    """

    lists: tuple[EventList, ...] = ()
    """GitHub's lists that tell of these events."""

    polled: frozenset[str] = frozenset()
    """The activities that those lists always tell of; "" where payloads name no activity."""

    aliases: tuple[str, ...] = ()
    """Other workflow events of GitHub's that tell the same, under other rights."""

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        return isinstance(payload.get(self.name), Mapping) and not _OF_OTHERS & payload.keys()

    def other_keys(self, payload: Mapping[str, Any]) -> tuple[str, ...]:
        path = self.time_of(payload)
        if text_at(payload, "action") not in self.polled or path != self.time_path:
            return ()
        return minute_keys(self.stem(payload), scalar_at(payload, *path))

    def action_events(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    def workflow_events(self, skills: Sequence[SkillTrigger]) -> Mapping[str, Any]:
        return {self.name: union([one.options.workflow_filters() for one in skills])} if skills else {}


def github_triggers() -> Mapping[str, GitHubTrigger]:
    """The triggers that hear GitHub, by the name of their event."""
    return {name: one for name, one in TRIGGERS.all().items() if isinstance(one, GitHubTrigger)}
