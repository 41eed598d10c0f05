"""Somebody commented on a discussion of a GitHub repository. No list tells of it, so polling does not."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.triggers import KeyPart
from runner.triggers.discussion import DiscussionOptions
from runner.triggers.sources.github.trigger import GitHubTrigger

DiscussionCommentType = Literal["created", "edited", "deleted"]


class DiscussionComment(DiscussionOptions):
    """Someone commented on a discussion."""

    types: Annotated[Many[DiscussionCommentType], Field(min_length=1)] = ("created",)


class DiscussionCommentTrigger(GitHubTrigger):
    name = "discussion_comment"
    options = DiscussionComment
    subject_path = ("discussion", "number")
    subject_noun = "discussion"
    key_parts = (KeyPart(("comment", "id")), KeyPart(("action",)))
    time_path = ("comment", "updated_at")
    time_paths: Mapping[str, tuple[str, ...]] = {"created": (), "deleted": ()}

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        return "comment" in payload and isinstance(payload.get("discussion"), Mapping)


PLUGINS = (DiscussionCommentTrigger,)
