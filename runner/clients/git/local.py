"""The user's own repository, as it lies on their disk. Only ever read, with their own configuration."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from configparser import Error as ConfigError
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.clients.git.failures import is_missing_ref
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from git import Repo

_HEADS, _ORIGIN = "refs/heads/", "refs/remotes/origin/"
_NO_COMMITS = ("has no commits yet", "commit something first: git add -A && git commit")
_URL = re.compile(
    r"(?:https?|ssh|git|git\+ssh|ssh\+git)://(?:[^/@]*@)?(?P<host>[^/:@]+)(?::\d*)?/(?P<path>.+)",
    re.IGNORECASE,
)
_SCP = re.compile(r"(?:[^/@:]+@)?(?P<host>[^/:@]+):(?!//)/?(?P<path>[^/].*)")
_SSH = re.compile(r"(?:ssh|git\+ssh|ssh\+git)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRepository:
    """A repository on the user's disk."""

    root: Path
    head: str  # the commit that is checked out; empty: there is none, and `no_head` says why
    branch: str | None  # None: no branch is checked out
    default_branch: str
    remotes: Mapping[str, str] = field(default_factory=dict)  # name -> URL, without credentials
    no_head: tuple[str, str] = _NO_COMMITS

    @property
    def head_sha(self) -> str:
        """The commit that is checked out. Raises RunnerError REF_NOT_FOUND when there is none."""
        if not self.head:
            why, hint = self.no_head
            raise RunnerError(Phase.LOAD, Reason.REF_NOT_FOUND, f"{self.root} {why}", hint=hint)
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
    except (GitError, ConfigError) as error:
        raise _unreadable(path) from error


def _read(path: Path, repo: "Repo") -> LocalRepository:
    if repo.working_tree_dir is None:
        raise _not_one(path, "it is a bare repository", "go to a checkout of it")
    repo.git.rev_parse("--git-dir")  # git itself must agree, or all that follows looks empty
    head = _said(repo, "rev-parse", "--quiet", "--verify", "HEAD^{commit}")
    branch = _said(repo, "symbolic-ref", "--quiet", "HEAD").removeprefix(_HEADS) or None
    listing = _said(repo, "for-each-ref", "--format=%(refname)", _HEADS)
    heads = [ref.removeprefix(_HEADS) for ref in listing.split("\n") if ref]
    return LocalRepository(
        root=Path(repo.working_tree_dir),
        head=head,
        branch=branch,
        default_branch=_default_branch(repo, heads, branch),
        remotes=_remotes(_said(repo, "remote", "--verbose")),
        no_head=_no_head(repo, heads, branch) if not head else _NO_COMMITS,
    )


def _said(repo: "Repo", *args: str) -> str:
    """What git answers, stripped; empty where it fails."""
    _, out, _ = repo.git.execute(["git", *args], with_extended_output=True, with_exceptions=False)
    return str(out).strip()


def _no_head(repo: "Repo", heads: Sequence[str], branch: str | None) -> tuple[str, str]:
    """Why nothing is checked out, and what to do."""
    if branch is not None and not _said(repo, "rev-parse", "--quiet", "--verify", f"{_HEADS}{branch}"):
        damaged = (Path(repo.common_dir) / _HEADS / branch).is_file()
        if not heads and not damaged:
            return _NO_COMMITS
        if not damaged:
            why = f"stands on the branch {branch}, which does not exist"
            return why, f"go to one that does: git switch {heads[0]}"
    what = f"the branch {branch}" if branch else "HEAD"
    return f"is damaged: the commit of {what} cannot be read", "see what is missing: git fsck"


