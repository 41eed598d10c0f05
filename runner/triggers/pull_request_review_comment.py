"""Somebody commented on lines that a pull request of a GitHub repository changes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.triggers import KeyPart
from runner.triggers._pull_requests import PullRequestEventOptions, PullRequestEventTrigger
from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, latest, sender, times
from runner.triggers.sources.github.lists import Lists, PollSession

ReviewCommentType = Literal["created", "edited", "deleted"]


class PullRequestReviewComment(PullRequestEventOptions):
    """Someone commented on lines that a pull request changes."""

    types: Annotated[Many[ReviewCommentType], Field(min_length=1)] = ("created",)


def _read(asking: PollSession, position: Position) -> Read:
    lists = Lists(asking.api, position.etags)
    rows = lists.changed("/pulls/comments", position.floor) or []
    heard: list[PolledEvent] = []
    for row in rows:
        if not position.news(row["id"], row["created_at"]):
            continue
        pull = asking.pull(int(row["pull_request_url"].rsplit("/", 1)[-1]))
        if pull is not None:  # else the repository has it no more
            payload = {"action": "created", "comment": row, "pull_request": pull, **sender(row.get("user"))}
            heard.append(PolledEvent("pull_request_review_comment", row["created_at"], payload))
    return heard, position.after(times(rows, "created_at"), lists.etags, latest=latest(rows))


class PullRequestReviewCommentTrigger(PullRequestEventTrigger):
    name = "pull_request_review_comment"
    options = PullRequestReviewComment
    key_parts = (KeyPart(("comment", "id")), KeyPart(("action",)))
    time_path = ("comment", "updated_at")
    time_paths: Mapping[str, tuple[str, ...]] = {"created": (), "deleted": ()}
    lists = (EventList(name="review_comments", read=_read, follows=True),)
    polled = frozenset({"created"})

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        inside = isinstance(payload.get("comment"), Mapping) and "issue" not in payload
        return inside and isinstance(payload.get("pull_request"), Mapping)


PLUGINS = (PullRequestReviewCommentTrigger,)
