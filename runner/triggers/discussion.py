"""Something happened to a discussion of a GitHub repository. No list tells of it, so polling does not."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.payload import value_at
from runner.core.units import Maybe
from runner.triggers import KeyPart
from runner.triggers.options import ActivityOptions, Names, label_mismatch, name_mismatch
from runner.triggers.sources.github.issue_events import CONCERNED
from runner.triggers.sources.github.trigger import GitHubTrigger

DiscussionType = Literal[
    "created",
    "edited",
    "deleted",
    "transferred",
    "pinned",
    "unpinned",
    "labeled",
    "unlabeled",
    "locked",
    "unlocked",
    "category_changed",
    "answered",
    "unanswered",
]


class DiscussionOptions(ActivityOptions):
    """Which discussions."""

    categories: Maybe[Names] = Field(default=None, description="Only discussions of these categories")
    labels: Maybe[Names] = Field(default=None, description="Only discussions that have one of these labels")

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        category = value_at(payload, "discussion", "category", "name")
        mismatch = name_mismatch("categories", category, self.categories)
        return mismatch or label_mismatch(payload, "discussion", self.labels)


class Discussion(DiscussionOptions):
    """Something happened to a discussion."""

    types: Annotated[Many[DiscussionType], Field(min_length=1)] = ("created",)


class DiscussionTrigger(GitHubTrigger):
    name = "discussion"
    options = Discussion
    subject_path = ("discussion", "number")
    key_parts = (KeyPart(("discussion", "id")), KeyPart(("action",)), *CONCERNED)
    time_path = ("discussion", "updated_at")
    time_paths: Mapping[str, tuple[str, ...]] = {"created": (), "deleted": ()}


PLUGINS = (DiscussionTrigger,)
