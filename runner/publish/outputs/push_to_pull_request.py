"""A commit on the branch of the pull request that the run is about.

It is pushed on top of the very commit that the run stood on and was verified with, or not at all: no work
of anybody is ever replaced. Killed anywhere and started again, it finds its own commit by the trailer.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from runner.config.documents import Model, Text
from runner.core.errors import RunnerError
from runner.core.model import OutputSpec, Phase, Reason, Receipt, RunSpec
from runner.core.units import Maybe
from runner.publish.outputs import RUN_TRAILER, Offer, Output, _item
from runner.publish.outputs._commits import is_ours
from runner.publish.outputs._labels import HOLD, STOP_UPDATING
from runner.publish.outputs._message import SKILL_TRAILER
from runner.publish.outputs.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge
    from runner.publish.forges._reviews import PullRequestHead
    from runner.workspace.changeset import Changeset, Commit

_PATCH_TRAILER = "Skillrunner-Patch"
_TITLE = 200


class PushOptions(Model):
    """A commit on the branch of the pull request that the run is about."""

    title: Text = Field(
        description="Template of the first line of the commit's message", examples=["style: format"]
    )
    max_pushes: Annotated[int, Field(ge=1, le=100)] = Field(
        default=5, description="How many commits of the skill a pull request may have"
    )


class PushDeclaration(Model):
    """What the agent may declare for it."""

    id: Maybe[Annotated[str, Field(pattern=_item.ID)]] = Field(
        default=None, description='a name by which other texts of this run refer to it, as "#id:NAME"'
    )
    body: Text = Field(description="what you did and why, in a few sentences: it stands in the commit")


class PushToPullRequestOutput(Output):
    name = "push_to_pull_request"
    options = PushOptions
    declares = PushDeclaration
    files = True
    permissions: ClassVar = {"contents": "write", "pull-requests": "read"}

    def preview(self, spec: RunSpec, output: OutputSpec) -> "Sequence[tuple[str, str]]":
        number = _item.subject_number(spec)
        return (("pull request", f"#{number}" if number is not None else "none: the run is about no one"),)

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Push the commit, or find that it is there.

        Raises RunnerError NO_CHANGES, CLOSED_BY_HUMAN, HUMAN_COMMIT, VERIFICATION_FAILED, LIMIT_REACHED,
        BRANCH_MOVED, FORGE_REJECTED, or what git or the forge said.
        """
        if not offer.patch:
            raise _refused(Reason.NO_CHANGES, "there is nothing to push")
        branch = _find(offer, forge, changeset)
        if (mine := branch.commit_of(offer.run_id)) is not None:
            return _receipt(offer, branch.pull, mine.sha, "adopted")
        tree = _tree(offer, branch, changeset)
        offer.stop()
        sha = changeset.commit(
            tree, [branch.head], _message(offer), offer.bot.name, offer.bot.email, datetime.now(UTC)
        )
        offer.say(f"pushing {sha[:12]} to {branch.pull.branch}")  # on the record before it is out
        changeset.push(forge.remote(), sha, branch.pull.branch, branch.head)
        return _receipt(offer, branch.pull, sha, "created")


PLUGINS = (PushToPullRequestOutput,)


@dataclass(frozen=True, slots=True)
class _Branch:
    """The branch of a pull request as git has it now."""

    pull: "PullRequestHead"
    head: str
    ours: "tuple[Commit, ...]"  # on it, of this bot, oldest first

    def commit_of(self, run_id: str) -> "Commit | None":
        trailer = f"\n{RUN_TRAILER}: {run_id}\n"
        return next((one for one in self.ours if trailer in f"{one.message}\n"), None)


def _find(offer: Offer, forge: "Forge", changeset: "Changeset") -> _Branch:
    """The branch to push to. Raises RunnerError where nothing may be pushed there."""
    number = _item.subject_number(offer.spec)
    if number is None:
        hint = "start it by a trigger whose events are about pull requests"
        raise _refused(Reason.FORGE_REJECTED, "the run is about no pull request", hint)
    pull, remote = forge.pull_request_head(number), forge.remote()
    _respect_where_it_is(pull, forge)
    head, base = changeset.remote_heads(remote, pull.branch, pull.base)
    if head is None or base is None:
        gone = pull.base if head else pull.branch
        raise _refused(Reason.REF_NOT_FOUND, f"the branch {gone} of {pull.url} is gone")
    changeset.fetch(
        remote, *(f"+refs/heads/{one}:refs/looked/{one}" for one in dict.fromkeys((pull.branch, pull.base)))
    )
    ours = tuple(one for one in changeset.commits(base, head) if is_ours(one, offer.bot))
    return _Branch(pull, head, ours)


