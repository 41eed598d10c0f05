"""A release of a GitHub repository was published, edited, ..."""

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

ReleaseType = Literal["published", "unpublished", "created", "edited", "deleted", "prereleased", "released"]


class Release(ActivityOptions):
    """A release was published, edited, ..."""

    types: Annotated[Many[ReleaseType], Field(min_length=1)] = ("published",)
    tags: Maybe[Globs] = Field(default=None, description="Only releases whose tag matches")
    prereleases: bool = Field(default=True, description="Whether pre-releases count")

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        if not self.prereleases and value_at(payload, "release", "prerelease"):
            return "it is a pre-release, and `prereleases` is false"
        return glob_mismatch("tags", value_at(payload, "release", "tag_name"), self.tags)


def _read(asking: PollSession, position: Position) -> Read:
    """GitHub sorts releases by the time of their commit, so a new one may stand on any page."""
    lists = Lists(asking.api, position.etags)
    rows = [row for row in lists.every("/releases") if row.get("published_at") and not row.get("draft")]
    heard = [_event(row) for row in rows if position.news(row["id"], row["published_at"])]
    return heard, position.after(times(rows, "published_at"), lists.etags)


def _event(row: Item) -> PolledEvent:
    payload = {"action": "published", "release": row, **sender(row.get("author"))}
    return PolledEvent("release", row["published_at"], payload)


class ReleaseTrigger(GitHubTrigger):
    name = "release"
    options = Release
    subject_path = ("release", "tag_name")
    key_parts = (KeyPart(("release", "id")), KeyPart(("action",)))
    time_paths: Mapping[str, tuple[str, ...]] = {
        **dict.fromkeys(("published", "released", "prereleased"), ("release", "published_at")),
        "unpublished": ("release", "updated_at"),
    }
    lists = (EventList(name="releases", read=_read),)
    polled = frozenset({"published"})

    def has_only_content(self, payload: Mapping[str, Any]) -> bool:
        """Releases have no time of their last change, so two edits differ in what they hold."""
        return payload.get("action") == "edited"


PLUGINS = (ReleaseTrigger,)
