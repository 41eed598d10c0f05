"""What people said about a pull request goes before what a run wants."""

import re
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.publish.outputs import _marker
from runner.publish.outputs._labels import TAKE_OVER, has_label
from runner.publish.outputs._target import Target, key_of
from runner.publish.signing import is_forged_comment, sign_comment

if TYPE_CHECKING:
    from runner.publish.forges import Forge, PullRequest
    from runner.publish.outputs import Offer
    from runner.publish.outputs._commits import BranchCommits

_COMMAND = re.compile(r"^/skillrunner take-over ([0-9a-f]{7,64})\s*$", re.MULTILINE)
_WRITERS = ("write", "maintain", "admin")
_NOTE = "<!-- skillrunner: hands-off -->"


def respect_a_closed_one(offer: "Offer", target: Target, forge: "Forge") -> None:
    """Closed unmerged means no to the key, whatever the change looks like the next time."""
    last = target.last
    if last is None or last.state != "closed" or offer.again:
        return
    found = _marker.of_branch(last.body, target.branch, target.signer)
    is_ours = found is not None and found.ended  # we closed it, and a change is needed again
    if is_ours and not forge.was_reopened(last.number):  # else a person closed it after that
        return
    raise RunnerError(
        Phase.PUBLISH,
        Reason.CLOSED_BY_HUMAN,
        f"{last.url} proposed this and was closed unmerged, so it is not proposed again",
        hint=f"to have it proposed again, {forge.how_to_reopen(last.number)}, or add --again to one run",
    )


def respect_another_key(offer: "Offer", target: Target) -> None:
    """A branch is its key's own: what is open there for another key is not written over."""
    found = _marker.read(target.open.body, target.signer) if target.open else None
    key = key_of(offer.spec, offer.output)
    if (
        target.open is not None
        and found is not None
        and (found.skill, found.key) != (offer.spec.skill.name, key)
    ):
        raise RunnerError(
            Phase.PUBLISH,
            Reason.CONFLICT,
            f"{target.branch} holds {target.open.url}, of the skill {found.skill} and the key {found.key!r}",
            hint="merge or close it, or choose another `output.pull_request.key`",
        )


def respect_commits(offer: "Offer", target: Target, forge: "Forge", commits: "BranchCommits") -> None:
    """A commit by anybody else on the branch means hands off, until somebody gives it back."""
    if not commits.others or target.head is None:
        return
    if target.open is not None and _is_given_back(target.open, target.head, forge):
        offer.say(f"{target.open.url} was given back: what others committed there is replaced")
        return
    last = commits.others[0]
    who = f"{last.author_name} ({last.sha[:12]})"
    if target.open is not None:
        _leave_a_note(offer, target.open, target.head, forge)
    hint = f"merge or close its pull request, then delete the branch {target.branch} to begin anew"
    if target.open is not None:
        how = forge.how_to_label(target.open.number, TAKE_OVER)
        hint = f"to give it back, with their commits, {how}; or {hint}"
    raise RunnerError(
        Phase.PUBLISH, Reason.HUMAN_COMMIT, f"{target.branch} has a commit by {who}: hands off", hint=hint
    )


def respect_readiness(offer: "Offer", target: Target) -> None:
    """Work that people review is not replaced by work that failed its checks."""
    if offer.verified or target.open is None or target.open.draft:
        return
    raise RunnerError(
        Phase.VERIFY,
        Reason.VERIFICATION_FAILED,
        f"verification failed, and {target.open.url} is ready for review: it is left as it is",
        hint=f"skillrunner show {offer.run_id}; to see the attempt there, make the pull request a draft",
    )


def _is_given_back(pull: "PullRequest", head: str, forge: "Forge") -> bool:
    """By the label, which needs rights, or by a comment that names the newest commit, of who may write."""
    if has_label(pull, TAKE_OVER):
        return True
    return any(
        head.startswith(named[-1]) and forge.permission(comment.author) in _WRITERS
        for comment in forge.comments(pull.number)
        if (named := _COMMAND.findall(_marker.unix_lines(comment.body)))
    )


def _leave_a_note(offer: "Offer", pull: "PullRequest", head: str, forge: "Forge") -> None:
    """The note fails nothing: that hands are off is what counts."""
    note = (
        f"Somebody else has committed here, so {offer.bot.name} leaves this branch alone from now on.\n\n"
        f"To give it back, so that the next run replaces these commits, set the label `{TAKE_OVER}`, or write"
        " a comment with one line that names the newest commit of the branch:"
        f" `/skillrunner take-over {head[:12]}`"
    )
    try:
        comment_once(offer, pull, note, _NOTE, forge)
    except RunnerError as error:
        offer.warn(f"no note was left in {pull.url}: {error.message}")


def comment_once(offer: "Offer", pull: "PullRequest", text: str, mark: str, forge: "Forge") -> None:
    """Comment, unless a comment of ours with this mark is there, whose signature is not a forged one."""
    signed = "\n".join(filter(None, (text, sign_comment(offer.signer, mark, pull.number))))
    forge.comment_once(
        pull.number, signed, mark, lambda body: not is_forged_comment(offer.signer, body, pull.number)
    )
