"""Where a proposal is published: one file for each kind of forge.

A `ForgeKind` knows which repositories it serves, and opens a `Forge` for one of them. Nothing else asks which
kind it is. Every method that writes is safe to repeat: asked twice for the same thing, it finds what it made.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import FILE, Config
from runner.core.errors import RunnerError
from runner.core.model import DoctorLine, Phase, Reason, Remote
from runner.core.plugins import Family, Plugin

if TYPE_CHECKING:
    from runner.publish.forges._commits import SignedCommits
    from runner.publish.forges._reviews import PullRequestHead, Reviews
    from runner.publish.forges._threads import Threads
    from runner.workspace.changeset import Changeset

AUTO = "auto"
"""In place of a kind's name: the kind that serves the repository's origin."""


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
    created_at: datetime | None = None  # None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPullRequest:
    branch: str
    base: str
    title: str
    body: str
    draft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody said on a pull request."""

    author: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredItem:
    """A thing of a repository that the runner keeps itself: an issue, a comment, a review."""

    id: int
    kind: str
    parent: str  # what it belongs to, such as a number; empty: nothing
    number: int | None  # of the repository's issues and pull requests, which share their numbers
    data: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


class ItemTable(Protocol):
    """Things of one repository that the runner keeps itself, for a forge that has no other place."""

    def insert(
        self, kind: str, data: Mapping[str, Any], *, parent: str = "", numbered: bool = False
    ) -> StoredItem:
        """Keep a new thing; a numbered one gets the next number of the repository."""
        ...

    def find(
        self, kind: str, *, parent: str | None = None, number: int | None = None
    ) -> Sequence[StoredItem]:
        """Those of a kind, oldest first."""
        ...

    def get(self, identity: int) -> StoredItem:
        """The one with this id. Raises KeyError."""
        ...

    def update(self, identity: int, data: Mapping[str, Any]) -> None:
        """Change these fields of its data; the others stay."""
        ...

    def delete(self, identity: int) -> None: ...


class PullRequestTable(Protocol):
    """Pull requests of one repository that the runner keeps itself, for a forge that has no other place."""

    def insert(self, new: NewPullRequest, author: str) -> tuple[PullRequest, bool]: ...
    def find(self, branch: str) -> Sequence[PullRequest]: ...
    def all(self, state: str | None = None) -> Sequence[PullRequest]: ...
    def get(self, number: int) -> PullRequest: ...
    def update(self, number: int, **fields: Any) -> None: ...
    def reopen(self, number: int) -> bool: ...
    def comment(self, number: int, body: str, marker: str) -> bool: ...
    def comments(self, number: int) -> Sequence[str]: ...


class PullRequestCommands(Protocol):
    """What people do with pull requests by `skillrunner pr`. Each raises RunnerError where it cannot."""

    def list_pull_requests(self, state: str | None) -> Sequence[PullRequest]:
        """Those in this state, or all of them, newest first."""
        ...

    def show_pull_request(self, number: int) -> tuple[PullRequest, Sequence[str]]:
        """One and its comments, oldest first."""
        ...

    def close_pull_request(self, number: int) -> PullRequest:
        """Close it unmerged."""
        ...

    def reopen_pull_request(self, number: int) -> PullRequest:
        """Open a closed one again."""
        ...

    def label_pull_request(self, number: int, label: str) -> PullRequest:
        """Set a label."""
        ...

    def merge_pull_request(self, number: int, changeset: "Changeset") -> PullRequest:
        """Merge it into its base with a merge commit."""
        ...


