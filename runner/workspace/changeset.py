"""A change as git objects, in a private bare repository: no work tree, no index that outlives a call.

Everything here works on data: commits of the mirror, whose objects are borrowed, and a stored patch. The
tree that an agent wrote is never read, so nothing in it can influence git.
"""

import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from runner.clients.git import Git, blobs
from runner.clients.git.failures import failure
from runner.core.errors import RunnerError
from runner.core.hunks import Hunk
from runner.core.model import Phase, Reason, Remote
from runner.core.retrying import retry
from runner.workspace.diff_hunks import diff_hunks

_SYNTHETIC = ("skillrunner", "skillrunner@localhost", datetime(2000, 1, 1, tzinfo=UTC))
_FILES = (0o100644, 0o100755, 0o120000)  # plain, executable, a symbolic link
_PUSH_DELAYS = (2.0, 5.0)  # seconds before a push is repeated whose answer was lost
_UPDATE_INSTEAD = "git -c receive.denyCurrentBranch=updateInstead receive-pack"
_FORMAT = "%H%x00%P%x00%T%x00%an%x00%ae%x00%cn%x00%ce%x00%B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    sha: str
    parents: tuple[str, ...]
    tree: str
    author_name: str
    author_email: str
    committer_name: str
    committer_email: str
    message: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two sides changed the same lines; the paths are sorted."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """The new content of a path; None deletes it."""

    path: str
    mode: int = 0
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Stat:
    """The lines added and deleted in a path; None: it is binary."""

    additions: int | None
    deletions: int | None


class Changeset:
    """A private repository in `directory`, made when it is not there, that borrows `mirror_objects`."""

    def __init__(self, directory: Path, mirror_objects: Path, phase: Phase = Phase.PUBLISH) -> None:
        self.directory = directory
        self.objects = directory / "objects"
        self._git = Git(directory, phase=phase)
        if not (directory / "HEAD").exists():
            directory.mkdir(parents=True, exist_ok=True)
            kind = Git(mirror_objects.parent, phase=phase).output("rev-parse", "--show-object-format")
            self._git.run("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", directory)
        (self.objects / "info").mkdir(exist_ok=True)
        (self.objects / "info" / "alternates").write_text(f"{mirror_objects}\n")

    def write(self, base: str, edits: Iterable[Edit]) -> str:
        """Write the tree of `base` with `edits`; return its sha. Raises RunnerError for an invalid path."""
        gone, here = _split(edits)
        if not gone and not here:
            return self.tree_of(base)
        ref = f"refs/skillrunner/{os.urandom(8).hex()}"
        head = f"commit {ref}\ncommitter x <x> 0 +0000\ndata 0\nfrom {base}^0\n".encode()
        body = [b"D " + _quoted(edit.path) + b"\n" for edit in gone]
        for edit in here:
            content = edit.content or b""
            body.append(b"M %o inline %s\ndata %d\n" % (edit.mode, _quoted(edit.path), len(content)))
            body += (content, b"\n")
        self._git.run("fast-import", "--quiet", "--date-format=raw", stdin=b"".join((head, *body)))
        tree = self.tree_of(ref)
        self._git.run("update-ref", "-d", ref)
        return tree

    def patch(self, base: str, tree: str) -> bytes:
        """The patch between two trees, which can be applied with the base alone."""
        wanted = ("-p", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-renames")
        return self._git.run("diff-tree", "-r", *wanted, f"{base}^{{tree}}", tree).stdout

    def edits(self, base: str, tree: str) -> list[Edit]:
        """The edits that turn the files and links of `base` into those of `tree`."""
        flags = ("-z", "--raw", "--no-renames", "--no-abbrev")
        out = self._git.run("diff-tree", "-r", *flags, f"{base}^{{tree}}", tree).stdout
        fields = out.split(b"\0")[:-1]
        found = {os.fsdecode(path): record.split() for record, path in zip(*[iter(fields)] * 2, strict=True)}
        modes = {path: int(record[1], 8) for path, record in found.items()}
        shas = {path: record[3].decode() for path, record in found.items() if modes[path] in _FILES}
        contents = dict(blobs(self._git, {*shas.values()}))
        gone = [Edit(path) for path, mode in modes.items() if not mode]
        return gone + [Edit(path, modes[path], contents[sha]) for path, sha in shas.items()]

    def contents(self, shas: Collection[str]) -> Mapping[str, bytes]:
        """The contents of blobs by their names."""
        return dict(blobs(self._git, set(shas))) if shas else {}

    def attributes(
        self, tree: str, paths: Sequence[str], names: Sequence[str]
    ) -> Mapping[str, tuple[str, ...]]:
        """By path: the values that the `.gitattributes` of `tree` give the attributes `names`."""
        if not paths:
            return {}
        asked = b"".join(b"%s\0" % os.fsencode(path) for path in paths)
        with self._index(tree) as variables:
            args = ("check-attr", "--cached", "-z", "--stdin", *names)
            out = self._git.run(*args, stdin=asked, variables=variables).stdout
        values = [os.fsdecode(value) for value in out.split(b"\0")[2::3]]
        groups = zip(*[iter(values)] * len(names), strict=True)
        return dict(zip(paths, groups, strict=True))

    def stats(self, base: str, tree: str) -> dict[str, Stat]:
        """Lines added and deleted, for each path that differs between two trees."""
        wanted = ("--numstat", "-z", "--no-ext-diff", "--no-textconv", "--no-renames")
        out = self._git.run("diff-tree", "-r", *wanted, f"{base}^{{tree}}", tree).stdout
        return dict(_stat(record) for record in out.split(b"\0") if record)

    def hunks(self, old: str, new: str) -> Mapping[str, Sequence[Hunk]]:
        """By path: what changed between two commits, without unchanged lines around it."""
        return diff_hunks(self._git, old, new, context=0)

    def apply(self, base: str, patch: bytes) -> str:
        """The tree of `base` with `patch` applied. Raises RunnerError(CONFLICT) when it does not apply."""
        if not patch:
            return self.tree_of(base)
        with self._index(base) as variables:
            args = ("apply", "--cached", "--whitespace=nowarn", "-")
            done = self._git.run(*args, stdin=patch, ok=(0, 1, 128), variables=variables)
            if done.code != 0:
                message = f"the patch does not apply to {base[:12]}: {done.stderr.strip()[:1000]}"
                raise RunnerError(self._git.phase, Reason.CONFLICT, message)
            return self._git.output("write-tree", variables=variables)

    def merge(self, base: str, onto: str, tree: str) -> str | Conflict:
        """Apply the change from `base` to `tree` on `onto`; return the new tree, or the conflicting paths.

        The histories of `base` and `onto` play no part. Where git would follow a rename, and so make the
        change at a path that no policy has seen, that is a conflict too.
        """
        root = self._synthetic(self.tree_of(base))
        ours = self._synthetic(self.tree_of(onto), root)
        theirs = self._synthetic(tree, root)
        flags = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z")
        done = self._git.run("-c", "merge.renames=true", *flags, ours, theirs, ok=(0, 1, 129))
        if done.code == 129:
            raise self._too_old()
        found, *paths = done.stdout.decode(errors="surrogateescape").rstrip("\0").split("\0")
        if not done.code:
            paths = list(self.stats(onto, found).keys() - self.stats(base, tree).keys())
        return Conflict(tuple(sorted(set(filter(None, paths))))) if done.code or paths else found

    def commit(
        self,
        tree: str,
        parents: Iterable[str],
        message: str,
        author_name: str,
        author_email: str,
        at: datetime,
    ) -> str:
        """Write a commit; equal arguments make the same commit, so that this is safe to repeat."""
        who = {"NAME": author_name, "EMAIL": author_email, "DATE": f"{int(at.timestamp())} +0000"}
        roles = ("AUTHOR", "COMMITTER")
        variables = {f"GIT_{role}_{key}": value for role in roles for key, value in who.items()}
        flags = [part for parent in parents for part in ("-p", parent)]
        stdin = message.encode(errors="replace")
        return self._git.output("commit-tree", tree, *flags, "-F", "-", stdin=stdin, variables=variables)

    def index(self, tree: str) -> bytes:
        """An index of git that holds `tree`, and knows no file's times yet."""
        with self._index(tree) as variables:
            return Path(variables["GIT_INDEX_FILE"]).read_bytes()

    def tree_of(self, commit: str) -> str:
        return self._git.output("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")

    def commits(self, base: str, tip: str) -> list[Commit]:
        """The commits of `tip` that `base` does not have, oldest first."""
        return self._log("--topo-order", "--reverse", "--end-of-options", f"{base}..{tip}")

    def first_parents(self, tip: str, *without: str, limit: int = 1000) -> list[Commit]:
        """`tip` and its first parents, newest first, without those that `without` have."""
        excluded = [f"^{one}" for one in without]
        return self._log("--first-parent", f"--max-count={limit}", "--end-of-options", tip, *excluded)

    def _log(self, *args: str) -> list[Commit]:
        out = self._git.run("log", "-z", f"--format={_FORMAT}", *args).stdout.decode(errors="replace")
        fields = out.removesuffix("\0").split("\0") if out else []
        return [_commit(fields[at : at + 8]) for at in range(0, len(fields), 8)]

    def has(self, commit: str) -> bool:
        return self._git.run("cat-file", "-e", f"{commit}^{{commit}}", ok=(0, 1, 128)).code == 0

    def is_ancestor(self, old: str, new: str) -> bool:
        return self._git.run("merge-base", "--is-ancestor", old, new, ok=(0, 1)).code == 0

    def merge_commits(self, one: str, other: str) -> str | Conflict:
        """The tree that git makes of two commits by itself; a conflict too where they share no history."""
        flags = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z")
        done = self._git.run("-c", "merge.renames=true", *flags, one, other, ok=(0, 1, 128, 129))
        if done.code == 129:
            raise self._too_old()
        tree, *paths = done.stdout.decode(errors="surrogateescape").rstrip("\0").split("\0")
        return Conflict(tuple(sorted(set(filter(None, paths))))) if done.code else tree

    def fetch(self, remote: Remote, *refspecs: str) -> None:
        """Fetch refspecs of `remote`: `+refs/heads/x:refs/heads/x`, or a commit's name."""
        flags = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow")
        self._git.run("fetch", *flags, "--", remote.url, *refspecs, variables=remote.variables)

    def remote_heads(self, remote: Remote, *branches: str) -> list[str | None]:
        """By branch: its commit on the remote; None where there is no such branch."""
        refs = [f"refs/heads/{branch}" for branch in branches]
        listing = self._git.output("ls-remote", "--", remote.url, *refs, variables=remote.variables)
        pairs = (line.partition("\t") for line in listing.split("\n"))
        found = {ref: sha for sha, _, ref in pairs}
        return [found.get(ref) for ref in refs]

    def push(
        self, remote: Remote, sha: str, branch: str, expected: str | None, *, checked_out: bool = False
    ) -> None:
        """Push `sha` to `branch` of `remote`, if the branch still is at `expected` (None: does not exist).

        A repeated push does nothing, so one whose answer was lost is repeated. `checked_out`: where the
        branch is checked out there, its files come along, if none of them was changed. Raises RunnerError:
        BRANCH_MOVED, BRANCH_PROTECTED, FORGE_DENIED, FORGE_REJECTED, or another error of the git client.
        """
        taken = [f"--receive-pack={_UPDATE_INSTEAD}"] if checked_out else []
        push = partial(self._push, remote, sha, branch, expected, taken)
        retry(push, RunnerError, _is_away, _PUSH_DELAYS)

    def _push(self, remote: Remote, sha: str, branch: str, expected: str | None, flags: list[str]) -> None:
        ref = f"refs/heads/{branch}"
        lease = f"--force-with-lease={ref}:{expected or ''}"
        args = ("push", "--porcelain", "--no-verify", lease, *flags, "--", remote.url, f"{sha}:{ref}")
        done = self._git.run(*args, ok=(0, 1), variables=remote.variables)
        if done.code == 0:
            return
        error = failure(self._git.phase, self.directory, args, done)
        if error.reason is Reason.FORGE_UNAVAILABLE and not re.search(rb"^!", done.stdout, re.MULTILINE):
            raise error
        raise _not_pushed(branch, remote, f"{done.stdout.decode(errors='replace')}\n{done.stderr}")

    def delete(self, remote: Remote, branch: str, expected: str) -> None:
        """Delete a branch of `remote`, if it still is at `expected`. Raises RunnerError as `push` does."""
        self.push(remote, "", branch, expected)

    @contextmanager
    def _index(self, base: str) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            variables = {"GIT_INDEX_FILE": f"{scratch}/index"}
            self._git.run("read-tree", f"{base}^{{tree}}", variables=variables)
            yield variables

    def _synthetic(self, tree: str, *parents: str) -> str:
        return self.commit(tree, parents, "", *_SYNTHETIC)

    def _too_old(self) -> RunnerError:
        message = (
            f"a moved base needs `git merge-tree --write-tree`, and this is {self._git.output('version')}"
        )
        return RunnerError(self._git.phase, Reason.UNSUPPORTED, message, hint="install git 2.38 or newer")


