"""Writes runs and what belongs to them. A run that has ended never changes again."""

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    insert,
    select,
    update,
)

from runner.core.errors import RunnerError
from runner.core.model import (
    Artifact,
    Check,
    End,
    Phase,
    Reason,
    Receipt,
    Refusal,
    Run,
    RunEvent,
    RunState,
    Usage,
)
from runner.store import rows, tables
from runner.store.database import database_errors
from runner.store.process_lock import is_held
from runner.store.records import ACTIVE, Records
from runner.store.specs import StoredSpec, dump

_ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"  # without letters that are read as others
LOST_END = End(
    state=RunState.LOST,
    phase=Phase.HARNESS,
    reason=Reason.WORKER_LOST,
    message="the process that ran it is gone",
    hint="run it again: what it published is found, and nothing is published twice",
    retryable=True,
)


T = TypeVar("T")


def new_run_id(now: datetime) -> str:
    """An id that sorts by day and can be typed: "261121-k3f9qz7w"."""
    return f"{now:%y%m%d}-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))


def _raise(error: RunnerError) -> None:
    raise error


def _has_values(connection: Connection, run_id: str, changes: Mapping[str, Any]) -> bool:
    """Whether a row has these values already: the connection may have broken after a committed change."""
    same = (tables.runs.c[name].is_not_distinct_from(value) for name, value in changes.items())
    query = select(tables.runs.c.id).where(tables.runs.c.id == run_id, *same)
    return connection.execute(query).first() is not None


def _lost_run(run_id: str) -> RunnerError:
    return RunnerError(
        Phase.STORE,
        Reason.WORKER_LOST,
        f"run {run_id} has ended already: somebody else found it lost or cancelled it",
        hint=f"skillrunner show {run_id}",
    )