def _respect_where_it_is(pull: "PullRequestHead", forge: "Forge") -> None:
    """Never a fork, never the default branch, nothing that is closed, and nothing that people hold."""
    if not pull.is_in_repository:
        message = f"the branch of {pull.url} is in a fork, and nothing is pushed to forks"
        raise _refused(Reason.FORGE_REJECTED, message, "have the skill comment or review there")
    if pull.branch in (forge.default_branch(), pull.base):
        message = (
            f"{pull.url} has the branch {pull.branch}, and nothing is pushed to a default or base branch"
        )
        raise _refused(Reason.FORGE_REJECTED, message, "have the skill open a pull request")
    if pull.state != "open":
        message = f"{pull.url} is {pull.state}, so nothing is pushed to it"
        raise _refused(Reason.CLOSED_BY_HUMAN, message, "open it again to go on with it")
    labels = {label.casefold() for label in pull.labels}
    for label in (HOLD, STOP_UPDATING):
        if label in labels:
            message = f"{pull.url} has the label {label}: hands off"
            raise _refused(Reason.HUMAN_COMMIT, message, "take the label away to have it pushed to")


def _tree(offer: Offer, branch: _Branch, changeset: "Changeset") -> str:
    """The tree to push: the one that was verified. Raises RunnerError where it may not be pushed."""
    pull, stood = branch.pull, offer.spec.base_sha
    if branch.head != stood:
        message = f"the run stood on {stood[:12]}, and {pull.branch} is at {branch.head[:12]}"
        hint = "run it again: it then starts from there; the trigger's `tree` has to be `head`"
        raise _refused(Reason.BRANCH_MOVED, message, hint)
    if not offer.verified:
        message = "verification failed, so nothing is pushed to somebody's branch"
        hint = f"skillrunner show {offer.run_id}"
        raise RunnerError(Phase.VERIFY, Reason.VERIFICATION_FAILED, message, hint=hint)
    skill = f"\n{SKILL_TRAILER}: {offer.spec.skill.name}@"
    earlier = [one for one in branch.ours if skill in one.message]
    patch = f"\n{_PATCH_TRAILER}: {offer.proposal.patch_sha256[:16]}\n"
    if any(patch in f"{one.message}\n" for one in earlier):
        message = f"{pull.branch} had this very change, and somebody took it out: hands off"
        raise _refused(Reason.HUMAN_COMMIT, message, "make the change by hand if it is wanted after all")
    most = int(offer.output.options.get("max_pushes", 5))
    if len(earlier) >= most:
        message = f"{pull.url} has {len(earlier)} commits of this skill, and `max_pushes` is {most}"
        raise _refused(Reason.LIMIT_REACHED, message, "look at them, or raise `max_pushes`")
    return changeset.apply(stood, offer.patch)


def _message(offer: Offer) -> str:
    """First line, the agent's words, and trailers by which audits and later runs find it."""
    spec = offer.spec
    version = spec.skill.commit or spec.skill.digest
    said = next((str(one.fields.get("body")) for one in offer.declared if one.fields.get("body")), "")
    about = one_line(said or spec.skill.description, 1_000)
    trailers = (
        f"{SKILL_TRAILER}: {spec.skill.name}@{version[:12]}",
        f"{RUN_TRAILER}: {offer.run_id}",
        f"{_PATCH_TRAILER}: {offer.proposal.patch_sha256[:16]}",
    )
    title = one_line(str(offer.output.options["title"]), _TITLE)
    return f"{title}\n\n{about}\n\n" + "\n".join(trailers) + "\n"


def _refused(reason: Reason, message: str, hint: str = "") -> RunnerError:
    return RunnerError(Phase.PUBLISH, reason, message, hint=hint, retryable=reason is Reason.BRANCH_MOVED)


def _receipt(offer: Offer, pull: "PullRequestHead", sha: str, action: str) -> Receipt:
    return Receipt(
        kind=offer.output.kind,
        key=f"{offer.spec.skill.name}/#{pull.number}",
        action=action,  # type: ignore[arg-type]
        url=pull.url,
        number=pull.number,
        sha=sha,
        branch=pull.branch,
    )
