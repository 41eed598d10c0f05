"""Commits that a forge makes itself, and signs."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.workspace.changeset import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCommit:
    """A commit that is on the forge, and on no branch yet."""

    sha: str
    tree: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitVerification:
    """What the forge says of a commit's signature."""

    verified: bool
    reason: str  # in the forge's words: "valid", "unsigned", ...


class SignedCommits(Protocol):
    """The commits of one repository. Methods raise RunnerError as `Forge` does."""

    @abstractmethod
    def make(self, parent: str, base_tree: str, edits: "Sequence[Edit]", message: str) -> MadeCommit:
        """Make a commit on `parent`, whose tree is `base_tree` with the edits."""

    @abstractmethod
    def move(self, branch: str, before: str | None, after: str) -> None:
        """Have a branch be at `after`, if it still is at `before` (None: does not exist), in one step.

        Raises RunnerError BRANCH_MOVED where it is not.
        """

    @abstractmethod
    def verification(self, sha: str) -> CommitVerification: ...
