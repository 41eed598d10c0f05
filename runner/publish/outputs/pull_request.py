"""One pull request for each skill and key, kept up to date. Every step is safe to repeat.

Killed between any two steps and started again, it finds what it left: a pushed branch by its tree, a pull
request by its branch, and by the hidden marker in the body what was proposed and what hangs on it.
"""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from runner.config.documents import Model
from runner.core.errors import RunnerError
from runner.core.model import OutputSpec, Phase, Reason, Receipt, RunSpec
from runner.publish.outputs import (
    RUN_TRAILER,
    Offer,
    Output,
    Start,
    _limits,
    _marker,
    _people,
    _rebase,
    _signed,
    _stale,
)
from runner.publish.outputs._attachments import attach
from runner.publish.outputs._body import body
from runner.publish.outputs._commits import BranchCommits
from runner.publish.outputs._item import attempt
from runner.publish.outputs._labels import HOLD, has_label, orders
from runner.publish.outputs._marker import Marker, branch
from runner.publish.outputs._message import commit_message, title_of
from runner.publish.outputs._options import Declaration, PullRequestOptions
from runner.publish.outputs._target import Target, find_target, key_of

if TYPE_CHECKING:  # what only publishing needs is not loaded to check a skill
    from collections.abc import Mapping, Sequence

    from runner.publish.forges import Forge, PullRequest
    from runner.workspace.changeset import Changeset, Conflict