class Forge(Protocol):
    """One repository on a forge."""

    name: str
    """The kind's name."""

    notice: str = ""
    """What a person should know before something is published there; empty: nothing."""

    holds_ledger: bool = False
    """Whether decisions are kept in a git ref of the repository, as several hosts may decide for it."""

    @property
    @abstractmethod
    def repository(self) -> str:
        """The repository's name there: "owner/name", or what tells it from others."""

    @abstractmethod
    def remote(self) -> Remote:
        """Where git fetches and pushes, with the credential of this moment: ask when you use it."""

    @abstractmethod
    def default_branch(self) -> str:
        """The branch that pull requests go to where nobody names another."""

    @abstractmethod
    def pull_requests(self, branch: str) -> Sequence[PullRequest]:
        """Every pull request whose head is `branch`, whatever its state, newest first."""

    def pull_requests_below(self, prefix: str, since: datetime) -> Sequence[PullRequest] | None:
        """Those whose branch begins with `prefix`: all open ones, and whatever was opened after `since`.

        None: the forge cannot tell. Then no limit on their number is asked.
        """
        return None

    @abstractmethod
    def create(self, new: NewPullRequest) -> tuple[PullRequest, bool]:
        """Open a pull request; the flag is False when there already was an open one, which is returned."""

    @abstractmethod
    def update(self, number: int, *, title: str, body: str) -> None:
        """Change the texts of a pull request."""

    @abstractmethod
    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        """Add labels to those that a pull request has."""

    def make_label(self, name: str) -> None:
        """Make a label that the repository does not have; one that it has stays as it is."""
        return

    def request_reviewers(self, number: int, reviewers: Sequence[str]) -> list[str]:
        """Ask for reviews ("login" or "org/team"); return warnings, a bad reviewer fails nothing."""
        return [f"{reviewer} was not asked for a review: {self.name} has none" for reviewer in reviewers]

    @abstractmethod
    def comment_once(
        self, number: int, body: str, marker: str, counts: Callable[[str], bool] = lambda _: True
    ) -> None:
        """Comment, unless a comment of ours with this hidden marker is there already.

        `counts` tells of a body with the marker whether that counts; a forged signature does not.
        """

    def set_base(self, number: int, base: str) -> None:
        """Have a pull request go to another branch."""
        raise self._unsupported("give a pull request another base")

    def set_draft(self, number: int, draft: bool) -> None:
        """Make a pull request a draft, or have it ready for review."""
        raise self._unsupported("make a draft ready, or a draft of what is ready")

    def close(self, number: int, body: str) -> None:
        """Close a pull request unmerged and change its text, both or neither."""
        raise self._unsupported("close a pull request")

    def remove_label(self, number: int, label: str) -> None:
        """Take a label away; nothing happens where it is not set."""
        raise self._unsupported("take a label away")

    def react(self, comment: int, reaction: str) -> None:
        """Answer a comment with "+1", "-1", "eyes" or "confused"; a forge without reactions does nothing."""
        return

    def comments(self, number: int) -> Sequence[Comment]:
        """What was said on a pull request, oldest first."""
        return ()

    def signed_commits(self) -> "SignedCommits | None":
        """Commits that the forge makes and signs; None: it makes none."""
        return None

    def checks_passed(self, sha: str) -> bool:
        """Whether a commit has checks, and all of them have ended well; False: not, or the forge has none."""
        return False

    def is_queued(self, number: int) -> bool:
        """Whether it waits in a merge queue, which a push would take it out of."""
        return False

    def was_reopened(self, number: int) -> bool | None:
        """Whether somebody has ever opened a closed pull request again; None: the forge cannot tell."""
        return None

    def how_to_reopen(self, number: int) -> str:
        """What a person does to open a closed pull request again, in words for a hint."""
        return "reopen it"

    def how_to_label(self, number: int, label: str) -> str:
        """What a person does to set a label, in words for a hint."""
        return f"set the label {label}"

    def _unsupported(self, what: str) -> RunnerError:
        message = f"{self.name} cannot {what}"
        return RunnerError(
            Phase.PUBLISH, Reason.UNSUPPORTED, message, hint=f"do it by hand in {self.repository}"
        )

    def threads(self) -> "Threads":
        """Issues, pull requests and what is said on them. Raises RunnerError UNSUPPORTED else."""
        raise self._unsupported("have issues and comments")

    def count_issues(self, query: str) -> int:
        """How many issues and pull requests of the repository a search finds. Raises RunnerError."""
        raise self._unsupported("search among issues")

    def check_results(self, sha: str) -> Mapping[str, str]:
        """By name: how the checks of a commit ended, or how far they are. Raises RunnerError."""
        raise self._unsupported("tell the checks of a commit")

    def pull_request_head(self, number: int) -> "PullRequestHead":
        """A pull request, and the commit that it is at now. Raises RunnerError."""
        raise self._unsupported("tell where the branch of a pull request is")

    def reviews(self) -> "Reviews":
        """Reviews of pull requests. Raises RunnerError UNSUPPORTED else."""
        raise self._unsupported("have reviews")

    def permission(self, login: str) -> str:
        """What `login` may do here: "none", "read", "triage", "write", "maintain" or "admin".

        A forge that cannot tell answers "unknown": then a trigger with `actor:` starts nothing.
        """
        return "unknown"

    def permission_notice(self) -> str:
        """What people are told beside a refusal for want of a permission; empty: nothing."""
        return ""

    def without_waiting(self) -> "Forge":
        """The same for who comes again soon: it raises at once where the forge asks to wait."""
        return self

    def limited_to(self, permissions: Mapping[str, str]) -> "Forge":
        """The same with a token that may do this and no more, where such a one can be had.

        `permissions` are in the words of a workflow's `permissions:`, as an output names its own.
        """
        return self

    def check_credential(self) -> None:
        """Raises RunnerError FORGE_DENIED when it is plain that nothing can be published from here."""
        return

    def remote_of(self, repository: str, token: Callable[[], str]) -> Remote:
        """Another repository, which `token` may read. Raises RunnerError when it is not known here."""
        message = f"nobody says where {repository} is"
        hint = f"write `repositories: {{{repository}: /path/or/url}}` in {FILE}"
        raise RunnerError(Phase.CHECKOUT, Reason.FORGE_NOT_FOUND, message, hint=hint)

    def commands(self) -> PullRequestCommands:
        """What `skillrunner pr` works with. Raises RunnerError where the forge has its own pages."""
        message = f"the pull requests of {self.repository} are on {self.name}"
        raise RunnerError(Phase.LOAD, Reason.UNSUPPORTED, message, hint="look at them there")

    def doctor(self) -> Sequence[DoctorLine]:
        """What works and what does not with the credentials at hand."""
        return [DoctorLine(ok=True, subject="forge", message=f"{self.name}: {self.repository}")]


