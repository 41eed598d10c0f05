"""What kinds of files a proposal may hold, and how much of them."""

from collections.abc import Iterator, Sequence

from runner.core.model import Allowance, FileChange, Proposal, Refusal
from runner.publish.policy.paths import is_dot_git

_SYMLINK = 0o120000


def refusals(proposal: Proposal, allowance: Allowance) -> Iterator[Refusal]:
    """Every change that is of a kind or a size that is not allowed, and the limits on the whole."""
    yield from single_refusals(proposal.changes, allowance)
    yield from _whole(proposal, allowance)


def single_refusals(changes: Sequence[FileChange], allowance: Allowance) -> Iterator[Refusal]:
    """Every change that is of a kind or a size that is not allowed."""
    for change in changes:
        yield from _kind(change, allowance)
        yield from _content(change, allowance)


def _kind(change: FileChange, allowance: Allowance) -> Iterator[Refusal]:
    if change.kind == "special":
        yield _refuse("special_file", change, "is a pipe, socket or device")
    if change.kind == "submodule" and not allowance.submodules:
        yield _refuse("submodule", change, "is a nested repository: allow it with `submodules: true`")
    if change.kind == "symlink" and not allowance.symlinks:
        yield _refuse("symlink", change, f"is a link to {change.target!r}: allow it with `symlinks: true`")
    elif change.kind == "symlink" and _escapes(change):
        yield _refuse("symlink", change, f"links out of the repository, to {change.target!r}")
    elif change.kind == "symlink" and any(is_dot_git(part) for part in change.target.split("/")):
        yield _refuse("symlink", change, f"links into git's own folder, to {change.target!r}")
    if change.change == "deleted" and not allowance.deletions:
        yield _refuse("deletion", change, "is deleted: allow it with `deletions: true`")
    if _mode_changed(change) and not allowance.mode_changes:
        yield _refuse(
            "mode_change",
            change,
            f"has mode {change.mode:o} instead of {change.old_mode or 0o100644:o}:"
            " allow it with `mode_changes: true`",
        )


def _mode_changed(change: FileChange) -> bool:
    """A new executable counts: it is a program where there was none."""
    if change.change == "deleted" or change.kind != "file":
        return False
    return change.mode != (change.old_mode or 0o100644) and change.old_mode != _SYMLINK


def _escapes(change: FileChange) -> bool:
    if change.target.startswith(("/", "\\")) or ":" in change.target:
        return True
    depth = change.path.count("/")
    for part in change.target.replace("\\", "/").split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def _content(change: FileChange, allowance: Allowance) -> Iterator[Refusal]:
    if change.size > allowance.max_file_bytes and change.change != "deleted":
        yield _refuse(
            "file_size",
            change,
            f"has {change.size:,} bytes, more than the {allowance.max_file_bytes:,} of `max_file_size`",
        )
    elif change.omitted and change.kind not in ("special", "submodule"):
        yield _refuse("unreadable", change, f"could not be taken: {change.omitted}")
    if change.binary and not allowance.binaries:
        yield _refuse("binary", change, "is a binary file: allow it with `binaries: true`")


def _whole(proposal: Proposal, allowance: Allowance) -> Iterator[Refusal]:
    if len(proposal.changes) > allowance.max_files:
        yield Refusal(
            rule="file_count",
            subject="the proposal",
            message=f"changes {len(proposal.changes):,} files, more than the"
            f" {allowance.max_files:,} of `max_files`",
        )
    if proposal.patch_bytes > allowance.max_patch_bytes:
        yield Refusal(
            rule="patch_size",
            subject="the proposal",
            message=f"is a patch of {proposal.patch_bytes:,} bytes, more than the"
            f" {allowance.max_patch_bytes:,} of `max_patch_size`",
        )
    if proposal.truncated:
        yield Refusal(rule="incomplete", subject="the proposal", message=proposal.truncated)


def _refuse(rule: str, change: FileChange, message: str) -> Refusal:
    return Refusal(rule=rule, subject=change.path, message=message)
