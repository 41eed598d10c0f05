"""Real repositories, made quickly: git-fast-import(1) writes commits without a work tree."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.core.model import Allowance, FileChange, Phase, Remote
from runner.workspace.baseline import NO_SETUP, Baseline, take_baseline
from runner.workspace.changeset import Changeset
from runner.workspace.checkout import Workspace, checkout
from runner.workspace.harvest import Harvest, harvest
from runner.workspace.mirror import Mirror

Content = bytes | tuple[int, bytes] | None  # a plain file, a file or link or submodule with its mode, or gone

BASE: dict[str, Content] = {
    "README.md": b"# Demo\n\nWhat it is.\n",
    "docs/a.md": b"one\ntwo\nthree\n",
    "docs/deep/b.md": b"deep\n",
    "src/app.py": b"print('hello')\n",
    "bin/run": (0o100755, b"#!/bin/sh\necho run\n"),
    "link": (0o120000, b"README.md"),
    "logo.png": b"\x89PNG\x00\x01\x02",
    ".gitignore": b"*.log\n/build/\nnode_modules/\n",
}


def git(directory: Path, *args: str, stdin: bytes = b"") -> str:
    """git as a developer has it, for setting the scene."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", "-C", str(directory), *who, *args], input=stdin, capture_output=True, check=True, env=env
    )
    return done.stdout.decode(errors="surrogateescape").strip()


def commit(
    repository: Path, files: Mapping[str, Content], branch: str = "main", message: str = "change"
) -> str:
    """Add a commit to a branch of a bare repository (an orphan, if the branch is new); return its name."""
    ref = f"refs/heads/{branch}"
    known = git(repository, "for-each-ref", "--format=%(objectname)", ref)
    head = [
        f"commit {ref}\ncommitter Dev <dev@example.com> 1700000000 +0000\ndata {len(message)}\n{message}\n"
    ]
    head += [f"from {known}\n"] if known else []
    body = b"".join(_change(path, content) for path, content in files.items())
    git(repository, "fast-import", "--quiet", "--force", stdin="".join(head).encode() + body)
    return git(repository, "rev-parse", ref)


def _change(path: str, content: Content) -> bytes:
    raw = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    if content is None:
        return b'D "%s"\n' % raw
    mode, data = content if isinstance(content, tuple) else (0o100644, content)
    if mode == 0o160000:
        return b'M 160000 %s "%s"\n' % (data, raw)
    return b'M %o inline "%s"\ndata %d\n%s\n' % (mode, raw, len(data), data)


def bare(directory: Path, files: Mapping[str, Content] | None = None) -> Path:
    """A bare repository with one commit on main."""
    git(directory.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(directory))
    commit(directory, BASE if files is None else files, message="first")
    return directory


def many(directory: Path, count: int = 20_000, lines: int = 60) -> Path:
    """A bare repository of `count` files in folders of twenty."""
    body = b"".join(b"line %d of a file that is there to be written\n" % number for number in range(lines))
    files = {
        f"pkg{number // 500}/mod{number // 20 % 25}/file{number}.py": b"# %d\n" % number + body
        for number in range(count)
    }
    return bare(directory, files)


@dataclass(frozen=True, slots=True)
class Scene:
    """A repository and the folders that a run of ours needs around it."""

    source: Path
    state: Path

    @property
    def remote(self) -> Remote:
        return Remote(url=str(self.source))

    @property
    def mirror(self) -> Mirror:
        return Mirror(self.state, str(self.source))

    def changeset(self) -> Changeset:
        return Changeset(self.state / "proposal.git", self.mirror.objects, Phase.PROPOSAL)

    @contextmanager
    def workspace(self, *, layered: bool = False, ref: str = "main") -> Iterator[Workspace]:
        self.mirror.fetch(self.remote)
        with checkout(self.mirror, self.mirror.resolve(ref), "run-1", layered=layered) as found:
            yield found

    def baseline(self, workspace: Workspace) -> Baseline:
        return take_baseline(workspace, self.changeset())

    def harvest(
        self, workspace: Workspace, allowance: Allowance | None = None, baseline: Baseline = NO_SETUP
    ) -> Harvest:
        return harvest(workspace, allowance or Allowance(), self.changeset(), baseline)


def scene(folder: Path, files: Mapping[str, Content] | None = None) -> Scene:
    return Scene(bare(folder / "source.git", files), folder / "state")


def by_path(found: Harvest) -> dict[str, FileChange]:
    return {change.path: change for change in found.changes}
