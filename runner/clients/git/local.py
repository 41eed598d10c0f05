"""The user's own repository, as it lies on their disk. Only ever read, with their own configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.clients.git.failures import is_missing_ref
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from git import Repo

_URL = re.compile(r"(?:https?|ssh|git)://(?:[^/@]*@)?(?P<host>[^/:]+)(?::\d+)?/(?P<path>.+)")
_SCP = re.compile(r"(?:[^/@:]+@)?(?P<host>[^/:@]+):(?!//)(?P<path>[^/].*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRepository:
    """A repository on the user's disk."""

    root: Path
    head: str  # the commit that is checked out; empty: there is none yet
    branch: str | None  # None: no branch is checked out
    default_branch: str
    remotes: Mapping[str, str] = field(default_factory=dict)  # name -> URL, without credentials

    @property
    def head_sha(self) -> str:
        """The commit that is checked out. Raises RunnerError REF_NOT_FOUND when there is none yet."""
        if not self.head:
            message, hint = (
                f"{self.root} has no commits yet",
                "commit something first: git add -A && git commit",
            )
            raise RunnerError(Phase.LOAD, Reason.REF_NOT_FOUND, message, hint=hint)
        return self.head


def discover(path: Path) -> LocalRepository:
    """The repository that holds `path`.

    Raises RunnerError NOT_A_REPOSITORY.
    """
    try:
        from git import GitError, Repo
    except ImportError as error:  # what GitPython raises when there is no git
        raise is_missing_ref(Phase.LOAD) from error
    try:
        with Repo(path, search_parent_directories=True) as repo:
            return _read(path, repo)
    except GitError as error:
        hint = "go into a git repository, or make one: git init"
        if "dubious ownership" in str(error):
            named = re.search(r"repository at '(.+?)'", str(error))
            trusted = named[1] if named else path.resolve()
            hint = f"say that you trust it: git config --global --add safe.directory {trusted}"
            raise _not_one(path, "it belongs to another user", hint) from error
        raise _not_one(path, "neither it nor a folder above is a repository", hint) from error


def _read(path: Path, repo: "Repo") -> LocalRepository:
    if repo.working_tree_dir is None:
        raise _not_one(path, "it is a bare repository", "go to a checkout of it")
    repo.git.rev_parse("--git-dir")  # git itself must agree, or all that follows looks empty
    return LocalRepository(
        root=Path(repo.working_tree_dir),
        head=repo.head.commit.hexsha if repo.head.is_valid() else "",
        branch=None if repo.head.is_detached else repo.active_branch.name,
        default_branch=_default_branch(repo),
        remotes={remote.name: _bare(remote.url) for remote in repo.remotes},
    )


def _bare(url: str) -> str:
    """The URL without a user and password; over ssh the user's name is part of the address."""
    return re.sub(r"^(https?://)[^/@]+@", r"\1", url)


def _not_one(path: Path, why: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.NOT_A_REPOSITORY, f"{path} is no git checkout: {why}", hint=hint)


def _default_branch(repo: "Repo") -> str:
    """What origin says, else main or master, else what is checked out."""
    for ref in repo.refs:
        if ref.name == "origin/HEAD":
            return ref.reference.name.removeprefix("origin/")
    heads = [head.name for head in repo.heads]
    usual = [name for name in ("main", "master") if name in heads]
    current = [] if repo.head.is_detached else [repo.active_branch.name]
    return [*usual, *current, *heads, "main"][0]


def address(url: str) -> tuple[str, str] | None:
    """The host and "owner/name" that an https, ssh or scp-like URL points at; None for anything else."""
    found = _URL.fullmatch(url) or _SCP.fullmatch(url)
    if found is None:
        return None
    path = found["path"].strip("/").removesuffix(".git")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        return None
    return found["host"].lower(), path
