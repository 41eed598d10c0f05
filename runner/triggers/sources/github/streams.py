"""GitHub's lists -> what happened, each in the shape of its webhook.

A stream reads one list from a position on. `sender` is who GitHub says did it; where no list tells, there is
none, and nobody unknown may start what asks for a permission.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from runner.triggers.sources.github.cursor import Position
from runner.triggers.sources.github.lists import Item, Lists, PollSession

_NOWHERE = "0" * 40


@dataclass(frozen=True, slots=True)
class PolledEvent:
    kind: str
    at: str  # GitHub's time
    payload: Item


Read = tuple[list[PolledEvent], Position]

ACTIONS = {
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

_ABOUT = ("assignee", "milestone", "requested_reviewer", "requested_team")


def begin(asking: PollSession) -> Position:
    """From now on."""
    return Position(floor=asking.clock())


def releases(asking: PollSession, position: Position) -> Read:
    """GitHub sorts releases by the time of their commit, so a new one may stand on any page."""
    lists = Lists(asking.door, position.etags)
    rows = [row for row in lists.every("/releases") if row.get("published_at") and not row.get("draft")]
    heard = [
        PolledEvent(
            "release", row["published_at"], {"action": "published", "release": row, **_by(row.get("author"))}
        )
        for row in rows
        if position.news(row["id"], row["published_at"])
    ]
    return heard, position.after(_times(rows, "published_at"), lists.etags)


def issues(asking: PollSession, position: Position) -> Read:
    lists = Lists(asking.door, position.etags)
    rows = lists.changed("/issues", position.floor, state="all") or []
    heard = [
        PolledEvent("issues", row["created_at"], {"action": "opened", "issue": row, **_by(row.get("user"))})
        for row in rows
        if "pull_request" not in row and position.news(row["id"], row["created_at"])
    ]
    return heard, position.after(_times(rows, "created_at"), lists.etags, latest=_latest(rows))


def comments(asking: PollSession, position: Position) -> Read:
    lists = Lists(asking.door, position.etags)
    rows = lists.changed("/issues/comments", position.floor) or []
    heard: list[PolledEvent] = []
    for row in rows:
        if not position.news(row["id"], row["created_at"]):
            continue
        issue = asking.detail(f"/issues/{row['issue_url'].rsplit('/', 1)[-1]}")
        if issue is not None:  # else it was deleted, and the comment with it
            payload = {"action": "created", "issue": issue, "comment": row, **_by(row.get("user"))}
            heard.append(PolledEvent("issue_comment", row["created_at"], payload))
    return heard, position.after(_times(rows, "created_at"), lists.etags, latest=_latest(rows))


def issue_events(asking: PollSession, position: Position) -> Read:
    """What happened to issues and to pull requests alike."""
    lists = Lists(asking.door, position.etags)
    rows = lists.newest("/issues/events", "created_at", position.floor) or []
    heard: list[PolledEvent] = []
    for row in rows:
        if row.get("event") in ACTIONS and row.get("issue") and position.news(row["id"], row["created_at"]):
            heard += _issue_event(asking, row)
    return heard, position.after(_times(rows, "created_at"), lists.etags)


def _issue_event(asking: PollSession, row: Item) -> Iterable[PolledEvent]:
    issue, at = row["issue"], row["created_at"]
    kind = "pull_request" if issue.get("pull_request") else "issues"
    if kind not in asking.wanted:
        return
    about = asking.pull(issue["number"]) if kind == "pull_request" else issue
    if about is None:
        return
    actor = row.get("assigner") or row.get("review_requester") or row.get("actor")  # `actor` may be whom
    payload = {
        "action": ACTIONS[row["event"]],
        "number": issue["number"],
        "pull_request" if kind == "pull_request" else "issue": {**about, "updated_at": at},
        **{name: row[name] for name in _ABOUT if row.get(name)},
        **_by(actor),
    }
    if label := row.get("label"):
        payload["label"] = next((one for one in about["labels"] if one["name"] == label["name"]), label)
    yield PolledEvent(kind, at, payload)


def begin_pulls(asking: PollSession) -> Position:
    """From now on; where the heads are must be known to tell when they move."""
    floor = asking.clock()
    lists = Lists(asking.door, {})
    rows = lists.newest("/pulls", "updated_at", "", state="open", sort="updated", direction="desc") or []
    return Position(floor=floor, known={str(row["number"]): row["head"]["sha"] for row in rows})


def pulls(asking: PollSession, position: Position) -> Read:
    lists, heads = Lists(asking.door, position.etags), dict(position.known)
    order = {"state": "all", "sort": "updated", "direction": "desc"}
    rows = lists.newest("/pulls", "updated_at", position.floor, **order) or []
    heard: list[PolledEvent] = []
    for row in reversed(rows):
        number = str(row["number"])
        if position.news(row["id"], row["created_at"]):
            heard += _pull(asking, row, "opened", row.get("user"), row["created_at"])
        elif number in heads and heads[number] != row["head"]["sha"]:
            moved = {"before": heads[number], "after": row["head"]["sha"]}
            heard += _pull(asking, row, "synchronize", _pusher(asking, row), row["updated_at"], **moved)
        heads[number] = row["head"]["sha"]
        if row["state"] != "open":
            heads.pop(number)
    after = position.after(_times(rows, "created_at"), lists.etags, latest=_latest(rows), known=heads)
    return heard, after


def _pull(
    asking: PollSession, row: Item, action: str, actor: Any, at: str, **more: str
) -> Iterable[PolledEvent]:
    """A pull request as its webhook shows it, which is more than the list does; its head as the list does."""
    found = {**(asking.pull(row["number"]) or row), "head": row["head"]}
    payload = {"action": action, "number": row["number"], "pull_request": found, **more, **_by(actor)}
    yield PolledEvent("pull_request", at, payload)


def _pusher(asking: PollSession, row: Item) -> Any:
    """Who moved the head, where the branch is in this repository; a fork's pushes are not told to us."""
    there = (row["head"].get("repo") or {}).get("full_name", "")
    if there.lower() != asking.door.repository.lower():
        return None
    pushes = asking.detail("/activity", ref=f"refs/heads/{row['head']['ref']}", per_page=100) or []
    return next((push["actor"] for push in pushes if push["after"] == row["head"]["sha"]), None)


