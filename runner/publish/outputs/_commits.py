"""Whose the commits of a branch are: ours, the base's, ours that somebody carried along, or others'."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.publish.outputs import RUN_TRAILER
from runner.publish.outputs._marker import Marker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.core.model import Remote
    from runner.publish.outputs import BotIdentity
    from runner.workspace.changeset import Changeset, Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchCommits:
    """What is on a branch besides its base."""

    others: "tuple[Commit, ...]" = ()  # of somebody else, newest first
    as_pushed: bool = False  # the change is the one that the marker tells of, and nothing else


def is_ours(commit: "Commit", bot: "BotIdentity") -> bool:
    return commit.committer_email == bot.email and f"\n{RUN_TRAILER}: " in commit.message


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchReader:
    """Judges a branch from the commit on that we pushed last. What was below it is judged no more.

    A base that was pushed over, the button "Update branch" (a merge, or a rebase) and another wording of our
    commit change nothing of ours, and are nobody's work.
    """

    changeset: "Changeset"
    remote: "Remote"
    bot: "BotIdentity"
    base_ref: str
    base: str
    head: str

    def read(self, marker: Marker | None) -> BranchCommits:
        pushed = marker.head if marker and self._have(marker.head) else ""
        if pushed == self.head:
            return BranchCommits(as_pushed=True)
        chain = self.changeset.first_parents(self.head, self.base, *([pushed] if pushed else []))
        below = chain[-1].parents[:1] if chain else ()
        carried = bool(pushed) and pushed not in below  # our commit was written anew, by whomever
        others: list[Commit] = []
        for commit in chain:
            if is_ours(commit, self.bot):
                return BranchCommits(others=tuple(others))
            if self._brings_the_base(commit):
                continue
            if carried and self._carries(commit, pushed):
                carried = False
                continue
            others.append(commit)
        return BranchCommits(others=tuple(others), as_pushed=bool(pushed) and not others and not carried)

    def _have(self, sha: str) -> bool:
        """Whether that commit is here, or can still be had: a forge keeps for a while what no branch has."""
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha):
            return False
        try:
            if not self.changeset.has(sha):
                self.changeset.fetch(self.remote, sha)
        except RunnerError:
            return False
        return True

    def _brings_the_base(self, commit: "Commit") -> bool:
        """Whether it merges the base as git does it by itself, and holds nothing else."""
        if len(commit.parents) != 2:
            return False
        ours, theirs = commit.parents
        # A merge from before the base was pushed over names it, though it has that commit no more.
        name = rf"Merge (?:remote-tracking )?branch '(?:origin/)?{re.escape(self.base_ref)}' into "
        is_base = re.match(name, commit.message) or self.changeset.is_ancestor(theirs, self.base)
        return bool(is_base) and self.changeset.merge_commits(ours, theirs) == commit.tree

    def _carries(self, commit: "Commit", pushed: str) -> bool:
        """Whether it makes the same change as the commit that we pushed, and no other."""
        before = self._parents(pushed)
        if len(commit.parents) != 1 or len(before) != 1:
            return False
        change = self.changeset.tree_of(pushed)
        return self.changeset.merge(before[0], commit.parents[0], change) == commit.tree

    def _parents(self, sha: str) -> "Sequence[str]":
        return self.changeset.first_parents(sha, limit=1)[0].parents
