"""Where a pull request goes: its branch, the base, and what is open there."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import OutputSpec, Phase, Reason, Remote, RunSpec
from runner.publish.outputs import _marker
from runner.publish.outputs._commits import BranchCommits, BranchReader
from runner.publish.outputs._marker import Marker, branch
from runner.publish.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.publish.forges import Forge, PullRequest
    from runner.publish.outputs import Offer
    from runner.workspace.changeset import Changeset


def key_of(spec: RunSpec, output: OutputSpec) -> str:
    """What tells this pull request from the others of its skill."""
    return str(output.options.get("key") or spec.trigger.subject or "default")


@dataclass(frozen=True, kw_only=True)
class Target:
    """The target branch, and its present state."""

    remote: Remote
    branch: str
    head: str | None  # of the branch on the remote
    base_ref: str
    base: str  # the commit that the change is put on
    pulls: "Sequence[PullRequest]"  # of the branch, newest first
    signer: Signer

    @cached_property
    def open(self) -> "PullRequest | None":
        """The open pull request that is kept up to date: one of ours, else one to the same base."""
        opened = [pull for pull in self.pulls if pull.state == "open"]
        ours = [pull for pull in opened if _marker.of_branch(pull.body, self.branch, self.signer)]
        return next(iter((*ours, *(pull for pull in opened if pull.base == self.base_ref))), None)

    @cached_property
    def last(self) -> "PullRequest | None":
        """The newest pull request that speaks for the branch, whatever its state."""
        return self.open or next(
            (p for p in self.pulls if p.base == self.base_ref or _marker.read(p.body, self.signer)), None
        )

    @cached_property
    def marker(self) -> Marker | None:
        """What the open pull request says that it was made from."""
        return _marker.of_branch(self.open.body, self.branch, self.signer) if self.open else None

    def commits(self, offer: "Offer", changeset: "Changeset") -> BranchCommits:
        if self.head is None:
            return BranchCommits()
        reader = BranchReader(
            changeset=changeset,
            remote=self.remote,
            bot=offer.bot,
            base_ref=self.base_ref,
            base=self.base,
            head=self.head,
        )
        return reader.read(self.marker)


def find_target(offer: "Offer", forge: "Forge", changeset: "Changeset") -> Target:
    """What is there now. Raises RunnerError BASE_GONE where the base is gone."""
    remote, name = forge.remote(), branch(offer.spec.skill.name, key_of(offer.spec, offer.output))
    base, head = changeset.remote_heads(remote, offer.spec.base_ref, name)
    if base is None:
        raise RunnerError(
            Phase.PUBLISH,
            Reason.BASE_GONE,
            f"the base branch {offer.spec.base_ref} is gone from {remote.url}",
            hint="name the branch in `output.pull_request.base`, or run it again if it was renamed",
        )
    unknown = [*([offer.spec.base_ref] if base != offer.spec.base_sha else []), *([name] if head else [])]
    if unknown:  # the pinned commit is borrowed from the mirror
        changeset.fetch(remote, *(f"+refs/heads/{one}:refs/looked/{one}" for one in unknown))
    return Target(
        remote=remote,
        branch=name,
        head=head,
        base_ref=offer.spec.base_ref,
        base=base,
        pulls=forge.pull_requests(name),
        signer=offer.signer,
    )
