"""The labels by which people drive our pull requests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.publish.forges import PullRequest

TAKE_OVER = "skillrunner:take-over"
"""Gives a branch back to us, with what others have committed there."""

REBASE = "skillrunner:rebase"
"""Has the next run make the change anew on the base as it is now."""

STOP_UPDATING = "skillrunner:stop-updating"
"""Keeps us from pushing to it and writing it, until it is taken away. What is needed no more is closed."""

HOLD = "skillrunner:hold"
"""Keeps us from doing anything to it, closing it too, until it is taken away."""

ORDERS = (TAKE_OVER, REBASE)
"""Those that hold once: we take them away when we have done it."""


def has_label(pull: "PullRequest", label: str) -> bool:
    """Labels are the same in capitals and small letters, as on GitHub."""
    return label.casefold() in (one.casefold() for one in pull.labels)


def orders(pull: "PullRequest") -> tuple[str, ...]:
    """The orders that are to be carried out."""
    return tuple(label for label in ORDERS if has_label(pull, label))
