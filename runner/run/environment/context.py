"""A Dockerfile and the files that it can read, from commits in the mirror."""

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from runner.clients.git import Entry, Git, blobs, entries
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.run.environment.dockerfile import context_paths
from runner.workspace.mirror import Mirror

DOCKERFILE = ".skillrunner.dockerfile"
"""The Dockerfile's name in what is sent: it may come from another commit than the rest."""

_MAX_BYTES = 256 * 1024**2  # bytes of a context
_MAX_DOCKERFILE = 1024**2  # bytes of a Dockerfile
_LINK, _SUBMODULE = 0o120000, 0o160000


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """Everything that an image is built from. Equal keys mean equal content."""

    name: str  # the Dockerfile's path
    dockerfile: bytes
    files: Mapping[str, Entry]
    git: Git

    @property
    def key(self) -> str:
        """A digest of the content: 32 hexadecimal digits."""
        total = hashlib.sha256(b"1\0" + hashlib.sha256(self.dockerfile).digest())
        for path, entry in sorted(self.files.items()):
            total.update(os.fsencode(path) + f"\0{entry.mode:o} {entry.sha}\0".encode())
        return total.hexdigest()[:32]

    def write(self, file: IO[bytes]) -> None:
        """Write the tar archive for the engine: the same bytes for the same content."""
        contents = dict(blobs(self.git, {entry.sha for entry in self.files.values()}))
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path, entry in sorted(self.files.items()):
                _add(tar, path, entry.mode, contents[entry.sha])
            _add(tar, DOCKERFILE, 0o100644, self.dockerfile)


def _add(tar: tarfile.TarFile, path: str, mode: int, content: bytes) -> None:
    info = tarfile.TarInfo(path)
    info.mode = 0o755 if mode & 0o111 else 0o644
    if mode == _LINK:
        info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(content)
        tar.addfile(info)
    else:
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))


def build_context(mirror: Mirror, trusted: str, base: str, path: str, folder: str = "") -> BuildContext:
    """Read the Dockerfile `path` of the commit `trusted`, and the files below `folder` of the commit `base`.

    Raises RunnerError IMAGE_BUILD_FAILED when the file is missing, or the context is too large.
    """
    git = Git(mirror.directory, phase=Phase.SANDBOX)
    text = read_committed(git, trusted, path, "environment.dockerfile")
    below = f"{folder}/" if folder else ""
    known = {
        name.removeprefix(below): entry
        for name, entry in entries(git, base, [folder] if folder else (), sizes=True).items()
        if entry.mode != _SUBMODULE and name.startswith(below)
    }
    kept = _not_ignored(git, known, path.removeprefix(below))
    seen = context_paths(text.decode(errors="replace"), {name: entry.mode for name, entry in kept.items()})
    files = {name: kept[name] for name in seen}
    size = sum(entry.size for entry in files.values())
    if size > _MAX_BYTES:
        message = f"{path} can see {size:,} bytes of the repository, more than {_MAX_BYTES:,}"
        raise build_failure(message, "name the folders in COPY, or leave the rest out in .dockerignore")
    return BuildContext(name=path, dockerfile=text, files=files, git=git)


def read_committed(git: Git, commit: str, path: str, key: str) -> bytes:
    """Read a plain file of a commit, which the skill names under `key`. Raises RunnerError."""
    if git.run("cat-file", "-e", f"{commit}^{{commit}}", ok=(0, 1, 128)).code:
        message = f"the skill's commit {commit[:12]} is not in the repository, so `{key}` cannot be read"
        raise build_failure(message, "git push, then run it again")
    found = entries(git, commit, [path], sizes=True).get(path)
    if found is None or found.mode in (_LINK, _SUBMODULE):
        message = f"`{key}` names {path}, and the commit {commit[:12]} has no such file"
        raise build_failure(message, "commit and push it, or correct the path in skill.yaml")
    if found.size > _MAX_DOCKERFILE:
        raise build_failure(
            f"{path} has {found.size:,} bytes, more than {_MAX_DOCKERFILE:,}", "keep it short"
        )
    ((_, content),) = blobs(git, [found.sha])
    return content


def _not_ignored(git: Git, files: Mapping[str, Entry], dockerfile: str) -> dict[str, Entry]:
    """The files that `.dockerignore`, or `NAME.dockerignore` beside a Dockerfile, does not exclude."""
    from docker.utils.build import PatternMatcher

    own = files.get(f"{dockerfile}.dockerignore") or files.get(".dockerignore")
    if own is None or own.mode == _LINK:
        return dict(files)
    ((_, content),) = blobs(git, [own.sha])
    lines = (line.strip() for line in content.decode(errors="replace").splitlines())
    ignored: Any = PatternMatcher([line for line in lines if line and not line.startswith("#")])
    return {path: entry for path, entry in files.items() if not ignored.matches(path)}


def build_failure(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.SANDBOX, Reason.IMAGE_BUILD_FAILED, message, hint=hint)