def _split(edits: Iterable[Edit]) -> tuple[list[Edit], list[Edit]]:
    """(deletions, writes): deletions come first, as a file may become a folder, and a folder a file."""
    found = list(edits)
    return [edit for edit in found if edit.content is None], [
        edit for edit in found if edit.content is not None
    ]


def _quoted(path: str) -> bytes:
    """A path as git-fast-import(1) reads it, whatever bytes it holds."""
    raw = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + raw + b'"'


def _stat(record: bytes) -> tuple[str, Stat]:
    added, deleted, path = record.split(b"\t", 2)
    binary = added == b"-"
    return os.fsdecode(path), Stat(None, None) if binary else Stat(int(added), int(deleted))


def _commit(fields: list[str]) -> Commit:
    sha, parents, tree, author_name, author_email, committer_name, committer_email, message = fields
    return Commit(
        sha=sha,
        parents=tuple(parents.split()),
        tree=tree,
        author_name=author_name,
        author_email=author_email,
        committer_name=committer_name,
        committer_email=committer_email,
        message=message,
    )


def _is_away(error: RunnerError) -> bool:
    return error.reason is Reason.FORGE_UNAVAILABLE


def _not_pushed(branch: str, remote: Remote, said: str) -> RunnerError:
    line = next((line for line in said.splitlines() if line.startswith("!")), said.strip())
    why = "; ".join(line.split("\t")[2:]) or line
    told = "; ".join(found.strip() for found in re.findall(r"^remote: +(.+)$", said, re.MULTILINE))
    message = f"{branch} was not pushed to {remote.url}: {why}" + (f" ({told[:500]})" if told else "")
    in_the_way = re.search(r"'refs/heads/([^']+)' exists; cannot create|directory file conflict", said)
    if in_the_way:
        name = in_the_way[1] or branch.partition("/")[0]
        hint = f"git keeps no branch {branch} beside one called {name}: rename that one, or delete it"
        return RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, message, hint=hint)
    if re.search(r"stale info|cannot lock ref|fetch first|non-fast-forward|incorrect old value", line + told):
        hint = "somebody else wrote to the branch: look at it, then run it again"
        return RunnerError(Phase.PUBLISH, Reason.BRANCH_MOVED, message, hint=hint)
    if re.search(r"GH00[0-9]|GH01[0-9]|[Pp]rotected branch|[Rr]epository rule", said):
        hint = "let the bot push branches below skillrunner/, by the rules or rulesets of the repository"
        return RunnerError(Phase.PUBLISH, Reason.BRANCH_PROTECTED, message, hint=hint)
    if re.search(r"denied|permission|not allowed|without .workflows?. permission", said, re.IGNORECASE):
        hint = "give the token write access to contents, then try `skillrunner doctor`"
        return RunnerError(Phase.PUBLISH, Reason.FORGE_DENIED, message, hint=hint)
    hint = "see the rules for this branch in the repository's settings"
    return RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, message, hint=hint)
