"""The durable engine behind the queue: it records which runs a worker has started, across crashes.

Our own tables are the truth; the engine (DBOS) carries only the id of a run and the number of its turn, which
is how often the run was given to a worker. SQLite serves one worker process, PostgreSQL several.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.store.database import Database, database_errors

if TYPE_CHECKING:
    from dbos import DBOS

PROTOCOL = "1"
"""Workers with the same protocol number share runs. DBOS's default is a digest of the source code, with
which an upgrade would abandon started runs."""

_WORKFLOW = "skillrunner.run"
_NAME = "skillrunner"

Handler = Callable[[str, int], None]


@contextmanager
def open_engine(
    url: str, worker: str, handler: Handler, tell: Callable[[str], None] = lambda _: None
) -> Iterator["Engine"]:
    """An engine on the database `url`, as the executor `worker`, for as long as the context lasts.

    `worker` is new at each start of a process: two processes of one name would take each other's runs.
    `handler` is called with a run's id and the turn's number, in a thread of its own, and returns when the
    turn has ended. Leaving the context waits for nothing. `tell` gets what the engine complains of, a line
    each; while the database is away that is the same again and again. Raises RunnerError STORE_FAILED.
    """
    from dbos import DBOS, DBOSConfig

    config: DBOSConfig = {
        "name": _NAME,
        "system_database_url": url,
        "application_version": PROTOCOL,
        "executor_id": worker,
        "log_level": "WARNING",
    }
    _redirect_log(tell)
    engine = DBOS(config=config)

    @DBOS.workflow(name=_WORKFLOW)
    def run(run_id: str, turn: int) -> None:
        handler(run_id, turn)

    try:
        with database_errors(Database(url)):
            DBOS.launch()
        yield Engine(engine, run)
    finally:
        DBOS.destroy(destroy_registry=True)


class _Complaints(logging.Handler):
    """Hands each record on as one line, without the traceback that its text may hold."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        said, _, trace = record.getMessage().partition("Traceback (most recent call last):")
        raised = re.findall(r"^[\w.]+(?:Error|Exception)\b.*$", trace, re.MULTILINE)
        self._tell(" ".join([*said.partition("\n")[0].split(), *raised[-1:]]))


def _redirect_log(tell: Callable[[str], None]) -> None:
    """Take the engine's log over: it writes a traceback for each try to reach a database that is away."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers[:] = [_Complaints(tell)]


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine of one worker process."""

    engine: "DBOS"
    workflow: Handler

    def enqueue(self, run_id: str, turn: int) -> None:
        """Start a turn of a run. A turn starts once, however often this is called.

        Waits while the database cannot be reached.
        """
        from dbos import SetWorkflowID

        with SetWorkflowID(f"{run_id}:{turn}"):
            self.engine.start_workflow(self.workflow, run_id, turn)

    def recover(self, dead: Sequence[str]) -> int:
        """Have this process handle the turns of dead workers; return how many there were.

        Call it until it returns 0: when the database cannot be reached meanwhile, some turns are left.
        """
        return len(self.engine._recover_pending_workflows(list(dead)))

    def forget(self, turns: Mapping[str, int]) -> None:
        """Delete the workflows of ended runs; `turns` is the number of turns by run id."""
        self.engine.delete_workflows(
            [f"{run_id}:{turn}" for run_id, most in turns.items() for turn in range(1, most + 1)]
        )
