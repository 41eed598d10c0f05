"""Something happened to an issue of a GitHub repository."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.units import Maybe
from runner.triggers import KeyPart
from runner.triggers.options import ActivityOptions, Names, label_mismatch
from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, latest, sender, times
from runner.triggers.sources.github.issue_events import CONCERNED, ISSUE_EVENTS, OF_ISSUES
from runner.triggers.sources.github.lists import Item, Lists, PollSession
from runner.triggers.sources.github.trigger import GitHubTrigger

IssueType = Literal[
    "opened",
    "edited",
    "deleted",
    "transferred",
    "pinned",
    "unpinned",
    "closed",
    "reopened",
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "locked",
    "unlocked",
    "milestoned",
    "demilestoned",
    "typed",
    "untyped",
]


class Issues(ActivityOptions):
    """Something happened to an issue."""

    types: Annotated[Many[IssueType], Field(min_length=1)] = ("opened",)
    labels: Maybe[Names] = Field(default=None, description="Only issues that have one of these labels")

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        return label_mismatch(payload, "issue", self.labels)


def _read(asking: PollSession, position: Position) -> Read:
    lists = Lists(asking.api, position.etags)
    rows = lists.changed("/issues", position.floor, state="all") or []
    heard = [
        _event(row)
        for row in rows
        if "pull_request" not in row and position.news(row["id"], row["created_at"])
    ]
    return heard, position.after(times(rows, "created_at"), lists.etags, latest=latest(rows))


def _event(row: Item) -> PolledEvent:
    payload = {"action": "opened", "issue": row, **sender(row.get("user"))}
    return PolledEvent("issues", row["created_at"], payload)


class IssuesTrigger(GitHubTrigger):
    name = "issues"
    options = Issues
    subject_path = ("issue", "number")
    subject_noun = "issue"  # GitHub numbers issues and pull requests together
    key_parts = (KeyPart(("issue", "id")), KeyPart(("action",)), *CONCERNED)
    time_path = ("issue", "updated_at")
    time_paths: Mapping[str, tuple[str, ...]] = {"opened": (), "deleted": ()}
    lists = (EventList(name="issues", read=_read), ISSUE_EVENTS)
    polled = OF_ISSUES | {"opened"}

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        return isinstance(payload.get("issue"), Mapping) and "comment" not in payload


PLUGINS = (IssuesTrigger,)
