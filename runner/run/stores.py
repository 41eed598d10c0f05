"""Opens the store: apart from the composition root, for most commands need no more than this."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.config.settings import Config
    from runner.store import Store


@contextmanager
def open_store(config: "Config") -> Iterator["Store"]:
    """Open the configured store, and end the runs of this machine whose process is gone."""
    from runner.store import Store
    from runner.store.approvals import ApprovalStore

    # A worker's database is for those who are given its address: who is not has a store of their own.
    variable = config.worker.database
    opened = Store(config.state, os.environ.get(variable, "") if variable else "")
    try:
        if lost := opened.sweep_lost():
            _sweep(set(lost))
        ApprovalStore(opened).expire(datetime.now(UTC))
        yield opened
    finally:
        opened.close()


@contextmanager
def open_worker_store(config: "Config") -> Iterator["Store"]:
    """Open the store of the worker. Raises RunnerError when it cannot be opened."""
    from runner.store import Store

    variable = config.worker.database
    server = os.environ.get(variable, "") if variable else ""
    if variable and not server:
        message = f"worker.database names {variable}, and the environment does not hold it"
        hint = f"export {variable}=postgresql://user@host/database"
        raise RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
    opened = Store(config.state, server)
    try:
        yield opened
    finally:
        opened.close()


def _sweep(lost: set[str]) -> None:
    """Remove the sandboxes of lost runs. A sandbox that cannot be removed now ends by itself later."""
    from runner.sandboxes import SANDBOXES

    for kind in SANDBOXES.all().values():
        with suppress(RunnerError):
            kind.sweep(lambda origin: origin.run_id not in lost)
