"""Someone commented on an issue or a pull request of a GitHub repository."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.payload import text_at, value_at
from runner.core.units import Maybe
from runner.triggers import EventCommit, KeyPart
from runner.triggers._commits import pull_request_commit
from runner.triggers.options import (
    ActivityOptions,
    Names,
    PullRequestTreeOptions,
    Tree,
    label_mismatch,
)
from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, latest, sender, times
from runner.triggers.sources.github.lists import Lists, PollSession
from runner.triggers.sources.github.trigger import GitHubTrigger

CommentType = Literal["created", "edited", "deleted"]
Command = Annotated[str, Field(pattern=r"^/[a-z0-9][a-z0-9-]{0,38}$")]


class IssueComment(PullRequestTreeOptions, ActivityOptions):
    """Someone commented on an issue or a pull request."""

    types: Annotated[Many[CommentType], Field(min_length=1)] = ("created",)
    command: Maybe[Command] = Field(
        default=None, description="Only comments that begin with this, such as /docs"
    )
    labels: Maybe[Names] = Field(default=None, description="Only issues that have one of these labels")

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        words = text_at(payload, "comment", "body").split(maxsplit=1)
        if self.command is not None and words[:1] != [self.command]:
            return f"the comment does not begin with {self.command}"
        return label_mismatch(payload, "issue", self.labels)


def _read(asking: PollSession, position: Position) -> Read:
    lists = Lists(asking.api, position.etags)
    rows = lists.changed("/issues/comments", position.floor) or []
    heard: list[PolledEvent] = []
    for row in rows:
        if not position.news(row["id"], row["created_at"]):
            continue
        issue = asking.detail(f"/issues/{row['issue_url'].rsplit('/', 1)[-1]}")
        if issue is not None:  # else it was deleted, and the comment with it
            payload = {"action": "created", "issue": issue, "comment": row, **sender(row.get("user"))}
            heard.append(PolledEvent("issue_comment", row["created_at"], payload))
    return heard, position.after(times(rows, "created_at"), lists.etags, latest=latest(rows))


class IssueCommentTrigger(GitHubTrigger):
    name = "issue_comment"
    options = IssueComment
    subject_path = ("issue", "number")
    subject_noun = "issue"  # GitHub numbers issues and pull requests together
    key_parts = (KeyPart(("comment", "id")), KeyPart(("action",)))
    time_path = ("comment", "updated_at")
    time_paths: Mapping[str, tuple[str, ...]] = {"created": (), "deleted": ()}
    lists = (EventList(name="comments", read=_read, follows=True),)
    polled = frozenset({"created"})
    is_privileged = True

    def commit(self, payload: Mapping[str, Any], tree: Tree) -> EventCommit | None:
        """The payload of a comment on a pull request tells its number and no more."""
        if not isinstance(value_at(payload, "issue", "pull_request"), Mapping):
            return None
        return pull_request_commit(value_at(payload, "issue", "number"), tree)

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        return "comment" in payload and "issue" in payload


PLUGINS = (IssueCommentTrigger,)