LimitedToken = Callable[[Mapping[str, str]], str]
"""A token for the repository with these permissions alone, in the words of a GitHub App."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeContext:
    """What a forge is opened with."""

    config: Config
    root: Path  # where the runner stands: a checkout, or any folder
    origin: str  # the repository: a URL without credentials, or a folder; empty: `root` itself
    default_branch: str  # of `root` itself, where it is known
    token: Callable[[], str] = field(repr=False)  # for the forge, at this moment; empty: none
    limited_token: "LimitedToken | None" = field(default=None, repr=False)  # None: there is only `token`
    pacer: RateLimiter = field(repr=False)  # of the token
    pull_requests: Callable[[str], PullRequestTable]  # that the runner keeps, by repository
    items: Callable[[str], ItemTable]  # whatever else it keeps, by repository


class ForgeKind(Plugin, Protocol):
    """One kind of forge: which repositories it serves, and how one of them is opened."""

    fallback: bool = False
    """Whether it takes the repositories that no other kind serves."""

    lists: bool = False
    """Whether a worker may name its repositories by globs: what they mean is asked of GitHub."""

    uses_app: bool = False
    """Whether a worker shows it the tokens of its GitHub App, where it has one."""

    def token_variable(self, config: Config) -> str:
        """The environment variable with the token for it; empty: it needs none."""
        return ""

    @abstractmethod
    def serves(self, origin: str, config: Config) -> bool:
        """Whether the repository with this origin, a URL or a folder, is on such a forge."""

    @abstractmethod
    def locate(self, name: str, config: Config) -> str | None:
        """The origin of a repository that `worker.repositories` names; None: not on such a forge."""

    @abstractmethod
    def open(self, context: ForgeContext) -> Forge:
        """The forge for one repository. Raises RunnerError when that is not on such a forge."""


FORGES: Family[ForgeKind] = Family("forges", "runner.publish.forges", ForgeKind)


def choose_kind(origin: str, config: Config) -> ForgeKind:
    """The kind that is configured, or the one that serves `origin`. Raises RunnerError INVALID_CONFIG."""
    if config.forge != AUTO:
        return FORGES.get(config.forge)
    return next(kind for kind in _kinds() if kind.fallback or kind.serves(origin, config))


def is_served(origin: str, config: Config) -> bool:
    """Whether a kind says that a repository with this origin is on its forge."""
    return any(kind.serves(origin, config) for kind in _kinds())


def token_variables(config: Config) -> Sequence[str]:
    """The environment variables that hold tokens for forges."""
    return [variable for kind in _kinds() if (variable := kind.token_variable(config))]


def locate_repository(name: str, config: Config) -> tuple[ForgeKind, str]:
    """The kind of a repository that `worker.repositories` names, and its origin. Raises RunnerError."""
    for kind in _kinds():
        if (origin := kind.locate(name, config)) is not None:
            return kind, origin
    message = f"worker.repositories: no forge knows {name!r}"
    raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint="write owner/name, or a folder's path")


def _kinds() -> list[ForgeKind]:
    """All kinds by name, and last those that take what no other serves."""
    return sorted(FORGES.all().values(), key=lambda kind: (kind.fallback, kind.name))
