"""What is kept: runs and all that belongs to them. Files lie beside the database; it holds their paths."""

from runner.store.local_pull_requests import PullRequests
from runner.store.process_lock import hold, is_held, store_mark
from runner.store.runs import Store, new_run_id

__all__ = ["PullRequests", "Store", "hold", "is_held", "new_run_id", "store_mark"]
