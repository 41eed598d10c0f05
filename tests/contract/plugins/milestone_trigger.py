"""A trigger: a milestone of a GitHub repository was created, closed, ..."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.payload import value_at
from runner.core.units import Maybe
from runner.triggers import KeyPart
from runner.triggers.options import ActivityOptions, Globs, glob_mismatch
from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, sender, times
from runner.triggers.sources.github.lists import Item, Lists, PollSession
from runner.triggers.sources.github.trigger import GitHubTrigger


class Milestone(ActivityOptions):
    """A milestone was created, closed, ..."""

    types: Annotated[
        Many[Literal["created", "closed", "opened", "edited", "deleted"]], Field(min_length=1)
    ] = ("created",)
    titles: Maybe[Globs] = Field(default=None, description="Only milestones whose title matches")

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        return glob_mismatch("titles", value_at(payload, "milestone", "title"), self.titles)


def _read(asking: PollSession, position: Position) -> Read:
    lists = Lists(asking.api, position.etags)
    rows = list(lists.every("/milestones", state="all"))
    heard = [_created(row) for row in rows if position.news(row["id"], row["created_at"])]
    return heard, position.after(times(rows, "created_at"), lists.etags)


def _created(row: Item) -> PolledEvent:
    payload = {"action": "created", "milestone": row, **sender(row.get("creator"))}
    return PolledEvent("milestone", row["created_at"], payload)


class MilestoneTrigger(GitHubTrigger):
    name = "milestone"
    options = Milestone
    subject_path = ("milestone", "title")
    key_parts = (KeyPart(("milestone", "id")), KeyPart(("action",)))
    time_path = ("milestone", "updated_at")
    time_paths: Mapping[str, tuple[str, ...]] = {"created": (), "deleted": ()}
    lists = (EventList(name="milestones", read=_read),)
    polled = frozenset({"created"})

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        """An issue that got a milestone has one as well."""
        return super().recognizes(payload) and not {"issue", "pull_request"} & payload.keys()


PLUGINS = (MilestoneTrigger,)
