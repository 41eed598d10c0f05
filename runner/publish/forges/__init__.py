"""Where a proposal is published. One module per forge, each a class with the methods below.

Every method that writes is safe to repeat: asked twice for the same thing, it finds what it made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from runner.core.model import DoctorLine, Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    number: int
    url: str
    state: Literal["open", "closed", "merged"]
    branch: str
    base: str
    title: str
    body: str
    draft: bool = False
    labels: tuple[str, ...] = ()
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPullRequest:
    branch: str
    base: str
    title: str
    body: str
    draft: bool = False


class Forge(Protocol):
    @property
    def name(self) -> str: ...

    def remote(self) -> Remote: ...

    def default_branch(self) -> str: ...

    def pull_requests(self, branch: str) -> Sequence[PullRequest]:
        """Every pull request whose head is `branch`, whatever its state, newest first."""
        ...

    def create(self, new: NewPullRequest) -> tuple[PullRequest, bool]:
        """Open a pull request; the flag is False when there already was an open one, which is returned."""
        ...

    def update(self, number: int, *, title: str, body: str) -> None: ...

    def add_labels(self, number: int, labels: Sequence[str]) -> None: ...

    def request_reviewers(self, number: int, reviewers: Sequence[str]) -> list[str]:
        """Ask for reviews ("login" or "org/team"); return warnings, a bad reviewer fails nothing."""
        ...

    def comment_once(self, number: int, body: str, marker: str) -> None:
        """Comment, unless a comment of ours with this hidden marker is there already."""
        ...

    def doctor(self) -> Sequence[DoctorLine]:
        """What works and what does not with the credentials at hand."""
        ...
