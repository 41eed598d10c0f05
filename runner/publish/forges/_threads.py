"""Issues and pull requests of a forge, and what is said on them: what outputs read and write there."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """An issue or a pull request; they share their numbers."""

    number: int
    url: str
    is_pull_request: bool
    state: Literal["open", "closed"]
    title: str
    body: str
    author: str
    is_own: bool  # whether the runner's own login wrote it
    state_reason: str = ""
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    is_locked: bool = False
    created_at: str = ""  # ISO 8601, UTC
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadComment:
    """One comment of a thread."""

    id: str
    url: str
    author: str
    body: str
    is_own: bool
    minimised: str = ""  # why it is hidden; empty: it is shown
    created_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadChange:
    """What becomes of a thread; None: it stays as it is."""

    title: str | None = None
    body: str | None = None
    state: Literal["open", "closed"] | None = None
    state_reason: str | None = None  # "completed", "not_planned" or "duplicate"; of issues
    milestone: str | None = None  # its title; empty: none
    type: str | None = None  # of an issue


class Threads(Protocol):
    """Those of one repository. Methods raise RunnerError as `Forge` does, and FORGE_NOT_FOUND.

    `create` and `comment` do it again when they are called again: whoever calls them looks first.
    """

    @abstractmethod
    def get(self, number: int) -> Thread: ...

    @abstractmethod
    def own(self, state: Literal["open", "all"] = "open") -> Sequence[Thread]:
        """The issues that the runner's own login opened, newest first."""

    @abstractmethod
    def search(self, query: str, limit: int = 100) -> Sequence[Thread]:
        """Those that a query in the forge's own words finds, newest first."""

    @abstractmethod
    def create(self, title: str, body: str, labels: Sequence[str] = ()) -> Thread:
        """Open an issue."""

    @abstractmethod
    def update(self, number: int, change: ThreadChange) -> Thread: ...

    @abstractmethod
    def comments(self, number: int) -> Sequence[ThreadComment]:
        """What was said, oldest first."""

    @abstractmethod
    def comment(self, number: int, body: str) -> ThreadComment: ...

    @abstractmethod
    def edit_comment(self, comment: ThreadComment, body: str) -> None: ...

    @abstractmethod
    def minimise_comment(self, comment: ThreadComment, reason: str) -> None:
        """Hide it: "outdated", "resolved", "duplicate", "off-topic", "spam" or "abuse"."""

    @abstractmethod
    def known_labels(self) -> Sequence[str]:
        """The labels of the repository."""

    @abstractmethod
    def set_labels(self, number: int, labels: Sequence[str]) -> None:
        """The labels of a thread are these and no others."""

    @abstractmethod
    def assign(self, number: int, logins: Sequence[str], remove: Sequence[str] = ()) -> Sequence[str]:
        """Assign people and take others off; return who is assigned afterwards."""

    @abstractmethod
    def lock(self, number: int, reason: str = "") -> None:
        """Only people with rights can speak there from now on."""

    @abstractmethod
    def unlock(self, number: int) -> None: ...

    @abstractmethod
    def add_sub_issue(self, parent: int, child: int) -> None:
        """Make an issue a part of another; nothing happens where it is one."""