class PullRequestOutput(Output):
    name = "pull_request"
    options = PullRequestOptions
    declares = Declaration
    files = True
    permissions: ClassVar = {"contents": "write", "pull-requests": "write"}

    def permissions_for(self, options: Model) -> "Mapping[str, str]":
        refused = "on_refused" in type(options).model_fields and options.model_dump()["on_refused"]
        return {**self.permissions, "issues": "write"} if refused == "issue" else self.permissions

    def base_branch(self, options: Model) -> str | None:
        return options.base if isinstance(options, PullRequestOptions) else None

    def labels(self, options: Model) -> "Sequence[str]":
        return options.labels if isinstance(options, PullRequestOptions) else ()

    def preview(self, spec: RunSpec, output: OutputSpec) -> "Sequence[tuple[str, str]]":
        name = branch(spec.skill.name, key_of(spec, output))
        return (("branch", name), ("title", str(output.options.get("title"))))

    def hold(self, output: OutputSpec, start: Start, forge: "Forge") -> str:
        return _limits.why_held(output, start, forge)

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Push the change and open the pull request, or update the one that is there.

        Raises RunnerError where nothing is published: NO_CHANGES, CONFLICT, HUMAN_COMMIT, CLOSED_BY_HUMAN,
        VERIFICATION_FAILED, BRANCH_MOVED, or what git or the forge said.
        """
        try:
            return _publish_and_close_stale(offer, forge, changeset)
        except RunnerError as error:
            if error.reason is not Reason.BRANCH_MOVED:
                raise
            offer.say(f"{error.message}; looking at what is there now")
        return _publish_and_close_stale(offer, forge, changeset)

    def withdraw(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt | None:
        return _withdraw(offer, find_target(offer, forge, changeset), forge, changeset)


PLUGINS = (PullRequestOutput,)


_UNTIL_CHECKS = "until_checks"


def _publish_and_close_stale(offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
    receipt = _publish(offer, forge, changeset)
    _stale.close_stale(offer, receipt.number, forge, changeset)
    return receipt


def _publish(offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
    target = find_target(offer, forge, changeset)
    tree = _tree(offer, target, changeset)
    _people.respect_a_closed_one(offer, target, forge)
    _people.respect_another_key(offer, target)
    _rebase.respect_labels(target)
    is_left = _signed.is_left_by_this_run(offer, target, tree, changeset)
    commits = BranchCommits() if is_left else target.commits(offer, changeset)
    _people.respect_commits(offer, target, forge, commits)
    _people.respect_readiness(offer, target)
    is_same = _rebase.is_same_change(offer, target, commits, tree, changeset)
    offer = _with_readiness(offer, target, is_same, forge)
    if target.open is not None and target.marker is not None and is_same and _is_proposed(offer, target):
        action = "adopted" if _is_of_this_run(offer, target, changeset) else "unchanged"
        _attach(offer, target.open, target.marker, target.open.body, forge)
        return _receipt(offer, target, target.open, target.head or "", action)
    _rebase.respect_what_is_left_alone(offer, target, forge, changeset)
    offer.stop()
    sha = target.head if is_same and target.head else _push(offer, target, tree, changeset, forge)
    offer.stop()
    _signed.tell_verification(offer, sha, forge)
    pull, action = _open_or_update(offer, target, sha, forge)
    return _receipt(offer, target, pull, sha, action)


def _tree(offer: Offer, target: Target, changeset: "Changeset") -> str:
    """The tree to publish: the patch on the pinned base, taken over onto the base as it is now."""
    pinned = offer.spec.base_sha
    tree: str | Conflict = changeset.apply(pinned, offer.patch)
    if target.base != pinned:
        tree = changeset.merge(pinned, target.base, str(tree))
    if not isinstance(tree, str):
        paths = ", ".join(tree.paths)
        raise RunnerError(
            Phase.PUBLISH,
            Reason.CONFLICT,
            f"{offer.spec.base_ref} has moved from {pinned[:12]} to {target.base[:12]}; both changed {paths}",
            hint="run it again: it then starts from the new commit",
            retryable=True,
        )
    if tree == changeset.tree_of(target.base):
        message = f"the change is already in {offer.spec.base_ref}"
        raise RunnerError(Phase.PUBLISH, Reason.NO_CHANGES, message)
    return tree


def _is_proposed(offer: Offer, target: Target) -> bool:
    """Whether the open pull request says of the same change all of this already."""
    found, pull = target.marker, target.open
    return (
        found is not None
        and pull is not None
        and found.verified == offer.verified
        and (not _is_draft_as_told(pull, found) or pull.draft == _is_draft(offer))
        and (not _has_base_as_told(pull, found) or pull.base == target.base_ref)
        and not orders(pull)
    )


def _is_of_this_run(offer: Offer, target: Target, changeset: "Changeset") -> bool:
    """Whether an attempt of the same run pushed it, and was killed before it could tell."""
    trailer = f"\n{RUN_TRAILER}: {offer.run_id}\n"
    return any(trailer in one.message for one in changeset.commits(target.base, target.head or target.base))


def _with_readiness(offer: Offer, target: Target, is_same: bool, forge: "Forge") -> Offer:
    """The offer, with `draft: until_checks` as what it means now: the checks are of what is open."""
    if offer.output.options.get("draft") != _UNTIL_CHECKS:
        return offer
    passed = is_same and target.open is not None and forge.checks_passed(target.head or "")
    options = {**offer.output.options, "draft": not passed}
    return replace(offer, output=replace(offer.output, options=options))


def _is_draft(offer: Offer) -> bool:
    return bool(offer.output.options.get("draft", True)) or not offer.verified


def _is_draft_as_told(pull: "PullRequest", found: Marker | None) -> bool:
    """Whether it is a draft, or ready, as we made it; otherwise a person has changed that."""
    return found is None or found.draft in (None, pull.draft)


def _has_base_as_told(pull: "PullRequest", found: Marker | None) -> bool:
    """Whether it goes to the branch that we had it go to; otherwise a person has changed that."""
    return found is None or found.base in ("", pull.base)


def _push(offer: Offer, target: Target, tree: str, changeset: "Changeset", forge: "Forge") -> str:
    """The commit that the branch is on afterwards; nothing is pushed that is there already."""
    if target.head is not None and changeset.tree_of(target.head) == tree:
        ours = changeset.commits(target.base, target.head)
        if len(ours) == 1 and ours[0].parents == (target.base,):
            return target.head
    if signed := _signed.push_signed(offer, target, tree, changeset, forge):
        return signed
    sha = changeset.commit(
        tree, [target.base], commit_message(offer), offer.bot.name, offer.bot.email, datetime.now(UTC)
    )
    offer.say(f"pushing {sha[:12]} to {target.branch}")  # on the record before it is out
    changeset.push(target.remote, sha, target.branch, target.head)
    return sha


def _open_or_update(offer: Offer, target: Target, sha: str, forge: "Forge") -> "tuple[PullRequest, str]":
    if target.open is not None:
        _update(offer, target, target.open, sha, forge)
        return target.open, "updated"
    from runner.publish.forges import NewPullRequest

    made = _new_marker(offer, sha)
    text = body(offer, made)
    new = NewPullRequest(
        branch=target.branch, base=target.base_ref, title=title_of(offer), body=text, draft=_is_draft(offer)
    )
    pull, created = forge.create(new)
    if not created:
        _update(offer, target, pull, sha, forge)
        return pull, "adopted"
    _attach(offer, pull, made, text, forge)
    return pull, "created"


def _new_marker(offer: Offer, sha: str) -> Marker:
    return Marker(
        skill=offer.spec.skill.name,
        key=key_of(offer.spec, offer.output),
        cause=offer.spec.trigger.key,
        head=sha,
        patch=offer.proposal.patch_sha256,
        verified=offer.verified,
        title=_marker.digest(title_of(offer)),
        base=offer.spec.base_ref,
        draft=_is_draft(offer),
    )


def _update(offer: Offer, target: Target, pull: "PullRequest", sha: str, forge: "Forge") -> None:
    """Bring an open pull request up to date, but for what a person has changed in it."""
    made, found = _new_marker(offer, sha), _marker.of_branch(pull.body, target.branch, offer.signer)
    title = title_of(offer)
    if found is not None:
        reopened = found.reopened or found.ended  # it is open, so somebody has opened it again
        made = replace(made, labels=found.labels, reviewers=found.reviewers, reopened=reopened)
        if found.title and _marker.digest(pull.title) != found.title:
            title, made = pull.title, replace(made, title=found.title)
    if not _has_base_as_told(pull, found):  # a person decided
        made = replace(made, base=found.base if found else "")
    elif pull.base != target.base_ref and not attempt(
        offer, lambda: forge.set_base(pull.number, target.base_ref)
    ):
        made = replace(made, base=pull.base)
    if not _is_draft_as_told(pull, found):  # a person decided
        made = replace(made, draft=found.draft if found else None)
    elif pull.draft != made.draft and not attempt(
        offer, lambda: forge.set_draft(pull.number, not pull.draft)
    ):
        made = replace(made, draft=pull.draft)
    text = body(offer, made, pull.body)
    forge.update(pull.number, title=title, body=text)
    _attach(offer, replace(pull, title=title), made, text, forge)


def _attach(offer: Offer, pull: "PullRequest", marker: Marker, text: str, forge: "Forge") -> None:
    """Labels and reviewers; then the body says which of them were set, so that no run sets them twice."""
    for label in orders(pull):
        attempt(offer, partial(forge.remove_label, pull.number, label))
    written = _marker.read(text, offer.signer) or marker
    made = attach(offer, pull, written, forge)
    if made != written:
        text = _marker.replace_in(text, made, offer.signer)
        attempt(offer, lambda: forge.update(pull.number, title=pull.title, body=text))


def _withdraw(offer: Offer, target: Target, forge: "Forge", changeset: "Changeset") -> Receipt | None:
    """Close what is open and needed no more, with the reason; None: there is nothing, or it is a person's."""
    pull, found = target.open, target.marker
    if pull is None or found is None or found.key != key_of(offer.spec, offer.output):
        return None
    if why := _why_to_stay_open(pull, found, forge):
        offer.warn(f"{pull.url} is needed no more, and stays open, {why}")
        return None
    if has_label(pull, HOLD):
        offer.warn(f"{pull.url} is needed no more, and stays open, as it has the label {HOLD}")
        return None
    if target.commits(offer, changeset).others:
        offer.warn(f"{pull.url} is needed no more, and stays open, as others have committed there")
        return None
    offer.stop()
    why = _why_needed_no_more(offer, target, changeset)
    text = (
        f"{why} This pull request is needed no more, so it is closed. Another is opened when one is needed."
    )
    mark = f"<!-- skillrunner: ended {target.head} -->"
    attempt(offer, lambda: _people.comment_once(offer, pull, text, mark, forge))
    forge.close(pull.number, _marker.replace_in(pull.body, replace(found, ended=True), offer.signer))
    if target.head is not None:
        head = target.head
        attempt(offer, lambda: changeset.delete(target.remote, target.branch, head))
    return _receipt(offer, target, pull, target.head or "", "closed")


