"""The embedded forge: branches in a repository on this disk, pull requests in the run store."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runner.clients.git import Git, main_worktree, remote_host
from runner.config.settings import Config
from runner.core.errors import RunnerError
from runner.core.model import DoctorLine, Phase, Reason, Remote
from runner.core.paths import with_home
from runner.publish.forges import (
    Forge,
    ForgeContext,
    ForgeKind,
    ItemTable,
    NewPullRequest,
    PullRequest,
    PullRequestCommands,
    PullRequestTable,
)
from runner.publish.forges._local_reviews import LocalReviews
from runner.publish.forges._local_threads import LABEL, LocalThreads
from runner.publish.forges._reviews import PullRequestHead
from runner.workspace.changeset import Changeset, Conflict


class LocalKind(ForgeKind):
    """A folder of this machine, or the repository that the runner stands in."""

    name = "local"
    fallback = True

    def serves(self, origin: str, config: Config) -> bool:
        return Path(origin.removeprefix("file://")).is_dir()

    def locate(self, name: str, config: Config) -> str | None:
        """A path, which begins as no name of a repository does."""
        return str(with_home(name).resolve()) if name.startswith((".", "/", "~")) else None

    def open(self, context: ForgeContext) -> "LocalForge":
        """`origin` where that is a folder of this machine, else the repository itself.

        A folder that is gone stays the one that is meant: nothing else takes its place. All worktrees of a
        repository are one: its main one stands for it.
        """
        origin = context.origin.removeprefix("file://")
        path = (context.root / origin).resolve()
        is_folder = bool(origin) and (path.is_dir() or origin.startswith(("/", ".", "~")))
        here = main_worktree(context.root)
        path = main_worktree(path) if is_folder else here
        return LocalForge(
            path=path,
            table=context.pull_requests(str(path)),
            author=context.config.bot.name,
            items=context.items(str(path)),
            branch=context.default_branch if path == here else "",
            notice=_notice(context.origin, here),
        )


PLUGINS = (LocalKind,)

_REOPENED = "<!-- skillrunner: reopened -->"
_NOT_CLEAN = r"working (?:directory|tree)|unstaged|staged|untracked|checked out"


@dataclass(frozen=True, slots=True)
class LocalForge(Forge):
    """Pull requests to the repository at `path`, bare or not."""

    name = "local"

    path: Path
    table: PullRequestTable
    author: str
    items: ItemTable
    branch: str = ""  # the default branch, where it is known
    notice: str = ""

    @property
    def repository(self) -> str:
        return self.path.name.removesuffix(".git") or self.path.name

    def remote(self) -> Remote:
        return Remote(url=str(self.path))

    def default_branch(self) -> str:
        """The branch that the repository's HEAD names."""
        if self.branch:
            return self.branch
        ref = Git(self.path, phase=Phase.PLAN).output("symbolic-ref", "HEAD")
        return ref.removeprefix("refs/heads/")  # whole: where a tag has the same name, git shortens it less

    def pull_requests(self, branch: str) -> Sequence[PullRequest]:
        return self.table.find(branch)

    def pull_requests_below(self, prefix: str, since: datetime) -> Sequence[PullRequest] | None:
        found = (pull for pull in self.table.all() if pull.branch.startswith(prefix))
        return [one for one in found if one.state == "open" or (one.created_at and one.created_at > since)]

    def create(self, new: NewPullRequest) -> tuple[PullRequest, bool]:
        return self.table.insert(new, self.author)

    def update(self, number: int, *, title: str, body: str) -> None:
        self.table.update(number, title=title, body=body)

    def add_labels(self, number: int, labels: Sequence[str]) -> None:
        if labels:
            threads = self.threads()
            threads.set_labels(number, (*threads.get(number).labels, *labels))

    def request_reviewers(self, number: int, reviewers: Sequence[str]) -> list[str]:
        if reviewers:
            self.table.update(number, reviewers=list(reviewers))
        return []

    def set_base(self, number: int, base: str) -> None:
        self.table.update(number, base=base)

    def set_draft(self, number: int, draft: bool) -> None:
        self.table.update(number, draft=draft)

    def close(self, number: int, body: str) -> None:
        self.table.update(number, state="closed", body=body)

    def make_label(self, name: str) -> None:
        if name.casefold() not in {known.casefold() for known in self.threads().known_labels()}:
            self.items.insert(LABEL, {}, parent=name)

    def remove_label(self, number: int, label: str) -> None:
        threads = self.threads()
        known = threads.get(number).labels
        threads.set_labels(number, [one for one in known if one.casefold() != label.casefold()])

    def comment_once(
        self, number: int, body: str, marker: str, counts: Callable[[str], bool] = lambda _: True
    ) -> None:
        """Comment, unless it is there: nobody else can write comments here."""
        del counts
        self.table.comment(number, f"{body}\n\n{marker}", marker)

    def threads(self) -> LocalThreads:
        return LocalThreads(self.table, self.items, self.author)

    def pull_request_head(self, number: int) -> PullRequestHead:
        try:
            pull = self.table.get(number)
        except KeyError:
            raise _missing(f"there is no pull request {number} here") from None
        ref = f"refs/heads/{pull.branch}"
        sha = Git(self.path, phase=Phase.PUBLISH).output("rev-parse", "--verify", "-q", ref, ok=(0, 1))
        if not sha:
            raise _missing(f"the branch {pull.branch} of pull request {number} is gone")
        return PullRequestHead(
            number=number,
            url=pull.url,
            state=pull.state,
            branch=pull.branch,
            sha=sha,
            base=pull.base,
            is_in_repository=True,
            is_own=pull.author == self.author,
            labels=pull.labels,
        )

    def reviews(self) -> LocalReviews:
        return LocalReviews(self.path, self.items, self.author, self.pull_request_head)

    def was_reopened(self, number: int) -> bool | None:
        return any(body.endswith(_REOPENED) for body in self.table.comments(number))

    def how_to_reopen(self, number: int) -> str:
        return f"reopen it (skillrunner pr reopen {number})"

    def how_to_label(self, number: int, label: str) -> str:
        return f"set a label (skillrunner pr label {number} {label})"

    def permission_notice(self) -> str:
        return "the local forge cannot tell permissions"

    def doctor(self) -> Sequence[DoctorLine]:
        said = f"local: pull requests to {self.path} are kept here"
        message = f"{said}; {self.notice}" if self.notice else said
        return [DoctorLine(ok=True, subject="forge", message=message)]

    # --- what a person does with a pull request -------------------------------------------------

    def commands(self) -> PullRequestCommands:
        return self

    def list_pull_requests(self, state: str | None) -> Sequence[PullRequest]:
        return self.table.all(state)

    def show_pull_request(self, number: int) -> tuple[PullRequest, Sequence[str]]:
        said = [*self.table.comments(number), *self.reviews().texts(number)]
        return self._get(number), said

    def _get(self, number: int) -> PullRequest:
        """Raises RunnerError INVALID_INPUT when there is no such pull request."""
        try:
            return self.table.get(number)
        except KeyError:
            raise _invalid(f"there is no pull request {number} here", "skillrunner pr list --all") from None

    def close_pull_request(self, number: int) -> PullRequest:
        """Close it unmerged. Raises RunnerError when it is not open."""
        self._open(number)
        self.table.update(number, state="closed")
        return self._get(number)

    def reopen_pull_request(self, number: int) -> PullRequest:
        """Open a closed one again. Raises RunnerError: it is not closed, or its branch is taken or gone."""
        pull = self._get(number)
        if pull.state != "closed":
            raise _invalid(f"pull request {number} is {pull.state}", f"skillrunner pr show {number}")
        git = Git(self.path, phase=Phase.LOAD)
        if git.run("rev-parse", "--verify", "-q", f"refs/heads/{pull.branch}", ok=(0, 1)).code:
            hint = "run the skill: it opens a new one; where a person closed this one, with --again"
            raise _invalid(f"the branch {pull.branch} of pull request {number} is gone", hint)
        if not self.table.reopen(number):
            hint = "close that one first: skillrunner pr list"
            raise _invalid(f"{pull.branch} has another open pull request", hint)
        self.comment_once(number, "Somebody has opened this pull request again.", _REOPENED)
        return self._get(number)

    def label_pull_request(self, number: int, label: str) -> PullRequest:
        self._open(number)
        self.add_labels(number, [label])
        return self._get(number)

    def merge_pull_request(self, number: int, changeset: Changeset) -> PullRequest:
        """Merge it into its base with a merge commit; what is checked out there follows, if it is clean.

        Raises RunnerError: CONFLICT, REF_NOT_FOUND, FORGE_REJECTED.
        """
        pull = self._open(number)
        remote = self.remote()
        base, head = changeset.remote_heads(remote, pull.base, pull.branch)
        if base is None or head is None:
            gone = pull.base if base is None else pull.branch
            raise RunnerError(
                Phase.PUBLISH,
                Reason.REF_NOT_FOUND,
                f"the branch {gone} is gone",
                hint=f"skillrunner pr close {number}",
            )
        changeset.fetch(remote, base, head)
        if not changeset.is_ancestor(head, base):  # or a person has merged it, and it is told here
            self._merge(pull, changeset, base, head)
        self.table.update(number, state="merged")
        return self._get(number)

    def _merge(self, pull: PullRequest, changeset: Changeset, base: str, head: str) -> None:
        tree = changeset.merge_commits(base, head)
        if isinstance(tree, Conflict):
            message = f"{pull.branch} and {pull.base} both changed {', '.join(tree.paths)}"
            hint = "run the skill again, or merge by hand and then: "
            hint += f"skillrunner pr merge {pull.number}"
            raise RunnerError(Phase.PUBLISH, Reason.CONFLICT, message, hint=hint)
        text = f"Merge pull request {pull.number}: {pull.title}\n"
        email = re.sub(r"[^\w.-]", "", self.author) + "@localhost"
        sha = changeset.commit(tree, [base, head], text, self.author, email, datetime.now(UTC))
        try:
            changeset.push(self.remote(), sha, pull.base, base, checked_out=True)
        except RunnerError as error:
            if not re.search(_NOT_CLEAN, error.message, re.IGNORECASE):
                raise
            raise RunnerError(
                Phase.PUBLISH,
                Reason.FORGE_REJECTED,
                f"{pull.base} is checked out in {self.path}, with changes that are not committed",
                hint=f"commit or stash them, then: skillrunner pr merge {pull.number}",
            ) from error

    def _open(self, number: int) -> PullRequest:
        pull = self._get(number)
        if pull.state != "open":
            raise _invalid(f"pull request {number} is {pull.state} already", f"skillrunner pr show {number}")
        return pull


def _missing(message: str) -> RunnerError:
    hint = "skillrunner pr list --all shows what there is"
    return RunnerError(Phase.PUBLISH, Reason.FORGE_NOT_FOUND, message, hint=hint)


def _invalid(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=hint)


def _notice(origin: str, root: Path) -> str:
    """That a remote plays no part, where there is one."""
    host = remote_host(origin)
    return f"nothing goes to {host}: branches and pull requests stay in {root}" if host else ""
