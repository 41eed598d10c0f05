"""Something happened to a pull request of a GitHub repository."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.payload import value_at
from runner.core.units import Maybe
from runner.triggers import KeyPart
from runner.triggers._pull_requests import PullRequestEventOptions, PullRequestEventTrigger
from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, latest, sender, times
from runner.triggers.sources.github.issue_events import CONCERNED, ISSUE_EVENTS, OF_PULL_REQUESTS
from runner.triggers.sources.github.lists import Item, Lists, PollSession
from runner.triggers.sources.github.workflow_filters import ALL

PullRequestType = Literal[
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "opened",
    "edited",
    "closed",
    "reopened",
    "synchronize",
    "converted_to_draft",
    "ready_for_review",
    "locked",
    "unlocked",
    "milestoned",
    "demilestoned",
    "review_requested",
    "review_request_removed",
    "auto_merge_enabled",
    "auto_merge_disabled",
    "enqueued",
    "dequeued",
]


class PullRequestTriggerOptions(PullRequestEventOptions):
    """Something happened to a pull request; `branches` are those that it would go to."""

    types: Annotated[Many[PullRequestType], Field(min_length=1)] = ("opened", "synchronize", "reopened")
    draft: Maybe[bool] = Field(default=None, description="Only drafts (true), only others (false)")

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        draft = bool(value_at(payload, "pull_request", "draft"))
        if self.draft is not None and draft is not self.draft:
            return f"`draft` is {str(self.draft).lower()}, and the pull request's is {str(draft).lower()}"
        return super().other_mismatch(payload)

    def workflow_filters(self) -> Mapping[str, Sequence[str]]:
        return {"types": self.types, "branches": self.branches or ALL}


def _begin(asking: PollSession) -> Position:
    """From now on; where the heads are must be known to tell when they move."""
    floor = asking.clock()
    lists = Lists(asking.api, {})
    rows = lists.newest("/pulls", "updated_at", "", state="open", sort="updated", direction="desc") or []
    return Position(floor=floor, known={str(row["number"]): row["head"]["sha"] for row in rows})


def _read(asking: PollSession, position: Position) -> Read:
    lists, heads = Lists(asking.api, position.etags), dict(position.known)
    order = {"state": "all", "sort": "updated", "direction": "desc"}
    rows = lists.newest("/pulls", "updated_at", position.floor, **order) or []
    heard: list[PolledEvent] = []
    for row in reversed(rows):
        number = str(row["number"])
        if position.news(row["id"], row["created_at"]):
            heard += _event(asking, row, "opened", row.get("user"), row["created_at"])
        elif number in heads and heads[number] != row["head"]["sha"]:
            moved = {"before": heads[number], "after": row["head"]["sha"]}
            heard += _event(asking, row, "synchronize", _pusher(asking, row), row["updated_at"], **moved)
        heads[number] = row["head"]["sha"]
        if row["state"] != "open":
            heads.pop(number)
    after = position.after(times(rows, "created_at"), lists.etags, latest=latest(rows), known=heads)
    return heard, after


def _event(
    asking: PollSession, row: Item, action: str, actor: object, at: str, **more: str
) -> Iterable[PolledEvent]:
    """A pull request as its webhook shows it, which is more than the list does; its head as the list does."""
    found = {**(asking.pull(row["number"]) or row), "head": row["head"]}
    payload = {"action": action, "number": row["number"], "pull_request": found, **more, **sender(actor)}
    yield PolledEvent("pull_request", at, payload)


def _pusher(asking: PollSession, row: Item) -> object:
    """Who moved the head, where the branch is in this repository; a fork's pushes are not told to us."""
    there = (row["head"].get("repo") or {}).get("full_name", "")
    if there.lower() != asking.api.repository.lower():
        return None
    pushes = asking.detail("/activity", ref=f"refs/heads/{row['head']['ref']}", per_page=100) or []
    return next((push["actor"] for push in pushes if push["after"] == row["head"]["sha"]), None)


class PullRequestTrigger(PullRequestEventTrigger):
    name = "pull_request"
    options = PullRequestTriggerOptions
    key_parts = (KeyPart(("pull_request", "id")), KeyPart(("action",)), *CONCERNED)
    time_path = ("pull_request", "updated_at")
    time_paths: Mapping[str, tuple[str, ...]] = {
        "opened": (),
        "synchronize": ("pull_request", "head", "sha"),
    }
    lists = (EventList(name="pulls", begin=_begin, read=_read), ISSUE_EVENTS)
    polled = OF_PULL_REQUESTS | {"opened", "synchronize"}
    aliases = ("pull_request_target",)

    def is_merged(self, payload: Mapping[str, Any]) -> bool:
        closed = payload.get("action") == "closed"
        return closed and value_at(payload, "pull_request", "merged") is True


PLUGINS = (PullRequestTrigger,)