def pushes(asking: PollSession, position: Position) -> Read:
    """GitHub's "List repository activities" tells every push to a branch, and who pushed."""
    lists = Lists(asking.door, position.etags)
    rows = lists.newest("/activity", "timestamp", position.floor) or []
    fresh = [row for row in rows if position.news(row["id"], row["timestamp"])]
    heard = [PolledEvent("push", row["timestamp"], _push(asking, row)) for row in fresh]
    return heard, position.after(_times(rows, "timestamp"), lists.etags)


def _push(asking: PollSession, row: Item) -> Item:
    before, after = row["before"], row["after"]
    commit = None if after == _NOWHERE else asking.detail(f"/commits/{after}")
    return {
        "ref": row["ref"],
        "before": before,
        "after": after,
        "created": before == _NOWHERE,
        "deleted": after == _NOWHERE,
        "forced": row["activity_type"] == "force_push",
        "head_commit": _head_commit(commit) if commit else None,
        "pusher": {"name": (row.get("actor") or {}).get("login", "")},
        **_by(row.get("actor")),
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


def _by(user: Any) -> Item:
    return {"sender": user if isinstance(user, dict) else {}}


def _times(rows: Iterable[Item], name: str) -> Iterable[tuple[object, str | None]]:
    return [(row["id"], row.get(name)) for row in rows]


def _latest(rows: Iterable[Item]) -> list[str]:
    return [row["updated_at"] for row in rows]
