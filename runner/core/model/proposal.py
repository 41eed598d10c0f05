"""Proposals of runs, refusals of the policy, checks, and receipts of what was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One path that differs between the pinned base and the tree that the harness left."""

    path: str  # bytes that are not UTF-8 are kept as surrogate escapes
    change: Literal["added", "modified", "deleted"]
    kind: Literal["file", "symlink", "submodule", "special"] = "file"
    mode: int = 0o100644  # as git writes it; 0 when deleted
    old_mode: int = 0  # 0 when added
    size: int = 0
    binary: bool = False
    additions: int = 0
    deletions: int = 0
    target: str = ""  # of a symlink
    twin: str = ""  # an unchanged path of the base that differs from this one only in case or Unicode form
    omitted: str = ""  # why its content was not read; empty: it is in the patch


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredOutput:
    """What the harness asked for in its own words, one JSON line each. Untrusted."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a run asks to publish. Untrusted data until the policy has allowed it."""

    base_sha: str
    tree_sha: str
    changes: tuple[FileChange, ...] = ()
    patch_sha256: str = ""
    patch_bytes: int = 0
    declared: tuple[DeclaredOutput, ...] = ()
    summary: str = ""
    truncated: str = ""  # why the list of changes is not whole; empty: it is
    left_out: tuple[
        str, ...
    ] = ()  # changes that the policy refused and the skill does without, with the cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One cause for which the policy refused a proposal."""

    rule: str  # "path_outside", "protected_path", "secret", ...
    subject: str  # the path, or the name of the text
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One verification command and its result."""

    command: str
    exit_code: int | None  # None when it was stopped
    duration: float
    output: str  # the end of what it printed
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was published. Equal keys mean the same publication."""

    kind: str  # "pull_request"
    key: str
    action: Literal["created", "updated", "adopted", "unchanged", "closed", "staged", "suggested"]
    url: str
    number: int | None = None
    sha: str = ""
    branch: str = ""
    item: str = ""  # which of the run's items of this kind; empty: the kind has none

    @property
    def is_public(self) -> bool:
        """Whether anything has left the run; else the run itself is what the receipt points at."""
        return not self.url.startswith("run:")

    @property
    def text(self) -> str:
        """What was published, in words."""
        what = self.kind.replace("_", " ")
        if self.action in ("staged", "suggested"):
            return f"{what} {self.action}, not published"
        if self.url.startswith("run:") and "#" in self.url:
            return f"{what} {self.action}: the run's file {self.url.partition('#')[2]}"
        return f"{what} {self.action}: {self.url}" if self.is_public else "nothing is published"


def result_url(receipts: Sequence[Receipt]) -> str:
    """Where to look for what a run published: at its changed files, else at the first of it."""
    branches = [receipt for receipt in receipts if receipt.branch]
    return next((receipt.url for receipt in (*branches, *receipts)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file of a run; the store holds its path, size and digest."""

    name: str  # "patch", "transcript.raw", "transcript.jsonl", "prompt", "proposal.json", ...
    path: str
    size: int
    sha256: str
    media_type: str = "application/octet-stream"
