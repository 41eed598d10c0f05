"""Runs and what belongs to them. A run that has ended never changes again."""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, delete, insert, or_, select, update

from runner.errors import RunnerError
from runner.model import (
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
from runner.store import database, rows, tables
from runner.store.liveness import is_held

_ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"  # without letters that are read as others
_ACTIVE = [state for state in RunState if not state.ended]
_LOST = End(
    state=RunState.LOST,
    phase=Phase.HARNESS,
    reason=Reason.WORKER_LOST,
    message="the process that ran it is gone",
    hint="run it again: what it published is found, and nothing is published twice",
    retryable=True,
)


def new_run_id(now: datetime) -> str:
    """An id that sorts by day and can be typed: "261121-k3f9qz7w"."""
    return f"{now:%y%m%d}-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))


class Store:
    """The runs in one state directory. `folder` is that directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "skillrunner.db"
        self.engine: Engine = database.connect(self.path)

    def close(self) -> None:
        self.engine.dispose()

    def run_folder(self, run_id: str) -> Path:
        """Where the files of a run are."""
        return self.folder / "runs" / run_id

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with database.speaking(self.path), self.engine.begin() as connection:
            yield connection

    def _read(self, query: Select[Any]) -> Sequence[Any]:
        with database.speaking(self.path), self.engine.connect() as connection:
            return connection.execute(query).mappings().all()

    # --- writing --------------------------------------------------------------------------------

    def create_run(self, run: Run, spec: Mapping[str, Any]) -> None:
        with self._writing() as connection:
            connection.execute(insert(tables.runs).values(**rows.run_row(run), spec=rows.as_json(spec)))

    def enter(self, run_id: str, state: RunState, at: datetime) -> None:
        """The run is in an active state from `at` on. Raises RunnerError when it has ended already."""
        changes: dict[str, Any] = {"state": state}
        if state is RunState.PREPARING:
            changes["started_at"] = rows.instant(at)
        self._change(run_id, changes)

    def note(self, run_id: str, **changes: str | int) -> None:
        """Facts that became known while it runs: `image_digest`, `attempt`."""
        self._change(run_id, changes)

    def finish(self, run_id: str, end: End, at: datetime, usage: Usage) -> None:
        """The run has ended. Raises RunnerError when it had ended before."""
        spent = {"cost_usd": usage.cost_usd, "tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out}
        self._change(run_id, rows.end_row(end) | spent | {"ended_at": rows.instant(at)})

    def _change(self, run_id: str, changes: Mapping[str, Any]) -> None:
        active = and_(tables.runs.c.id == run_id, tables.runs.c.state.in_(_ACTIVE))
        with self._writing() as connection:
            if connection.execute(update(tables.runs).where(active).values(**changes)).rowcount != 1:
                raise RunnerError(
                    Phase.STORE,
                    Reason.WORKER_LOST,
                    f"run {run_id} has ended already: somebody else found it lost or cancelled it",
                    hint=f"skillrunner show {run_id}",
                )

    def add_event(self, event: RunEvent) -> None:
        with self._writing() as connection:
            connection.execute(insert(tables.events).values(**rows.event_row(event)))

    def add_artifact(self, run_id: str, artifact: Artifact) -> None:
        table = tables.artifacts
        same = and_(table.c.run_id == run_id, table.c.name == artifact.name)
        with self._writing() as connection:
            connection.execute(delete(table).where(same))
            connection.execute(insert(table).values(run_id=run_id, **asdict(artifact)))

    def add_receipt(self, run_id: str, receipt: Receipt) -> None:
        with self._writing() as connection:
            connection.execute(insert(tables.receipts).values(run_id=run_id, **asdict(receipt)))

    def add_checks(self, run_id: str, checks: Sequence[Check]) -> None:
        self._add_list(tables.checks, run_id, checks)

    def add_refusals(self, run_id: str, refusals: Sequence[Refusal]) -> None:
        self._add_list(tables.refusals, run_id, refusals)

    def _add_list(self, table: Any, run_id: str, records: Sequence[Any]) -> None:
        values = [
            {"run_id": run_id, "position": position, **asdict(record)}
            for position, record in enumerate(records)
        ]
        with self._writing() as connection:
            connection.execute(delete(table).where(table.c.run_id == run_id))  # of an earlier attempt
            if values:
                connection.execute(insert(table), values)

    def sweep_lost(self, at: datetime | None = None) -> list[str]:
        """End every run as lost whose process is gone; return their ids."""
        active = self._read(select(tables.runs).where(tables.runs.c.state.in_(_ACTIVE)))
        gone = [row["id"] for row in active if not is_held(self.run_folder(row["id"]))]
        return [run_id for run_id in gone if self._lose(run_id, at or datetime.now(UTC))]

    def _lose(self, run_id: str, at: datetime) -> bool:
        """End a run as lost, unless it ended, or another process found it lost, since it was looked at."""
        try:
            self.finish(run_id, _LOST, at, Usage())
        except RunnerError as error:
            if error.reason is not Reason.WORKER_LOST:
                raise
            return False
        return True

    # --- reading --------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """The run of an id, of the beginning of one, or the `latest`. Raises RunnerError when none is."""
        if name == "latest":
            found = self.runs(limit=1)
        else:
            query = select(tables.runs).where(tables.runs.c.id.startswith(name, autoescape=True)).limit(2)
            found = [rows.run_record(row) for row in self._read(query)]
        if len(found) != 1:
            several = f"several runs begin with {name!r}" if found else f"there is no run {name!r}"
            raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, several, hint="skillrunner list")
        return found[0]

    def runs(
        self,
        *,
        limit: int = 20,
        before: Run | None = None,
        skill: str | None = None,
        state: RunState | None = None,
    ) -> list[Run]:
        """Runs, newest first; the next page is the one `before` the last run of this one."""
        runs = tables.runs
        query = select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        if skill is not None:
            query = query.where(runs.c.skill == skill)
        if state is not None:
            query = query.where(runs.c.state == state)
        if before is not None:
            at = rows.instant(before.created_at)
            same = and_(runs.c.created_at == at, runs.c.id < before.id)
            query = query.where(or_(runs.c.created_at < at, same))
        return [rows.run_record(row) for row in self._read(query)]

    def spec(self, run_id: str) -> Mapping[str, Any]:
        """What the run was to do, as it was planned."""
        (row,) = self._read(select(tables.runs.c.spec).where(tables.runs.c.id == run_id))
        spec: Mapping[str, Any] = json.loads(row["spec"])
        return spec

    def events(self, run_id: str, after: int = 0) -> list[tuple[int, RunEvent]]:
        """What happened in a run, each with its number; those numbered higher than `after`."""
        events = tables.events
        query = select(events).where(events.c.run_id == run_id, events.c.seq > after).order_by(events.c.seq)
        return [(row["seq"], rows.event_record(row)) for row in self._read(query)]

    def artifacts(self, run_id: str) -> list[Artifact]:
        return [rows.artifact_record(row) for row in self._of(tables.artifacts, run_id, "name")]

    def receipts(self, run_id: str) -> list[Receipt]:
        return [rows.receipt_record(row) for row in self._of(tables.receipts, run_id, "kind")]

    def checks(self, run_id: str) -> list[Check]:
        return [rows.check_record(row) for row in self._of(tables.checks, run_id, "position")]

    def refusals(self, run_id: str) -> list[Refusal]:
        return [rows.refusal_record(row) for row in self._of(tables.refusals, run_id, "position")]

    def _of(self, table: Any, run_id: str, order: str) -> Sequence[Any]:
        return self._read(select(table).where(table.c.run_id == run_id).order_by(table.c[order]))
