"""Whether an open pull request is pushed to again, and when it is left as it is."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.units import span_text
from runner.publish.outputs._labels import HOLD, REBASE, STOP_UPDATING, has_label
from runner.publish.outputs._options import options_of

if TYPE_CHECKING:
    from runner.publish.forges import Forge, PullRequest
    from runner.publish.outputs import Offer
    from runner.publish.outputs._commits import BranchCommits
    from runner.publish.outputs._target import Target
    from runner.workspace.changeset import Changeset


def is_same_change(
    offer: "Offer", target: "Target", commits: "BranchCommits", tree: str, changeset: "Changeset"
) -> bool:
    """Whether the branch makes this change already, so that a push would tell nobody anything new.

    That it was made on an older base is no other change, as long as git merges the two by itself; with
    `rebase: behind` it is, and where somebody has asked for it by the label.
    """
    if not commits.as_pushed or target.marker is None or target.head is None:
        return False
    wanted = target.open is not None and has_label(target.open, REBASE)
    behind = is_behind(target, changeset)
    if behind and (wanted or options_of(offer.output).rebase == "behind"):
        return False
    same = target.marker.patch == offer.proposal.patch_sha256
    return same or (behind and changeset.merge_commits(target.base, target.head) == tree)


def is_behind(target: "Target", changeset: "Changeset") -> bool:
    return target.head is not None and not changeset.is_ancestor(target.base, target.head)


def respect_labels(target: "Target") -> None:
    """Raises RunnerError LEFT_ALONE where somebody has said by a label that nothing is to be done."""
    for label in (HOLD, STOP_UPDATING):
        if target.open is not None and has_label(target.open, label):
            hint = f"to have it kept up to date again, take the label {label} away"
            raise _left_alone(target.open, f"it has the label {label}", hint)


def respect_what_is_left_alone(
    offer: "Offer", target: "Target", forge: "Forge", changeset: "Changeset"
) -> None:
    """Raises RunnerError LEFT_ALONE where nothing may be pushed to the open pull request now."""
    if target.open is not None and (found := _why(offer, target, target.open, forge, changeset)):
        raise _left_alone(target.open, *found)


def _left_alone(pull: "PullRequest", why: str, hint: str) -> RunnerError:
    message = f"{pull.url} is left as it is: {why}"
    return RunnerError(Phase.PUBLISH, Reason.LEFT_ALONE, message, hint=hint)


def _why(
    offer: "Offer", target: "Target", pull: "PullRequest", forge: "Forge", changeset: "Changeset"
) -> tuple[str, str] | None:
    """(why, what to do) where it is left alone."""
    if forge.is_queued(pull.number):
        return "it is in the merge queue, which a push would take it out of", "run it again after the merge"
    options = options_of(offer.output)
    if has_label(pull, REBASE):
        return None
    ask = f"to have it made anew once, {forge.how_to_label(pull.number, REBASE)}"
    if options.stop_after is not None and (age := _age(pull)) > timedelta(seconds=options.stop_after):
        most = span_text(timedelta(seconds=options.stop_after))
        return f"it is open for {span_text(age)}, and `stop_after` is {most}", ask
    if options.rebase == "never" and _conflicts(target, changeset):
        return f"it conflicts with {target.base_ref}, and `rebase` is never", ask
    return None


def _age(pull: "PullRequest") -> timedelta:
    return datetime.now(UTC) - pull.created_at if pull.created_at else timedelta(0)


def _conflicts(target: "Target", changeset: "Changeset") -> bool:
    return target.head is not None and not isinstance(changeset.merge_commits(target.base, target.head), str)
