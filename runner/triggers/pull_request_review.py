"""Somebody reviewed a pull request of a GitHub repository."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from runner.config.documents import Many
from runner.core.payload import text_at
from runner.core.units import Maybe
from runner.triggers import KeyPart
from runner.triggers._pull_requests import PullRequestEventOptions, PullRequestEventTrigger
from runner.triggers.options import name_mismatch
from runner.triggers.sources.github.cursor import Position, parse_time
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, latest, sender, times
from runner.triggers.sources.github.lists import Item, Lists, PollSession

ReviewType = Literal["submitted", "edited", "dismissed"]
ReviewState = Literal["approved", "changes_requested", "commented", "dismissed"]


class PullRequestReview(PullRequestEventOptions):
    """Someone reviewed a pull request."""

    types: Annotated[Many[ReviewType], Field(min_length=1)] = ("submitted",)
    states: Maybe[Annotated[Many[ReviewState], Field(min_length=1)]] = Field(
        default=None, description="Only reviews with one of these verdicts"
    )

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        state = text_at(payload, "review", "state").lower()
        return name_mismatch("states", state, self.states) or super().other_mismatch(payload)


def _read(asking: PollSession, position: Position) -> Read:
    """Only each pull request lists its reviews; a new one changes the pull request.

    `known` holds those that changed last: their lists may show a review later than the pull request does.
    """
    lists = Lists(asking.api, position.etags)
    order = {"state": "all", "sort": "updated", "direction": "desc"}
    pulls = lists.newest("/pulls", "updated_at", position.floor, **order) or []
    known = {**position.known, **{str(pull["number"]): pull["updated_at"] for pull in pulls}}
    floor = parse_time(position.floor)
    recent = {number: at for number, at in known.items() if parse_time(at) >= floor}
    rows: list[Item] = []
    heard: list[PolledEvent] = []
    for number in recent:
        found = [row for row in lists.every(f"/pulls/{number}/reviews") if row.get("submitted_at")]
        fresh = [row for row in found if position.news(row["id"], row["submitted_at"])]
        heard += (event for row in fresh for event in _event(asking, number, row))
        rows += found
    changed = [*latest(pulls), *recent.values()]
    return heard, position.after(times(rows, "submitted_at"), lists.etags, latest=changed, known=recent)


def _event(asking: PollSession, number: str, row: Item) -> Iterable[PolledEvent]:
    """A webhook writes a verdict in small letters, the list in capitals."""
    if pull := asking.pull(int(number)):
        review = {**row, "state": row["state"].lower()}
        payload = {"action": "submitted", "review": review, "pull_request": pull, **sender(row.get("user"))}
        yield PolledEvent("pull_request_review", row["submitted_at"], payload)


class PullRequestReviewTrigger(PullRequestEventTrigger):
    name = "pull_request_review"
    options = PullRequestReview
    key_parts = (KeyPart(("review", "id")), KeyPart(("action",)))
    lists = (EventList(name="reviews", read=_read, follows=True),)
    polled = frozenset({"submitted"})

    def has_only_content(self, payload: Mapping[str, Any]) -> bool:
        """A review has no time of its last change, so two edits differ in what they hold."""
        return payload.get("action") == "edited"

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        return isinstance(payload.get("review"), Mapping) and "pull_request" in payload


PLUGINS = (PullRequestReviewTrigger,)
