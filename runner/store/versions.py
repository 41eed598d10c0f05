"""The versions of the JSON documents in the store: which one a document has, and whether we know it."""

from collections.abc import Mapping
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


def version_of(document: Mapping[str, Any], run_id: str, name: str, newest: int) -> int:
    """The version of a run's document; the first ones stated none, which is version 1.

    Raises RunnerError STORE_FAILED when this program does not know the version.
    """
    found = document.get("version", 1)
    if isinstance(found, int) and 1 <= found <= newest:
        return found
    known = "version 1" if newest == 1 else f"the versions 1 to {newest}"
    message = f"run {run_id}: its {name} has version {found!r}, and this skillrunner knows {known}"
    hint = "upgrade skillrunner here: a newer one, which uses the same store, wrote it"
    raise RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint)


def damaged_error(run_id: str, name: str, fault: object) -> RunnerError:
    """The error for a document that lacks something, or holds something wrong."""
    message = f"run {run_id}: its {name} is damaged: {fault}"
    hint = f"start its skill anew: `skillrunner show {run_id}` names it"
    return RunnerError(Phase.STORE, Reason.STORE_FAILED, message, hint=hint)
