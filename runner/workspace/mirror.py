"""The mirror cache: one bare repository for each repository, shared by all runs.

Objects are only added to a mirror, never pruned, because the checkouts of runs borrow them.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.clients.git import Git
from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.locks import lock
from runner.core.model import Phase, Reason, Remote

_MANY_PACKS = 20
_OURS = ("refs/heads/", "refs/tags/")


@dataclass(frozen=True, slots=True)
class Mirror:
    """The mirror of the repository at `url`, somewhere below `state_dir`. It may not be there yet."""

    state_dir: Path
    url: str

    @property
    def key(self) -> str:
        """A folder's name for this repository: readable, and different for different URLs."""
        name = re.sub(r"[^A-Za-z0-9-]+", "-", self.url.rstrip("/").removesuffix(".git").rsplit("/", 1)[-1])
        return f"{name[:40]}-{hashlib.sha256(self.url.encode()).hexdigest()[:16]}"

    @property
    def directory(self) -> Path:
        return self.state_dir.absolute() / "mirrors" / f"{self.key}.git"

    @property
    def objects(self) -> Path:
        return self.directory / "objects"

    @property
    def git(self) -> Git:
        return Git(self.directory)

    def fetch(self, remote: Remote, *want: str) -> bool:
        """Fetch branches, tags, and the refs in `want`; return whether anything moved.

        When nothing moved this costs one ls-remote. A damaged mirror is made anew.
        """
        with self._locked():
            if not (self.directory / "HEAD").exists():
                return self._create(remote, want)
            self._drop_stale_locks()
            try:
                return _update(self.git, remote, want)
            except RunnerError as error:
                if error.reason not in (Reason.GIT_FAILED, Reason.REF_NOT_FOUND) or self.is_healthy():
                    raise
                return self._create(remote, want)

    def fetch_ref(self, remote: Remote, ref: str) -> str:
        """Fetch one ref of any name, and return its commit."""
        with self._locked():
            flags = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--force")
            self.git.run("fetch", *flags, "--", remote.url, f"+{ref}:{ref}", variables=remote.variables)
            return self.git.output("rev-parse", ref)

    def fetch_commit(self, remote: Remote, ref: str, sha: str = "") -> str:
        """Fetch the commit `sha`, by `ref` where that brings it; or what `ref` names, without `sha`.

        Raises RunnerError REF_NOT_FOUND when the remote has it no more.
        """
        if sha and _has(self.git, sha):
            return sha
        try:
            found = self.fetch_ref(remote, ref) if ref else ""
            if sha and not _has(self.git, sha):
                self.fetch(remote, sha)
        except RunnerError as error:
            if error.reason not in (Reason.GIT_FAILED, Reason.REF_NOT_FOUND):
                raise
            message = f"{self.url} has no {sha[:12] or ref} any more: {error.message}"
            hint = "it moved on, or is gone; `tree: base` under the trigger stands on the default branch"
            raise RunnerError(Phase.CHECKOUT, Reason.REF_NOT_FOUND, message, hint=hint) from error
        return sha or found

    def has_branch(self, name: str) -> bool:
        """Whether the repository has a branch of this name, as of the last fetch."""
        args = ("show-ref", "--verify", "--quiet", f"refs/heads/{name}")
        return bool(name) and self.git.run(*args, ok=(0, 1, 128)).code == 0

    def parents(self, sha: str) -> list[str]:
        return self.git.output("rev-list", "--parents", "--max-count=1", sha).split()[1:]

    def is_ours(self, sha: str) -> bool:
        """Whether a branch holds the commit: then somebody who may write here has pushed it."""
        held = ("for-each-ref", "--count=1", f"--contains={sha}", "--format=%(refname)", "refs/heads/")
        return bool(self.git.output(*held))

    def resolve(self, ref: str) -> str:
        """The commit that a branch, tag, full ref or commit name means. Raises RunnerError REF_NOT_FOUND."""
        short = () if ref.startswith("refs/") else (f"refs/heads/{ref}", f"refs/tags/{ref}")
        for candidate in (*short, ref):
            args = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}")
            done = self.git.run(*args, ok=(0, 1, 128))
            if done.code == 0:
                return done.stdout.decode().strip()
        message = f"{self.url} has no branch, tag or commit {ref!r}"
        hint = f"see what it has: git ls-remote {self.url}"
        raise RunnerError(Phase.CHECKOUT, Reason.REF_NOT_FOUND, message, hint=hint)

    def own_pull_requests(self, remote: Remote) -> dict[str, str]:
        """By number: the heads of pull requests that are heads of branches here: open ones, and no fork's."""
        listing = ("refs/heads/*", "refs/pull/*/head")
        there = _refs(self.git.output("ls-remote", "--", remote.url, *listing, variables=remote.variables))
        tips = {sha for ref, sha in there.items() if ref.startswith("refs/heads/")}
        found = {ref.split("/")[2]: sha for ref, sha in there.items() if ref.startswith("refs/pull/")}
        return {number: sha for number, sha in found.items() if sha in tips and _has(self.git, sha)}

    def branches(self) -> list[str]:
        """The names of all branches, as of the last fetch."""
        return self.git.output("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/").split("\n")

    def default_branch(self, remote: Remote) -> str:
        """The full name of the remote's default branch. Raises RunnerError REF_NOT_FOUND."""
        told = self.git.output("ls-remote", "--symref", "--", remote.url, "HEAD", variables=remote.variables)
        named = re.match(r"ref: (refs/heads/[^\t\n]+)\tHEAD\n", told + "\n")
        if named is None:
            message, hint = (
                f"{self.url} does not say which branch is its default",
                "name one: owner/name@branch",
            )
            raise RunnerError(Phase.CHECKOUT, Reason.REF_NOT_FOUND, message, hint=hint)
        return named[1]

    @contextmanager
    def pin(self, name: str, sha: str) -> Iterator[None]:
        """Keep `sha` reachable by a ref while a run borrows it."""
        ref = f"refs/keep/{name}"
        with self._locked():
            self.git.run("update-ref", ref, sha)
        try:
            yield
        finally:
            with self._locked():
                self.git.run("update-ref", "-d", ref, ok=(0, 1, 128))  # a damaged mirror is gone by now

    def unpin_others(self, living: set[str]) -> None:
        """Delete the pins of runs that are not among `living`: their processes died."""
        with self._locked():
            kept = self.git.output("for-each-ref", "--format=%(refname:lstrip=2)", "refs/keep/").split()
            for name in set(kept) - living:
                self.git.run("update-ref", "-d", f"refs/keep/{name}")

    def is_healthy(self) -> bool:
        """Whether every object that a ref needs exists and can be read."""
        if not (self.directory / "HEAD").exists():
            return False
        return self.git.run("fsck", "--connectivity-only", ok=range(256)).code == 0

    def discard(self) -> None:
        """Remove the mirror; the next fetch makes it anew."""
        with self._locked():
            safe_fs.remove(self.directory)

    def _create(self, remote: Remote, want: Sequence[str]) -> bool:
        """Create the mirror under another name and rename it, so that it exists completely or not at all."""
        aside = self.directory.with_suffix(f".{os.getpid()}.new")
        safe_fs.remove(aside)
        try:
            _clone(remote, aside)
            _update(Git(aside), remote, want)
            safe_fs.remove(self.directory)
            aside.rename(self.directory)
        finally:
            safe_fs.remove(aside)
        return True

    def _drop_stale_locks(self) -> None:
        """Delete git's own lock files: we hold our lock, so they belong to a killed process."""
        for left in (*self.directory.glob("*.lock"), *(self.directory / "refs").rglob("*.lock")):
            left.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with safe_fs.os_errors():
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            with lock(self.directory.with_suffix(".lock")):
                yield


