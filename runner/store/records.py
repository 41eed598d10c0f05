"""Reads runs and what belongs to them from the store."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, false, func, or_, select

from runner.core.errors import RunnerError
from runner.core.model import Artifact, Check, Phase, Reason, Receipt, Refusal, Run, RunEvent, RunState
from runner.core.private_folder import make_private
from runner.store import rows, tables
from runner.store.database import FILE, connect, database_errors, file_database, server_database
from runner.store.specs import StoredSpec, load

ACTIVE = [state for state in RunState if not state.is_end]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScope:
    """The runs of one repository, as a person means it who stands in a checkout of it.

    Several folders of a machine may have the same name, so the runs of a folder are known by its path.
    """

    name: str = ""  # "owner/name" on a forge; empty: it is on none
    folders: tuple[str, ...] = ()  # the paths of the repository, and of its origin where that is a folder

    def condition(self) -> ColumnElement[bool]:
        runs = tables.runs
        found = [func.lower(runs.c.repository) == self.name.lower()] if self.name else []
        for folder in self.folders:
            url = f'"url": {json.dumps(folder)}'
            base = folder.rstrip("/").rpartition("/")[2]
            found.append(runs.c.repository == folder)
            found.append(runs.c.spec.contains(url, autoescape=True))
            # What never was planned has no spec, and its folder's name alone.
            found.append(and_(runs.c.spec == "{}", runs.c.repository.in_((base, base.removesuffix(".git")))))
        return or_(false(), *found)


class Records:
    """The runs in one state directory. `folder` is that directory."""

    def __init__(self, folder: Path, server: str = "") -> None:
        """`server` is the URL of a PostgreSQL database; empty: a file in the folder holds the rows."""
        self.folder = folder
        self.database = server_database(server) if server else file_database(folder / FILE)
        with database_errors(self.database):
            make_private(folder)
        self.engine: Engine = connect(self.database)

    @property
    def name(self) -> str:
        """The store's name: unique, and equal on all machines that share the store."""
        where = self.database.place if not self.database.is_file else f"{os.uname().nodename}:{self.path}"
        return hashlib.sha256(where.encode()).hexdigest()[:16]

    @property
    def path(self) -> Path:
        return self.folder.absolute() / FILE

    def close(self) -> None:
        self.engine.dispose()

    def run_folder(self, run_id: str, attempt: int = 1) -> Path:
        """The folder of a run's files; each later attempt has a folder of its own.

        So a worker that was marked dead and comes back late cannot write into its successor's files.
        """
        folder = self.folder / "runs" / run_id
        return folder / f"attempt-{attempt}" if attempt > 1 else folder

    def files_of(self, run: Run) -> Path:
        """The folder of the files of a run's last attempt that has any: one that only publishes has none."""
        for attempt in range(run.attempt, 1, -1):
            folder = self.run_folder(run.id, attempt)
            if folder.is_dir() and any(one.name != "lock" for one in folder.iterdir()):
                return folder
        return self.run_folder(run.id)

    def run(self, name: str, scope: RunScope | None = None) -> Run:
        """The run with this id, with an id that begins so, or the `latest`. Raises RunnerError otherwise.

        `latest` is that of `scope`; an id may be of any repository, and one of the scope comes first.
        """
        if name == "latest":
            found = self.runs(limit=1, scope=scope)
        else:
            found = self._named(name, scope) if scope else []
            found = found if len(found) == 1 else self._named(name, None)
        if len(found) != 1:
            several = f"several runs begin with {name!r}" if found else f"there is no run {name!r}"
            where = " of this repository" if scope and name == "latest" else ""
            hint = "skillrunner list --all" if scope else "skillrunner list"
            raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, several + where, hint=hint)
        return found[0]

    def _named(self, name: str, scope: RunScope | None) -> list[Run]:
        """At most two runs whose ids begin so; one whose id is just that is the only one."""
        runs = tables.runs
        query = select(runs).where(runs.c.id.startswith(name, autoescape=True)).limit(2)
        query = query.where(scope.condition()) if scope else query
        found = [rows.run_record(row) for row in self._read(query.order_by(runs.c.id))]
        return found[:1] if found and found[0].id == name else found

    def runs(
        self,
        *,
        limit: int = 20,
        before: Run | None = None,
        skill: str | None = None,
        repository: str | None = None,
        state: RunState | None = None,
        ended: bool = False,
        scope: RunScope | None = None,
    ) -> list[Run]:
        """Runs, newest first. For the next page, pass this page's last run as `before`."""
        runs = tables.runs
        query = select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        if skill is not None:
            query = query.where(runs.c.skill == skill)
        if repository is not None:
            query = query.where(runs.c.repository == repository)
        if scope is not None:
            query = query.where(scope.condition())
        if state is not None:
            query = query.where(runs.c.state == state)
        if ended:
            query = query.where(runs.c.state.not_in(ACTIVE))
        if before is not None:
            at = rows.utc_time(before.created_at)
            same = and_(runs.c.created_at == at, runs.c.id < before.id)
            query = query.where(or_(runs.c.created_at < at, same))
        return [rows.run_record(row) for row in self._read(query)]

    def last_image(self, repository: str, skill: str) -> tuple[str, str] | None:
        """The image that the last run of a skill named, and its digest; None: no run had any."""
        runs = tables.runs
        query = select(runs.c.id, runs.c.image_digest).order_by(runs.c.created_at.desc()).limit(1)
        query = query.where(runs.c.repository == repository, runs.c.skill == skill, runs.c.image_digest != "")
        for row in self._read(query):
            environment = self.spec_document(row["id"]).get("environment", {})
            return str(environment.get("image", "")), row["image_digest"]
        return None

    def has_published(self, repository: str, skill: str, digest: str) -> bool:
        """Whether a run of a skill succeeded whose text had this digest."""
        runs = tables.runs
        same = (runs.c.repository == repository, runs.c.skill == skill, runs.c.state == RunState.SUCCEEDED)
        query = select(runs.c.id).where(*same, runs.c.spec.contains(f'"digest": "{digest}"', autoescape=True))
        return bool(self._read(query.limit(1)))

    def spec(self, run_id: str) -> StoredSpec | None:
        """What the run was to do; None: it was never planned. Raises RunnerError when it cannot be read."""
        return load(run_id, self.spec_document(run_id))

    def spec_document(self, run_id: str) -> Mapping[str, Any]:
        """The same as the JSON that is stored, of whichever version; empty: it was never planned."""
        (row,) = self._read(select(tables.runs.c.spec).where(tables.runs.c.id == run_id))
        with rows.row_errors("runs", id=run_id):
            return rows.json_object(row["spec"])

    def events(self, run_id: str, after: int = 0) -> list[tuple[int, RunEvent]]:
        """The events of a run with numbers above `after`, each as (number, event)."""
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

    def _read(self, query: Select[Any]) -> Sequence[Any]:
        with database_errors(self.database), self.engine.connect() as connection:
            return connection.execute(query).mappings().all()