def _unreadable(path: Path) -> RunnerError:
    """Why git does not read the repository around `path`, in its own words where it found one."""
    asked = ["git", "-C", str(path), "rev-parse", "--git-dir"]
    done = subprocess.run(
        asked,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    said = done.stderr.strip().removeprefix("fatal: ").split("\n")[0]
    if "dubious ownership" in said:
        named = re.search(r"repository at '(.+?)'", said)
        trusted = shlex.quote(named[1] if named else str(path.resolve()))
        hint = f"say that you trust it: git config --global --add safe.directory {trusted}"
        return _not_one(path, "it belongs to another user", hint)
    if not path.is_dir():
        return _not_one(path, "there is no such folder", "check the path given to -C")
    here = path.resolve()
    found = next((one / ".git" for one in (here, *here.parents) if os.path.lexists(one / ".git")), None)
    if found is None:
        hint = "go into a git repository, or make one: git init"
        return _not_one(path, "neither it nor a folder above is a repository", hint)
    why = said or "git reads it, and the library that reads it here does not"
    return _not_one(path, f"git cannot read {found}: {why}", "mend that, or clone the repository anew")


def _remotes(listing: str) -> Mapping[str, str]:
    """The URLs that git fetches from: what `insteadOf` makes of those in the configuration."""
    rows = re.findall(r"^(\S+)\t(.+) \(fetch\)", listing, re.MULTILINE)
    return {name: _bare(url) for name, url in rows}


def _bare(url: str) -> str:
    """The URL without a user and password; over ssh the user's name is part of the address."""
    return re.sub(r"^(https?://)[^/@]+@", r"\1", url)


def _not_one(path: Path, why: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.NOT_A_REPOSITORY, f"{path} is no git checkout: {why}", hint=hint)


def _default_branch(repo: "Repo", heads: Sequence[str], branch: str | None) -> str:
    """What origin says, else main or master, else what is checked out."""
    known = _said(repo, "symbolic-ref", "--quiet", f"{_ORIGIN}HEAD")
    if known and _said(repo, "rev-parse", "--quiet", "--verify", known):
        return known.removeprefix(_ORIGIN)
    usual = [name for name in ("main", "master") if name in heads]
    return [*usual, *([branch] if branch else []), *heads, "main"][0]


def find_root(path: Path) -> Path | None:
    """The root of the checkout that holds `path`, found without git: many commands need no more of it."""
    here = path.absolute()
    return next((one.resolve() for one in (here, *here.parents) if (one / ".git").exists()), None)


def main_worktree(root: Path) -> Path:
    """The folder that a repository is known by: of all its worktrees the first, or the bare repository.

    It is found without git, as `find_root` is; a folder that is no linked worktree stands for itself.
    """
    try:
        own = root / (root / ".git").read_text().removeprefix("gitdir:").strip()
        common = (own / (own / "commondir").read_text().strip()).resolve()
    except (OSError, ValueError):  # a whole `.git` folder, or that of a submodule
        return root
    if common.name == ".git":
        return common.parent
    return _stated_worktree(common) or common


def _stated_worktree(folder: Path) -> Path | None:
    """The worktree that a repository's own configuration names, as a submodule's does."""
    asked = ["git", "config", "--file", str(folder / "config"), "core.worktree"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return None
    named = done.stdout.rstrip("\n")
    return (folder / named).resolve() if done.returncode == 0 and named else None


def origin_of(root: Path) -> str:
    """The URL of a repository's `origin`, as git rewrites it; empty: it has none, or git cannot read it."""
    asked = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def address(url: str) -> tuple[str, str] | None:
    """The host and "owner/name" that an https, ssh or scp-like URL points at; None for anything else."""
    found = _URL.fullmatch(url) or _SCP.fullmatch(url)
    if found is None:
        return None
    path = found["path"].strip("/").removesuffix(".git")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        return None
    return _name(found["host"]), path


def remote_host(url: str) -> str:
    """The host of a remote, whatever its path looks like; empty: it is on this machine."""
    found = _URL.fullmatch(url) or _SCP.fullmatch(url)
    return _name(found["host"]) if found and not Path(url).exists() else ""


def ssh_url(url: str) -> str:
    """The URL with the host that ssh connects to, where its own is a name of the user's ssh configuration."""
    found = _URL.fullmatch(url) if _SSH.match(url) else None if "://" in url else _SCP.fullmatch(url)
    host = found["host"] if found else ""
    if not found or host.startswith("-"):
        return url
    try:
        asked = ["ssh", "-G", host]
        done = subprocess.run(
            asked, capture_output=True, text=True, errors="replace", check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return url
    named = re.search(r"^hostname (\S+)$", done.stdout, re.MULTILINE)
    return f"ssh://git@{named[1]}/{found['path'].strip('/')}" if named else url


def _name(host: str) -> str:
    return host.lower().rstrip(".")