def _clone(remote: Remote, aside: Path) -> None:
    above = Git(aside.parent)
    if _plain_folder(remote.url):  # hard links instead of a transfer
        above.run("clone", "--quiet", "--bare", "--template=", "--", remote.url, aside)
        Git(aside).run("remote", "remove", "origin")
    else:
        above.run(
            "init", "--quiet", "--bare", "--template=", f"--object-format={_format(above, remote)}", aside
        )


def _format(above: Git, remote: Remote) -> str:
    """The kind of the object names of a remote: a repository has one for all."""
    told = above.output("ls-remote", "--", remote.url, "HEAD", "refs/heads/*", variables=remote.variables)
    return "sha256" if re.match(r"[0-9a-f]{64}\t", told) else "sha1"


def _update(git: Git, remote: Remote, want: Sequence[str]) -> bool:
    there = _refs(git.output("ls-remote", "--", remote.url, variables=remote.variables))
    here = _refs(git.output("show-ref", ok=(0, 1)))
    absent = [ref for ref in want if ref not in there and not _has(git, ref)]
    wanted = [f"+{ref}:{ref}" for ref in want if ref in there and there[ref] != here.get(ref)] + absent
    if _shared(there) == _shared(here) and not wanted:
        return False
    flags = ("--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--force")
    refspecs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", *wanted)
    config = ("-c", "fetch.unpackLimit=1")
    git.run(*config, "fetch", *flags, "--", remote.url, *refspecs, variables=remote.variables)
    _tidy(git)
    return True


def _has(git: Git, sha: str) -> bool:
    return git.run("cat-file", "-e", "--end-of-options", sha, ok=(0, 1, 128)).code == 0


def _tidy(git: Git) -> None:
    """Combine many small packs into few; no object is dropped."""
    if len(list((git.directory / "objects" / "pack").glob("*.pack"))) > _MANY_PACKS:
        git.run("repack", "--quiet", "-d", "--geometric=2")


def _plain_folder(url: str) -> bool:
    """The local repository whose objects can be hard-linked, if it borrows none itself."""
    return any(
        (Path(url) / git / "objects").is_dir() and not (Path(url) / git / "objects/info/alternates").exists()
        for git in ("", ".git")
    )


def _refs(listing: str) -> dict[str, str]:
    pairs = (re.split(r"[\t ]", line, maxsplit=1) for line in listing.split("\n") if line)
    return {ref: sha for sha, ref in pairs}


def _shared(refs: dict[str, str]) -> dict[str, str]:
    return {ref: sha for ref, sha in refs.items() if ref.startswith(_OURS) and not ref.endswith("^{}")}
