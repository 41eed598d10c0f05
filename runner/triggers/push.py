"""Commits or a tag were pushed to a GitHub repository."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from runner.core.payload import text_at
from runner.core.units import Maybe
from runner.triggers import CommitRange, KeyPart
from runner.triggers._commits import NOWHERE, are_commits
from runner.triggers.options import ChangeOptions, Globs, glob_mismatch
from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, sender, times
from runner.triggers.sources.github.lists import Item, Lists, PollSession
from runner.triggers.sources.github.trigger import GitHubTrigger
from runner.triggers.sources.github.workflow_filters import ALL


class Push(ChangeOptions):
    """Commits or a tag were pushed."""

    tags: Maybe[Globs] = Field(default=None, description="Only these tags; without `branches`, no branch")

    @property
    def _names_branches(self) -> bool:
        return self.branches is not None or self.branches_ignore is not None

    def mismatch(self, payload: Mapping[str, Any]) -> str:
        """As in GitHub's own filters: who names only branches means no tag, and the other way round."""
        ref = str(payload.get("ref"))
        if payload.get("deleted"):
            return f"{ref} was deleted"
        if ref.startswith("refs/tags/"):
            if self._names_branches and self.tags is None:
                return f"the skill names branches only, and this is {ref}"
            return glob_mismatch("tags", ref.removeprefix("refs/tags/"), self.tags)
        if self.tags is not None and not self._names_branches:
            return f"the skill names tags only, and this is {ref}"
        return self.branch_mismatch(ref.removeprefix("refs/heads/"))

    def workflow_filters(self) -> Mapping[str, Sequence[str]]:
        if self._names_branches:
            return {"branches": self.branches or ALL, "tags": self.tags or ()}
        return {"branches": ALL if self.tags is None else (), "tags": ALL if self.tags is None else self.tags}


def _read(asking: PollSession, position: Position) -> Read:
    """GitHub's "List repository activities" tells every push to a branch, and who pushed."""
    lists = Lists(asking.api, position.etags)
    rows = lists.newest("/activity", "timestamp", position.floor) or []
    fresh = [row for row in rows if position.news(row["id"], row["timestamp"])]
    heard = [PolledEvent("push", row["timestamp"], _payload(asking, row)) for row in fresh]
    return heard, position.after(times(rows, "timestamp"), lists.etags)


def _payload(asking: PollSession, row: Item) -> Item:
    before, after = row["before"], row["after"]
    commit = None if after == NOWHERE else asking.detail(f"/commits/{after}")
    return {
        "ref": row["ref"],
        "before": before,
        "after": after,
        "created": before == NOWHERE,
        "deleted": after == NOWHERE,
        "forced": row["activity_type"] == "force_push",
        "head_commit": _head_commit(commit) if commit else None,
        "pusher": {"name": (row.get("actor") or {}).get("login", "")},
        **sender(row.get("actor")),
    }


def _head_commit(commit: Item) -> Item:
    """A commit of the API in the shape of a push's."""
    inner = commit["commit"]
    return {
        "id": commit["sha"],
        "tree_id": inner["tree"]["sha"],
        "message": inner["message"],
        "timestamp": inner["committer"]["date"],
        "url": commit["html_url"],
        "author": {"name": inner["author"]["name"], "email": inner["author"]["email"]},
        "committer": {"name": inner["committer"]["name"], "email": inner["committer"]["email"]},
    }


class PushTrigger(GitHubTrigger):
    name = "push"
    options = Push
    subject_path = ("ref",)
    key_parts = (KeyPart(("ref",)), KeyPart(("before",), optional=True), KeyPart(("after",)))
    lists = (EventList(name="pushes", read=_read),)
    polled = frozenset({""})  # to branches: no list tells of tags

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        return "ref" in payload and "after" in payload

    def commits(self, payload: Mapping[str, Any], default_branch: str) -> CommitRange | None:
        before, after = text_at(payload, "before"), text_at(payload, "after")
        if not are_commits(before, after) or after == NOWHERE:
            return None
        if before == NOWHERE:
            return CommitRange(base=f"refs/heads/{default_branch}", head=after, from_fork_point=True)
        return CommitRange(base=before, head=after, from_fork_point=False)


PLUGINS = (PushTrigger,)