def _why_to_stay_open(pull: "PullRequest", found: Marker, forge: "Forge") -> str:
    """What keeps us from closing it: a person who opened it again goes first; empty: nothing."""
    if found.ended or found.reopened:
        return "as somebody has opened it again"
    try:
        reopened = forge.was_reopened(pull.number)
    except RunnerError as error:
        return f"as nobody knows whether it was opened again: {error.message}"
    if reopened is None:
        return f"as {forge.name} does not tell whether somebody has opened it again"
    return "as somebody has opened it again" if reopened else ""


def _why_needed_no_more(offer: Offer, target: Target, changeset: "Changeset") -> str:
    base = f"`{target.base_ref}` ({target.base[:12]})"
    if target.head and changeset.merge_commits(target.base, target.head) == changeset.tree_of(target.base):
        return f"{base} holds this change now."
    return f"The run {offer.run_id} looked at {base} again and found nothing to change."


def _receipt(offer: Offer, target: Target, pull: "PullRequest", sha: str, action: str) -> Receipt:
    return Receipt(
        kind=offer.output.kind,
        key=f"{offer.spec.skill.name}/{key_of(offer.spec, offer.output)}",
        action=action,  # type: ignore[arg-type]
        url=pull.url,
        number=pull.number,
        sha=sha,
        branch=target.branch,
    )
