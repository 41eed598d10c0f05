"""GitHub's list of what happened to issues and to pull requests alike."""

from collections.abc import Iterable

from runner.triggers import KeyPart
from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.event_list import EventList, PolledEvent, Read, sender, times
from runner.triggers.sources.github.lists import Item, Lists, PollSession

_ACTIVITIES = {
    name: name
    for name in (
        "closed",
        "reopened",
        "labeled",
        "unlabeled",
        "assigned",
        "unassigned",
        "milestoned",
        "demilestoned",
        "locked",
        "unlocked",
        "pinned",
        "unpinned",
        "review_requested",
        "review_request_removed",
        "ready_for_review",
    )
} | {"convert_to_draft": "converted_to_draft"}
"""GitHub's "Issue event types" -> the webhook's activity."""

_OF_PULL_REQUESTS = frozenset(
    {"review_requested", "review_request_removed", "ready_for_review", "converted_to_draft"}
)
OF_ISSUES = frozenset(_ACTIVITIES.values()) - _OF_PULL_REQUESTS
OF_PULL_REQUESTS = frozenset(_ACTIVITIES.values()) - {"pinned", "unpinned"}

# Two labels, or two people, can come to an issue within the same second. GitHub's issue events tell a label
# and a milestone by their names alone, so these are what a webhook's payload is read for too.
CONCERNED = (
    KeyPart(("label", "name"), optional=True, is_free_text=True),
    KeyPart(("milestone", "title"), optional=True, is_free_text=True),
    KeyPart(("assignee", "node_id"), optional=True),
    KeyPart(("requested_reviewer", "node_id"), optional=True),
    KeyPart(("requested_team", "node_id"), optional=True),
)
"""What tells two events of one activity on one issue apart."""

_ABOUT = ("assignee", "milestone", "requested_reviewer", "requested_team")


def _read(asking: PollSession, position: Position) -> Read:
    lists = Lists(asking.api, position.etags)
    rows = lists.newest("/issues/events", "created_at", position.floor) or []
    heard: list[PolledEvent] = []
    for row in rows:
        known = row.get("event") in _ACTIVITIES and row.get("issue")
        if known and position.news(row["id"], row["created_at"]):
            heard += _event(asking, row)
    return heard, position.after(times(rows, "created_at"), lists.etags)


def _event(asking: PollSession, row: Item) -> Iterable[PolledEvent]:
    issue, at = row["issue"], row["created_at"]
    kind = "pull_request" if issue.get("pull_request") else "issues"
    if kind not in asking.wanted:
        return
    about = asking.pull(issue["number"]) if kind == "pull_request" else issue
    if about is None:
        return
    actor = row.get("assigner") or row.get("review_requester") or row.get("actor")  # `actor` may be whom
    payload = {
        "action": _ACTIVITIES[row["event"]],
        "number": issue["number"],
        "pull_request" if kind == "pull_request" else "issue": {**about, "updated_at": at},
        **{name: row[name] for name in _ABOUT if row.get(name)},
        **sender(actor),
    }
    if label := row.get("label"):
        payload["label"] = next((one for one in about["labels"] if one["name"] == label["name"]), label)
    yield PolledEvent(kind, at, payload)


ISSUE_EVENTS = EventList(name="issue_events", read=_read, follows=True)
