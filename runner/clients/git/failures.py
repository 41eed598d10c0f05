"""Turns a failure of git into an error that says what a person can do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


@dataclass(frozen=True, slots=True)
class GitResult:
    """How one call of git ended."""

    code: int
    stdout: bytes
    stderr: str


def redact(text: str, variables: Mapping[str, str]) -> str:
    """`text` without the user part of URLs and without what `variables` hold as git configuration."""
    for name, value in variables.items():
        if name.startswith("GIT_CONFIG_VALUE_") and len(value) >= 6:
            text = text.replace(value, "***").replace(value.rsplit(" ", 1)[-1], "***")
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", text)


class _Cause(NamedTuple):
    pattern: str
    reason: Reason
    hint: str
    retryable: bool = False


_CAUSES = (
    _Cause(
        r"No space left on device|Disk quota exceeded|unable to write file",  # git's checkout gives no cause
        Reason.DISK_FULL,
        "free some space, or move state_dir in skillrunner.yaml to a larger disk",
        True,
    ),
    _Cause(
        r"Authentication failed|could not read (Username|Password)|error: 40[13]|HTTP 40[13]|\(publickey"
        r"|Write access to repository not granted|Permission to \S+ denied",
        Reason.FORGE_DENIED,
        "set GITHUB_TOKEN to a token that has access to this repository, then try `skillrunner doctor`",
    ),
    _Cause(
        r"[Rr]epository .*not found|error: 404|does not appear to be a git repository",
        Reason.FORGE_NOT_FOUND,
        "check the repository's URL, and that the token may see it: `skillrunner doctor`",
    ),
    _Cause(
        r"error: 30[1278]|unable to update url base from redirection|HTTP 30[1278]",
        Reason.FORGE_NOT_FOUND,
        "the repository has moved: use its new URL (`git remote set-url origin ...`)",
    ),
    _Cause(
        r"Could not resolve host|Connection refused|Connection timed out|Failed to connect|Connection reset"
        r"|Operation too slow|early EOF|the remote end hung up|error: (429|5\d\d)|HTTP (429|5\d\d)"
        r"|Network is unreachable|GnuTLS|SSL_|gnutls_handshake",
        Reason.FORGE_UNAVAILABLE,
        "check the network and the forge's status, then run it again",
        True,
    ),
    _Cause(
        r"couldn't find remote ref|unknown revision|Not a valid (object|commit) name|bad revision"
        r"|Needed a single revision|not our ref",
        Reason.REF_NOT_FOUND,
        "name a branch, tag or commit that the repository has: `git ls-remote`",
    ),
    _Cause(
        r"not a tree object|object file \S+ is empty|is corrupt|inflate: data stream|unable to read tree",
        Reason.GIT_FAILED,
        "the repository is damaged: see what is missing with `git fsck`",
    ),
    _Cause(
        r"[Pp]ermission denied|Read-only file system",
        Reason.GIT_FAILED,
        "let the user who runs skillrunner own its state_dir, then run it again",
    ),
)


def failure(phase: Phase, directory: Path, args: Sequence[str | Path], result: GitResult) -> RunnerError:
    """The error that says what git was asked, where, and what it answered."""
    said = " ".join(line.strip() for line in result.stderr.splitlines() if line.strip()) or "it said nothing"
    command = redact(" ".join(map(str, args)), {})
    message = (
        f"`git {_cut(command, 200)}` in {directory} failed with exit code {result.code}: {_cut(said, 1000)}"
    )
    for cause in _CAUSES:
        if re.search(cause.pattern, result.stderr):
            return RunnerError(phase, cause.reason, message, hint=cause.hint, retryable=cause.retryable)
    return RunnerError(phase, Reason.GIT_FAILED, message)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."


def is_missing_ref(phase: Phase) -> RunnerError:
    return RunnerError(
        phase, Reason.GIT_FAILED, "git is not installed, or not on PATH", hint="install git 2.38 or newer"
    )
