"""Reviews of pull requests, and what their diffs show: what outputs read and write there."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from runner.core.hunks import Hunk

Verdict = Literal["comment", "approve", "request_changes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestHead:
    """An open or closed pull request, and the commit that its branch is on."""

    number: int
    url: str
    state: Literal["open", "closed", "merged"]
    branch: str
    sha: str
    base: str
    is_in_repository: bool  # its branch is one of the repository itself, and of no fork
    is_own: bool  # the runner's own login opened it
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineComment:
    """What is said of lines that the diff of a pull request shows."""

    path: str
    line: int  # the last one
    body: str
    start_line: int | None = None  # the first of several
    side: Literal["LEFT", "RIGHT"] = "RIGHT"  # the file as it was, or as it is now


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReview:
    """A review of a pull request as it is at `commit`."""

    commit: str
    verdict: Verdict
    body: str
    comments: Sequence[LineComment] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    id: str
    url: str
    state: str  # "comment", "approve", "request_changes", or "dismissed"
    body: str
    is_own: bool  # the runner's own login wrote it


class Reviews(Protocol):
    """Those of one repository. Methods raise RunnerError as `Forge` does, and FORGE_NOT_FOUND.

    `submit` does it again when it is called again: whoever calls it looks first.
    """

    @abstractmethod
    def diff(self, number: int) -> Mapping[str, Sequence[Hunk]]:
        """By path: the hunks that the diff of a pull request shows now; none where it does not show any."""

    @abstractmethod
    def reviews(self, number: int) -> Sequence[Review]:
        """Those that were submitted, oldest first."""

    @abstractmethod
    def submit(self, number: int, new: NewReview) -> Review:
        """Publish it with all of its comments, or nothing of it."""

    @abstractmethod
    def supersede(self, number: int, older: Collection[str], why: str) -> None:
        """Let these reviews of our own count no more, and resolve the threads that they began.

        A verdict is dismissed, what says no verdict is hidden. A thread in which anybody else has spoken
        stays as it is. Nothing happens to what was superseded before.
        """
