"""The durable engine behind the queue: what a worker began is known to it, and found again after a crash.

Our own tables are the truth; the engine (DBOS) carries the id of a run and the number of its turn, which is
how often it was given to a worker, and nothing else. SQLite serves one worker process, PostgreSQL several.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbos import DBOS

PROTOCOL = "1"
"""Workers of one protocol share runs. DBOS's own default is a digest of the source, so that an upgrade would
leave behind what was begun."""

_WORKFLOW = "skillrunner.run"
_NAME = "skillrunner"

Handler = Callable[[str, int], None]


@contextmanager
def open_engine(url: str, worker: str, handler: Handler) -> Iterator["Engine"]:
    """An engine on the database `url`, as the executor `worker`, for as long as the context lasts.

    `worker` is new at each start of a process: two processes of one name would take each other's runs.
    `handler` is called with a run's id and the turn's number, in a thread of its own, and returns when the
    turn has ended. Leaving the context waits for nothing.
    """
    from dbos import DBOS, DBOSConfig

    config: DBOSConfig = {
        "name": _NAME,
        "system_database_url": url,
        "application_version": PROTOCOL,
        "executor_id": worker,
        "log_level": "WARNING",
    }
    logging.getLogger("dbos").setLevel(logging.WARNING)
    engine = DBOS(config=config)

    @DBOS.workflow(name=_WORKFLOW)
    def run(run_id: str, turn: int) -> None:
        handler(run_id, turn)

    try:
        DBOS.launch()
        yield Engine(engine, run)
    finally:
        DBOS.destroy(destroy_registry=True)


@dataclass(frozen=True, slots=True)
class Engine:
    """A process that carries runs out."""

    engine: "DBOS"
    workflow: Handler

    def enqueue(self, run_id: str, turn: int) -> None:
        """Begin a turn; asked twice, it begins once, and one that has ended does not begin again.

        Waits while the database is away.
        """
        from dbos import SetWorkflowID

        with SetWorkflowID(f"{run_id}:{turn}"):
            self.engine.start_workflow(self.workflow, run_id, turn)

    def recover(self, dead: Sequence[str]) -> int:
        """Have the turns of dead workers handled here; tell how many there were.

        To be asked again until it tells none: a database that was away meanwhile leaves some behind.
        """
        return len(self.engine._recover_pending_workflows(list(dead)))

    def forget(self, turns: Mapping[str, int]) -> None:
        """Drop what is known of runs that have ended; `turns` tells how many each had."""
        self.engine.delete_workflows(
            [f"{run_id}:{turn}" for run_id, most in turns.items() for turn in range(1, most + 1)]
        )
