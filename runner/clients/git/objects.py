"""Trees and files of a commit, read from a bare repository without a checkout."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.clients.git.call import Git
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path in a commit's tree."""

    mode: int
    sha: str
    size: int  # of a blob; 0 for a submodule


def entries(git: Git, commit: str, prefixes: Iterable[str] = (), *, sizes: bool = False) -> dict[str, Entry]:
    """Every path of `commit` at or below `prefixes` (all: none given) and what it holds."""
    long = ["-l"] if sizes else []
    listing = git.run("ls-tree", "-r", "-z", "--full-tree", *long, commit, "--", *prefixes).stdout
    return dict(_entry(record) for record in listing.split(b"\0") if record)


def _entry(record: bytes) -> tuple[str, Entry]:
    head, path = record.split(b"\t", 1)
    mode, _, sha, *size = head.split()
    found = int(size[0]) if size and size[0] != b"-" else 0
    return os.fsdecode(path), Entry(mode=int(mode, 8), sha=sha.decode(), size=found)


def blobs(git: Git, shas: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The content of each blob, in one call. Raises RunnerError when one is not there."""
    wanted = list(shas)
    out = git.run(
        "cat-file", "--batch", "--buffer", stdin="".join(f"{sha}\n" for sha in wanted).encode()
    ).stdout
    at = 0
    for sha in wanted:
        end = out.index(b"\n", at)
        header = out[at:end].split()
        if len(header) != 3:
            raise RunnerError(git.phase, Reason.GIT_FAILED, f"object {sha} is missing in {git.directory}")
        start = end + 1
        at = start + int(header[2]) + 1
        yield sha, out[start : at - 1]


def files_at(
    mirror: Path,
    commit: str,
    prefixes: Iterable[str],
    *,
    max_file: int = 8 * 1024**2,
    max_total: int = 64 * 1024**2,
) -> dict[str, bytes]:
    """The plain files at or below `prefixes` in a commit of a bare repository, without a checkout.

    Sizes are in bytes. Raises RunnerError when a file, or all of them, are larger.
    """
    git = Git(mirror, phase=Phase.LOAD)
    found = entries(git, commit, prefixes, sizes=True)
    plain = {path: entry for path, entry in found.items() if entry.mode in (0o100644, 0o100755)}
    for path, entry in plain.items():
        if entry.size > max_file:
            message = f"{path} at {commit[:12]} has {entry.size:,} bytes, more than {max_file:,}"
            raise RunnerError(Phase.LOAD, Reason.INVALID_SKILL, message, hint="keep large files elsewhere")
    if sum(entry.size for entry in plain.values()) > max_total:
        message = f"the files in {', '.join(prefixes)} at {commit[:12]} have more than {max_total:,} bytes"
        raise RunnerError(Phase.LOAD, Reason.INVALID_SKILL, message, hint="keep large files elsewhere")
    contents = dict(blobs(git, {entry.sha for entry in plain.values()}))
    return {path: contents[entry.sha] for path, entry in plain.items()}
