"""Which lines a review speaks of, at the commit that it is published at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.hunks import Hunk, find_line
from runner.core.payload import text_at, value_at

if TYPE_CHECKING:
    from runner.core.model import Remote, RunSpec
    from runner.publish.forges._reviews import LineComment, PullRequestHead
    from runner.workspace.changeset import Changeset

Diff = Mapping[str, Sequence[Hunk]]


@dataclass(frozen=True, slots=True)
class Placement:
    """Comments with the lines of the present head, and those that have none there, with the reason."""

    comments: "tuple[LineComment, ...]"
    left_out: "tuple[tuple[LineComment, str], ...]"


def event_commit(spec: "RunSpec", number: int) -> str:
    """The head of this pull request by the run's event; empty: it tells none."""
    event = spec.trigger.event
    is_it = value_at(event, "pull_request", "number") == number
    return text_at(event, "pull_request", "head", "sha") if is_it else ""


def agent_commit(spec: "RunSpec", head: "PullRequestHead", changeset: "Changeset", remote: "Remote") -> str:
    """The commit of the pull request that the agent had before it; empty: nobody knows.

    It is what the event tells of, else what the run stands on, where that is one of the pull request.
    """
    if (told := event_commit(spec, head.number)) or spec.base_sha == head.sha:
        return told or head.sha
    base = changeset.remote_heads(remote, head.base)[0]
    try:
        changeset.fetch(remote, head.sha, *([base] if base else []))
        is_of_it = changeset.is_ancestor(spec.base_sha, head.sha)
        return spec.base_sha if is_of_it and not (base and changeset.is_ancestor(spec.base_sha, base)) else ""
    except RunnerError:
        return ""


def changes(changeset: "Changeset", remote: "Remote", old: str, new: str) -> "Diff | None":
    """What changed between two heads; None: git cannot tell, as the old one is gone for good."""
    try:
        missing = [one for one in (old, new) if not changeset.has(one)]
        if missing:
            changeset.fetch(remote, *missing)
        return changeset.hunks(old, new)
    except RunnerError:
        return None


def fault(comment: "LineComment", diff: Diff) -> str:
    """Why a pull request with this diff takes no such comment; empty: it does."""
    hunks = diff.get(comment.path)
    if hunks is None:
        return f"speaks of {comment.path!r}, and the pull request changes no such file"
    if not hunks:
        return f"speaks of {comment.path!r}, of which the diff shows no lines: say it in `body`"
    first = comment.line if comment.start_line is None else comment.start_line
    if first > comment.line:
        return f"begins at line {first} of {comment.path!r}, after line {comment.line}, its last"
    if any(hunk.shows(comment.side, first, comment.line) for hunk in hunks):
        return ""
    shown = ", ".join(_range(hunk, comment.side) for hunk in hunks[:20])
    lines = f"line {comment.line}" if first == comment.line else f"lines {first} to {comment.line}"
    return f"speaks of {lines} of {comment.path!r} ({comment.side}), and the diff shows {shown}"


def _range(hunk: Hunk, side: str) -> str:
    start, count = (hunk.old, hunk.old_count) if side == "LEFT" else (hunk.new, hunk.new_count)
    return f"{start} to {start + count - 1}" if count else "none"


def place(comments: "Sequence[LineComment]", diff: Diff, since: "Diff | None", has_moved: bool) -> Placement:
    """Put comments that were made of an older head onto the present one. `since`: what changed meanwhile."""
    kept: list[LineComment] = []
    left_out: list[tuple[LineComment, str]] = []
    for comment in comments:
        there = _shifted(comment, since) if has_moved else comment
        why = there if isinstance(there, str) else fault(there, diff)
        if why or isinstance(there, str):
            left_out.append((comment, why))
        else:
            kept.append(there)
    return Placement(tuple(kept), tuple(left_out))


def _shifted(comment: "LineComment", since: "Diff | None") -> "LineComment | str":
    """The comment on the line where it is now, or why there is none."""
    if since is None:
        return "the branch was pushed over, and what the agent looked at is gone"
    if comment.side == "LEFT":
        return "a line that was deleted cannot be found again after a push"
    hunks = since.get(comment.path, ())
    if comment.path in since and not hunks:
        return f"{comment.path!r} was replaced"
    first = comment.line if comment.start_line is None else comment.start_line
    lines = [find_line(line, hunks) for line in range(first, comment.line + 1)]
    if None in lines or lines[-1] != (lines[0] or 0) + len(lines) - 1:
        return "a push has changed these lines since"
    start = None if comment.start_line is None else lines[0]
    return replace(comment, line=lines[-1] or 0, start_line=start)
