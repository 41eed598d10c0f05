"""The folder of what nobody else on this machine may read: prompts, transcripts and patches."""

import os
import stat
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

_OTHERS = 0o077
_OURS = frozenset(
    {"skillrunner.db", "place", "runs", "mirrors", "workspaces", "reports", "lock", "programs", "prepared"}
    | {"attestation.key", "apps"}
)
"""Any of these shows that a folder is one of ours, and no home or /tmp that somebody named by mistake."""


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone may use; one that is there is tightened where that is safe.

    A volume that is mounted there is taken as it is: whoever mounts it says who sees it. Raises OSError, and
    RunnerError INVALID_CONFIG for a folder that others use, or that belongs to somebody else.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not mode & _OTHERS or os.path.ismount(folder):
        return
    if found.st_uid != os.geteuid():
        raise _refusal(folder, mode, f"belongs to user {found.st_uid}")
    inside = {one.name for one in folder.iterdir()}
    if inside and not inside & _OURS:
        raise _refusal(folder, mode, "holds what is not ours")
    folder.chmod(mode & ~_OTHERS)


def _refusal(folder: Path, mode: int, why: str) -> RunnerError:
    message = f"the state folder {folder} can be read by others (mode {mode:04o}), and {why}"
    hint = f"name a folder of its own with --state-dir or state_dir, or: chmod 700 {folder}"
    return RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