class Store(Records):
    """The runs in one state directory, for reading and writing."""

    def __init__(self, folder: Path, server: str = "") -> None:
        super().__init__(folder, server)
        self.worker = ""  # when set, only runs of this worker can be changed
        self.wait: Callable[[RunnerError], None] = (
            _raise  # called when the database cannot be reached: raises, or waits
        )

    def step(self, action: Callable[[Connection], T]) -> T:
        """Execute `action` in one transaction. When the database is unreachable, call `wait`, then retry."""
        while True:
            try:
                with database_errors(self.database), self.engine.begin() as connection:
                    return action(connection)
            except RunnerError as error:
                if not error.retryable:
                    raise
                self.wait(error)

    def _read(self, query: Select[Any]) -> Sequence[Any]:
        return self.step(lambda connection: connection.execute(query).mappings().all())

    def _ours(self, run_id: str) -> ColumnElement[bool]:
        """Selects the run if it is active and ours: a worker that was marked dead can change nothing."""
        active = and_(tables.runs.c.id == run_id, tables.runs.c.state.in_(ACTIVE))
        return and_(active, tables.runs.c.worker == self.worker) if self.worker else active

    def _change(
        self,
        run_id: str,
        changes: Mapping[str, Any],
        event: RunEvent | None = None,
        also: Callable[[Connection], object] | None = None,
    ) -> None:
        """Change a run that is active and ours, and what else `also` changes, in one transaction."""
        tried = False

        def change(connection: Connection) -> None:
            nonlocal tried
            again, tried = tried, True
            done = connection.execute(update(tables.runs).where(self._ours(run_id)).values(**changes))
            if done.rowcount == 1:
                if event is not None:
                    connection.execute(insert(tables.events).values(**rows.event_row(event)))
                if also is not None:
                    also(connection)
            elif not (again and _has_values(connection, run_id, changes)):
                raise _lost_run(run_id)

        self.step(change)

    def _add(self, run_id: str, add: Callable[[Connection], object]) -> None:
        """Add rows to a run that is active and ours. Raises RunnerError otherwise."""

        def change(connection: Connection) -> None:
            # Checked after the write, which locks out other writers: so the answer stays true.
            add(connection)
            ours = select(tables.runs.c.id).where(self._ours(run_id)).with_for_update(read=True)
            if connection.execute(ours).first() is None:
                raise _lost_run(run_id)

        self.step(change)

    def create_run(self, run: Run, stored: StoredSpec | None = None) -> None:
        """Keep a new run, with its spec where it is planned already."""
        spec = rows.as_json(dump(stored) if stored else {})
        with database_errors(self.database), self.engine.begin() as connection:
            connection.execute(insert(tables.runs).values(**rows.run_row(run), spec=spec))

    def plan_run(self, run_id: str, stored: StoredSpec) -> None:
        """Store the plan of a queued run. Raises RunnerError when the run is no longer ours."""
        spec = stored.spec
        planned = {
            "base_sha": spec.base_sha,
            "harness": spec.harness.kind,
            "spec": rows.as_json(dump(stored)),
        }
        self._change(run_id, planned)

    def set_state(self, run_id: str, state: RunState, at: datetime, event: RunEvent | None = None) -> None:
        """Set an active state that begins at `at`, and store `event` with it.

        Raises RunnerError when it has ended already.
        """
        changes: dict[str, Any] = {"state": state}
        if state is RunState.PREPARING:
            changes["started_at"] = rows.utc_time(at)
        self._change(run_id, changes, event)

    def wait_for_person(
        self, run_id: str, event: RunEvent, usage: Usage, also: Callable[[Connection], object]
    ) -> None:
        """Have a run wait for a person, with `event` and with what `also` stores in the same transaction."""
        self._change(run_id, rows.usage_row(usage) | {"state": RunState.WAITING}, event, also)

    def set_facts(self, run_id: str, **changes: str | int) -> None:
        """Set `image_digest` or `attempt` of an active run."""
        self._change(run_id, changes)

    def finish(
        self, run_id: str, end: End, at: datetime, usage: Usage, event: RunEvent | None = None
    ) -> None:
        """End a run, and store `event` with it. Raises RunnerError when it had ended before."""
        ended = {"ended_at": rows.utc_time(at)}
        self._change(run_id, rows.end_row(end) | rows.usage_row(usage) | ended, event)

    def add_event(self, event: RunEvent) -> None:
        made = insert(tables.events).values(**rows.event_row(event))
        self._add(event.run_id, lambda connection: connection.execute(made))

    def add_artifact(self, run_id: str, artifact: Artifact) -> None:
        table = tables.artifacts
        same = and_(table.c.run_id == run_id, table.c.name == artifact.name)
        self._replace(table, run_id, same, [{"run_id": run_id, **asdict(artifact)}])

    def add_receipt(self, run_id: str, receipt: Receipt) -> None:
        table = tables.receipts
        key = and_(table.c.kind == receipt.kind, table.c.key == receipt.key)
        self._replace(
            table, run_id, and_(table.c.run_id == run_id, key), [{"run_id": run_id, **asdict(receipt)}]
        )

    def add_checks(self, run_id: str, checks: Sequence[Check]) -> None:
        self._add_list(tables.checks, run_id, checks)

    def add_refusals(self, run_id: str, refusals: Sequence[Refusal]) -> None:
        self._add_list(tables.refusals, run_id, refusals)

    def _add_list(self, table: Table, run_id: str, records: Sequence[Any]) -> None:
        values = [
            {"run_id": run_id, "position": position, **asdict(record)}
            for position, record in enumerate(records)
        ]
        self._replace(table, run_id, table.c.run_id == run_id, values)

    def _replace(
        self, table: Table, run_id: str, same: ColumnElement[bool], values: Sequence[Mapping[str, Any]]
    ) -> None:
        """Replace the rows that an earlier attempt wrote."""

        def put(connection: Connection) -> None:
            connection.execute(delete(table).where(same))
            if values:
                connection.execute(insert(table), values)

        self._add(run_id, put)

    def sweep_lost(self, at: datetime | None = None) -> list[str]:
        """End every run that somebody started by hand and whose process is gone; return their ids.

        Runs of workers are left out, because workers watch each other; so are runs of other machines on a
        server's database, whose processes cannot be seen from here.
        """
        queued = select(tables.queue.c.run_id)
        works = and_(tables.runs.c.state.in_(ACTIVE), tables.runs.c.state != RunState.WAITING)
        query = select(tables.runs).where(works, tables.runs.c.id.not_in(queued))
        if not self.database.is_file:
            query = query.where(tables.runs.c.worker.startswith(f"{os.uname().nodename}:", autoescape=True))
        gone = [row["id"] for row in self._read(query) if not is_held(self.run_folder(row["id"]))]
        return [run_id for run_id in gone if self.mark_lost(run_id, at or datetime.now(UTC))]

    def mark_lost(self, run_id: str, at: datetime, worker: str | None = None) -> bool:
        """End a run as lost; return False when it had ended before.

        With `worker`, only if the run still belongs to that worker.
        """
        runs = tables.runs
        mine = and_(runs.c.id == run_id, runs.c.state.in_(ACTIVE))
        if worker is not None:
            mine = and_(mine, runs.c.worker == worker)
        changes = rows.end_row(LOST_END) | {"ended_at": rows.utc_time(at)}
        with database_errors(self.database), self.engine.begin() as connection:
            return bool(connection.execute(update(runs).where(mine).values(**changes)).rowcount)
