"""Stores runs and everything that belongs to them: rows in the database, files beside it."""

from runner.store.local_items import LocalItems
from runner.store.local_pull_requests import LocalPullRequests
from runner.store.process_lock import hold_lock, is_held, state_dir_id
from runner.store.runs import Store, new_run_id

__all__ = ["LocalItems", "LocalPullRequests", "Store", "hold_lock", "is_held", "new_run_id", "state_dir_id"]
