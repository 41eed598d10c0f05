"""Closes the skill's pull requests that nobody has touched for too long: its own, and as it left them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.units import span_text
from runner.publish.outputs import _edits, _marker
from runner.publish.outputs._labels import HOLD, has_label
from runner.publish.outputs._marker import BRANCHES, Marker
from runner.publish.outputs._options import options_of

if TYPE_CHECKING:
    from runner.publish.forges import Forge, PullRequest
    from runner.publish.outputs import Offer
    from runner.workspace.changeset import Changeset

_MOST = 10  # that one run closes
_TITLE = " (closed as stale)"


def close_stale(offer: "Offer", kept: int | None, forge: "Forge", changeset: "Changeset") -> None:
    """Close those that are old and untouched, but for the number `kept`. It fails nothing."""
    after = options_of(offer.output).close_after
    if after is None:
        return
    try:
        _close_stale(offer, timedelta(seconds=after), kept, forge, changeset)
    except RunnerError as error:
        offer.warn(f"not all stale pull requests were closed: {error.message}")


def _close_stale(
    offer: "Offer", after: timedelta, kept: int | None, forge: "Forge", changeset: "Changeset"
) -> None:
    now = datetime.now(UTC)
    found = forge.pull_requests_below(f"{BRANCHES}{offer.spec.skill.name}/", now) or ()
    old = [one for one in found if one.state == "open" and one.created_at and now - one.created_at > after]
    for pull in [one for one in old if one.number != kept][:_MOST]:
        marker = _marker.of_branch(pull.body, pull.branch, offer.signer)
        if marker is not None and _is_untouched(offer, pull, marker, forge, changeset):
            offer.stop()
            _close(offer, pull, marker, after, forge, changeset)


def _is_untouched(
    offer: "Offer", pull: "PullRequest", marker: Marker, forge: "Forge", changeset: "Changeset"
) -> bool:
    """Whether it is as we left it: title, text, branch, and nobody has said anything or opened it again."""
    (head,) = changeset.remote_heads(forge.remote(), pull.branch)
    theirs = _edits.read(pull.body, offer.signer)
    return (
        head == marker.head
        and _marker.digest(pull.title) == marker.title
        and not (theirs.above or theirs.words or any(theirs.beside.values()) or theirs.below)
        and not (marker.reopened or marker.ended or has_label(pull, HOLD))
        and all(comment.author == pull.author for comment in forge.comments(pull.number))
        and forge.was_reopened(pull.number) is False
    )


def _close(
    offer: "Offer",
    pull: "PullRequest",
    marker: Marker,
    after: timedelta,
    forge: "Forge",
    changeset: "Changeset",
) -> None:
    text = (
        f"Nobody has touched this for {span_text(after)}, so it is closed, as `close_after` of the skill"
        f" {offer.spec.skill.name} says. Reopen it to keep it; a run that needs it opens another."
    )
    forge.comment_once(pull.number, text, f"<!-- skillrunner: stale {marker.head} -->")
    ended = _marker.replace_in(pull.body, replace(marker, ended=True), offer.signer)
    forge.update(pull.number, title=f"{pull.title}{_TITLE}", body=pull.body)
    forge.close(pull.number, ended)
    changeset.delete(forge.remote(), pull.branch, marker.head)
    offer.say(f"{pull.url} is closed as stale")
