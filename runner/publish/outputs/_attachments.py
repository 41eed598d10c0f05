"""What hangs on a pull request, labels and reviewers: it fails nothing, and the next run tries it again."""

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.publish.outputs._marker import Marker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge, PullRequest
    from runner.publish.outputs import Offer

_REFUSED = (Reason.FORGE_DENIED, Reason.FORGE_REJECTED, Reason.FORGE_NOT_FOUND)


def attach(offer: "Offer", pull: "PullRequest", marker: Marker, forge: "Forge") -> Marker:
    """Set labels and ask reviewers that the marker does not have yet; the marker with those of now.

    What the marker has, and the pull request not, a person has taken away.
    """
    options = offer.output.options
    return replace(
        marker,
        labels=_labelled(offer, pull, marker.labels, options.get("labels", ()), forge),
        reviewers=_asked(offer, pull, marker.reviewers, options.get("reviewers", ()), forge),
    )


def _labelled(
    offer: "Offer", pull: "PullRequest", done: tuple[str, ...], wanted: "Sequence[str]", forge: "Forge"
) -> tuple[str, ...]:
    """Labels are the same in capitals and small letters, as on GitHub."""
    known = {label.casefold() for label in done}
    new = [label for label in wanted if label.casefold() not in known]
    there = {label.casefold() for label in pull.labels}
    missing = [label for label in new if label.casefold() not in there]
    try:
        forge.add_labels(pull.number, missing)
    except RunnerError as error:
        unset = {label for label in missing if not _is_set_alone(offer, pull, label, error, forge)}
        return (*done, *(label for label in new if label not in unset))
    return (*done, *new)


def _is_set_alone(
    offer: "Offer", pull: "PullRequest", label: str, error: RunnerError, forge: "Forge"
) -> bool:
    """Set one label of those that were refused together, and make it where it does not exist."""
    try:
        if error.reason not in _REFUSED:
            raise error
        forge.make_label(label)
        forge.add_labels(pull.number, [label])
    except RunnerError as refused:
        what = "make it in the repository" if refused.reason in _REFUSED else "the next run tries it again"
        offer.warn(f"the label {label} was not set on {pull.url}: {refused.message}; {what}")
        return False
    return True


def _asked(
    offer: "Offer", pull: "PullRequest", done: tuple[str, ...], wanted: "Sequence[str]", forge: "Forge"
) -> tuple[str, ...]:
    asked = list(done)
    for reviewer in wanted:
        if reviewer in asked:
            continue
        try:
            warnings = forge.request_reviewers(pull.number, [reviewer])
        except RunnerError as error:
            warnings = [f"{reviewer} was not asked for a review: {error.message}"]
        for warning in warnings:
            offer.warn(warning)
        if not warnings:
            asked.append(reviewer)
    return tuple(asked)
