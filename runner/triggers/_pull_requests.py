"""What the triggers have in common whose events are about a pull request, and show it."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from runner.core.payload import text_at, value_at
from runner.core.units import Maybe
from runner.triggers import CommitRange, EventCommit
from runner.triggers._commits import are_commits, pull_request_commit
from runner.triggers.options import (
    ActivityOptions,
    ChangeOptions,
    Names,
    PullRequestTreeOptions,
    Tree,
    label_mismatch,
)
from runner.triggers.sources.github.trigger import GitHubTrigger


class PullRequestEventOptions(PullRequestTreeOptions, ActivityOptions, ChangeOptions):
    """Which pull requests; `branches` are those that they would go to, `paths` those that they change."""

    labels: Maybe[Names] = Field(default=None, description="Only pull requests that have one of these labels")

    def other_mismatch(self, payload: Mapping[str, Any]) -> str:
        mismatch = self.branch_mismatch(value_at(payload, "pull_request", "base", "ref"))
        return mismatch or label_mismatch(payload, "pull_request", self.labels)


class PullRequestEventTrigger(GitHubTrigger):
    """An event of GitHub's whose payload holds a pull request."""

    subject_path = ("pull_request", "number")
    subject_noun = "issue"  # GitHub numbers issues and pull requests together

    def from_fork(self, payload: Mapping[str, Any], repository: str) -> bool:
        head = text_at(payload, "pull_request", "head", "repo", "full_name")  # none where the fork is gone
        return isinstance(payload.get("pull_request"), Mapping) and head.lower() != repository.lower()

    def is_merged(self, payload: Mapping[str, Any]) -> bool:
        """Whether its base holds the pull request: its branch may be gone."""
        return bool(text_at(payload, "pull_request", "merged_at"))

    def commit(self, payload: Mapping[str, Any], tree: Tree) -> EventCommit | None:
        if self.is_merged(payload):
            return None
        head = ("pull_request", "head")
        number = value_at(payload, "pull_request", "number")
        return pull_request_commit(
            number, tree, text_at(payload, *head, "sha"), text_at(payload, *head, "ref")
        )

    def commits(self, payload: Mapping[str, Any], default_branch: str) -> CommitRange | None:
        number = value_at(payload, "pull_request", "number")
        base = text_at(payload, "pull_request", "base", "sha")
        head = text_at(payload, "pull_request", "head", "sha")
        if not isinstance(number, int) or not are_commits(base, head):
            return None
        return CommitRange(base=base, head=head, from_fork_point=True, refs=(f"refs/pull/{number}/head",))
