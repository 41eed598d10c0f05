"""The commit that the forge makes and signs, and what it says of the signature afterwards."""

from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.publish.outputs import RUN_TRAILER
from runner.publish.outputs._message import commit_message
from runner.publish.outputs._options import options_of

if TYPE_CHECKING:
    from runner.publish.forges import Forge
    from runner.publish.outputs import Offer
    from runner.publish.outputs._target import Target
    from runner.workspace.changeset import Changeset

_REFUSED = (Reason.FORGE_DENIED, Reason.FORGE_REJECTED, Reason.FORGE_NOT_FOUND)


def push_signed(
    offer: "Offer", target: "Target", tree: str, changeset: "Changeset", forge: "Forge"
) -> str | None:
    """Have the forge make the commit and move the branch to it; None: git has to do it.

    Where the forge cannot make the very tree that was checked, git does it, unsigned, with a warning.
    """
    if options_of(offer.output).commits != "api":
        return None
    commits = forge.signed_commits()
    if commits is None:
        offer.warn(f"the commit is not signed: {forge.name} makes no commits")
        return None
    try:
        edits = changeset.edits(target.base, tree)
        made = commits.make(target.base, changeset.tree_of(target.base), edits, commit_message(offer))
    except RunnerError as error:
        if error.reason not in _REFUSED:
            raise
        offer.warn(f"the commit is not signed, as {forge.name} refused to make it: {error.message}")
        return None
    if made.tree != tree:
        offer.warn(f"the commit is not signed, as {forge.name} made another tree of it: {made.tree[:12]}")
        return None
    offer.say(f"moving {target.branch} to {made.sha[:12]}")  # on the record before it is out
    try:
        commits.move(target.branch, target.head, made.sha)
    except RunnerError as error:
        if error.reason not in _REFUSED:
            raise
        offer.warn(f"the commit is not signed, as {forge.name} did not move the branch: {error.message}")
        return None
    return made.sha


def tell_verification(offer: "Offer", sha: str, forge: "Forge") -> None:
    """What the forge says of the commit's signature: asked, not guessed. It fails nothing."""
    commits = forge.signed_commits() if options_of(offer.output).commits == "api" else None
    if commits is None:
        return
    try:
        found = commits.verification(sha)
    except RunnerError as error:
        offer.warn(f"whether the commit {sha[:12]} is verified is not known: {error.message}")
        return
    if found.verified:
        offer.say(f"{forge.name} says that the commit {sha[:12]} is verified")
    else:
        hint = "only the commits of an App's token are signed"
        offer.warn(f"{forge.name} says that the commit {sha[:12]} is not verified ({found.reason}): {hint}")


def is_left_by_this_run(offer: "Offer", target: "Target", tree: str, changeset: "Changeset") -> bool:
    """Whether the branch holds nothing but this very change, by an attempt of this run that was killed.

    The forge is the committer then, and so is it of what people commit in its pages.
    """
    if target.head is None or (target.marker is not None and target.marker.head == target.head):
        return False
    found = changeset.first_parents(target.head, target.base)
    return (
        len(found) == 1
        and found[0].parents == (target.base,)
        and found[0].tree == tree
        and f"\n{RUN_TRAILER}: {offer.run_id}\n" in f"{found[0].message}\n"
    )
