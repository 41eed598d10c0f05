"""The queue: runs that wait for a worker, and runs that a worker has taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, RunEvent, RunState, Usage
from runner.scheduler.admission import QueueState, RunningRun, StartedRun, WaitingRun
from runner.scheduler.obstacles import QueuedRun
from runner.store import rows
from runner.store.database import database_errors
from runner.store.records import ACTIVE
from runner.store.runs import Store
from runner.store.tables import begun, decisions, events, queue, runs, workers
from runner.store.work import Work, load
from runner.store.workers import LIVING

_ADMISSION_LOCK = 0x71756575  # the number of the lock that a PostgreSQL server keeps for whoever admits

_FIRST_PAGE = 50

_DECISION = (decisions, decisions.c.run_id == runs.c.id)
"""A run's decision knows what the run is about; a run by hand has none."""

Choose = Callable[[QueueState], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRun:
    """A run that a worker has taken."""

    run_id: str
    owner: str
    turn: int  # how often a worker has taken it
    has_started: bool  # the worker has begun to prepare it


class _ClaimLostError(Exception):
    """The run no longer belongs to the worker that had it, so nothing is changed."""


@dataclass(frozen=True, slots=True)
class RunQueue:
    """The queue of all repositories."""

    store: Store

    def admit(
        self,
        worker: str,
        free_slots: int,
        choose: Choose,
        now: datetime,
        rate_window: timedelta | None = None,
    ) -> dict[str, int]:
        """Let `choose` choose at most `free_slots` runs, and give them to `worker`, in one transaction.

        Returns the turn of each by run id. A worker marked dead gets none. `rate_window` is how far back
        the starts reach that `choose` gets.
        """
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            if not _waiting(connection, now, 1):
                return {}
            self._lock(connection)
            lives = _is_alive(connection, worker)
            chosen = _choose(connection, free_slots, choose, now, rate_window) if lives else []
            if not chosen:
                return {}
            here = queue.c.run_id.in_(chosen)
            taken = {"admitted_at": rows.utc_time(now), "owner": worker, "turn": queue.c.turn + 1}
            connection.execute(update(queue).where(here).values(**taken))
            connection.execute(update(runs).where(runs.c.id.in_(chosen)).values(worker=worker))
            _note_starts(connection, here, now)
            asked = connection.execute(select(queue.c.run_id, queue.c.turn).where(here))
            turns: dict[str, int] = {run_id: turn for run_id, turn in asked}  # noqa: C416 - rows are no pairs
            connection.commit()
        return {run_id: turns[run_id] for run_id in chosen}

    def state(self, now: datetime, rate_window: timedelta | None = None) -> QueueState:
        """The waiting runs, the running ones and the recent starts, read without a lock."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return _state(connection, _waiting(connection, now), now, rate_window)

    def waiting(self) -> list[tuple[WaitingRun, QueuedRun]]:
        """Every run that no worker has taken, in the order of `admission.rank`."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return [(_waiting_run(row), _queued_run(row)) for row in _unclaimed_rows(connection)]

    def forget_starts(self, before: datetime) -> None:
        """Delete starts from before then, which no rate needs."""
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(delete(begun).where(begun.c.at < rows.utc_time(before)))

    def work(self, run_id: str) -> Work:
        """What a run is to do. Raises RunnerError when it never was in the queue, or cannot be read."""
        if (found := self.find_work(run_id)) is None:
            message = f"run {run_id} was started by hand: no worker knows what it did"
            hint = f"skillrunner run --from-run {run_id}"
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
        return found

    def find_work(self, run_id: str) -> Work | None:
        """The same; None: it never was in the queue. Raises RunnerError when it cannot be read."""
        query = select(queue.c.work).where(queue.c.run_id == run_id)
        found = self.store.step(lambda connection: connection.execute(query).scalar())
        return None if found is None else load(run_id, found)

    def priority(self, run_id: str) -> int:
        """The priority with which a run was queued."""
        query = select(queue.c.priority).where(queue.c.run_id == run_id)
        found: int = self.store.step(lambda connection: connection.execute(query).scalar_one())
        return found

    def runs_of(self, worker: str) -> list[ClaimedRun]:
        """The active runs that belong to `worker`."""
        return self._claims(queue.c.owner == worker)

    def orphaned_runs(self) -> list[ClaimedRun]:
        """The active runs that belong to no living worker."""
        living = select(workers.c.id).where(workers.c.state.in_(LIVING))
        return self._claims(and_(queue.c.owner != "", queue.c.owner.not_in(living)))

    def _claims(self, whose: ColumnElement[bool]) -> list[ClaimedRun]:
        query = (
            select(queue.c.run_id, queue.c.owner, queue.c.turn, runs.c.state)
            .join(runs)
            .where(whose, runs.c.state.in_(ACTIVE))
        )
        return self.store.step(
            lambda connection: [
                ClaimedRun(run_id=run_id, owner=owner, turn=turn, has_started=state != RunState.QUEUED)
                for run_id, owner, turn, state in connection.execute(query)
            ]
        )

    def request_stop(self, run_id: str, why: str, now: datetime) -> bool:
        """Ask the worker of a run to stop it; returns False when none had it, and the run is cancelled.

        Raises RunnerError when the run never was in the queue.
        """
        here = queue.c.run_id == run_id
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            self._lock(connection)
            row = connection.execute(select(queue.c.owner).where(here)).first()
            if row is None:
                message = f"run {run_id} was started by hand: no worker carries it out"
                hint = "press Ctrl-C where it runs"
                raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
            connection.execute(update(queue).where(here).values(stop=why))
            if not row.owner:
                end = RunnerError(Phase.PLAN, Reason.CANCELLED, why).end
                ended = rows.end_row(end) | {"ended_at": rows.utc_time(now)}
                waits = and_(runs.c.id == run_id, runs.c.state.in_(ACTIVE))
                connection.execute(update(runs).where(waits).values(**ended))
            connection.commit()
        return bool(row.owner)

    def stop_requests(self, worker: str) -> dict[str, str]:
        """The runs of `worker` that somebody asked to stop, each with the reason."""
        query = (
            select(queue.c.run_id, queue.c.stop)
            .join(runs)
            .where(queue.c.owner == worker, queue.c.stop != "", runs.c.state.in_(ACTIVE))
        )
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return {row.run_id: row.stop for row in connection.execute(query)}

    def requeue(
        self,
        claim: ClaimedRun,
        event: RunEvent,
        attempt: int,
        not_before: datetime | None = None,
        usage: Usage | None = None,
    ) -> bool:
        """Put a run back into the queue for attempt number `attempt`, and store `event` with it.

        Returns False, and changes nothing, when the run has ended, no longer belongs to the claim's owner, or
        is to be stopped. `usage` is what the run has cost so far.
        """
        still = and_(
            queue.c.run_id == claim.run_id,
            queue.c.owner == claim.owner,
            queue.c.turn == claim.turn,
            queue.c.stop == "",
        )
        free = {"admitted_at": None, "owner": "", "not_before": rows.utc_time(not_before) or ""}
        active = and_(runs.c.id == claim.run_id, runs.c.state.in_(ACTIVE), runs.c.worker == claim.owner)
        again: dict[str, Any] = {"state": RunState.QUEUED, "worker": "", "attempt": attempt}
        again |= rows.usage_row(usage) if usage is not None else {}

        def change(connection: Connection) -> None:
            for table, where, values in ((queue, still, free), (runs, active, again)):
                if not connection.execute(update(table).where(where).values(**values)).rowcount:
                    raise _ClaimLostError
            connection.execute(insert(events).values(**rows.event_row(event)))

        try:
            self.store.step(change)
        except _ClaimLostError:
            return False
        return True

    def unreported_ends(self, worker: str) -> list[str]:
        """The runs whose end was not reported yet: those of `worker`, and those of no living worker."""
        others = select(workers.c.id).where(workers.c.state.in_(LIVING), workers.c.id != worker)
        mine = or_(queue.c.owner == worker, queue.c.owner.not_in(others))
        query = (
            select(queue.c.run_id)
            .join(runs)
            .where(queue.c.told == 0, runs.c.state.not_in(ACTIVE), mine)
            .order_by(runs.c.ended_at)
        )
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def mark_reported(self, run_id: str) -> None:
        """Store that the end of a run was reported."""
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(update(queue).where(queue.c.run_id == run_id).values(told=1))

    def _lock(self, connection: Connection) -> None:
        if self.store.database.is_file:
            connection.rollback()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADMISSION_LOCK})


def _unclaimed() -> ColumnElement[bool]:
    return and_(queue.c.admitted_at.is_(None), runs.c.state == RunState.QUEUED)


def _is_alive(connection: Connection, worker: str) -> bool:
    """Whether a worker lives; its row is locked, so that nobody marks it dead before we commit."""
    alive = and_(workers.c.id == worker, workers.c.state.in_(LIVING))
    asked = select(workers.c.id).where(alive).with_for_update(read=True)
    return connection.execute(asked).first() is not None


def _choose(
    connection: Connection, room: int, choose: Choose, now: datetime, memory: timedelta | None
) -> list[str]:
    """Choose among the most urgent runs, and among all only if slots stay free: thousands may wait."""
    scene = _state(connection, (), now, memory)
    for most in (_FIRST_PAGE, None):
        waiting = _waiting(connection, now, most)
        chosen = list(choose(replace(scene, waiting=waiting)))
        if len(chosen) >= room or len(waiting) != most:
            break
    return chosen


def _state(
    connection: Connection, waiting: Sequence[WaitingRun], now: datetime, memory: timedelta | None
) -> QueueState:
    recent = _starts(connection, now - memory) if memory else []
    return QueueState(waiting=waiting, running=_running(connection), starts=recent, now=now)


def _starts(connection: Connection, after: datetime) -> list[StartedRun]:
    query = select(begun.c.repository, begun.c.skill, begun.c.at).where(begun.c.at > rows.utc_time(after))
    return [
        StartedRun(repository=repository, skill=skill, at=datetime.fromisoformat(at))
        for repository, skill, at in connection.execute(query)
    ]


def _note_starts(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    at = literal(rows.utc_time(now)).label("at")
    chosen = select(queue.c.repository, queue.c.skill, at).where(which)
    connection.execute(insert(begun).from_select(["repository", "skill", "at"], chosen))


def _waiting(connection: Connection, now: datetime, most: int | None = None) -> list[WaitingRun]:
    """The waiting runs that may begin now, in the order of `admission.rank`."""
    ready = queue.c.not_before <= rows.utc_time(now)
    return [_waiting_run(row) for row in _unclaimed_rows(connection, ready, most=most)]


def _unclaimed_rows(
    connection: Connection, *where: ColumnElement[bool], most: int | None = None
) -> Sequence[RowMapping]:
    mine = (queue.c.run_id, queue.c.repository, queue.c.skill, queue.c.priority, queue.c.not_before)
    rest = (runs.c.created_at, runs.c.attempt, decisions.c.subject_key)
    query = select(*mine, *rest).join_from(queue, runs).outerjoin(*_DECISION)
    order = (queue.c.rank, queue.c.run_id)
    return connection.execute(query.where(_unclaimed(), *where).order_by(*order).limit(most)).mappings().all()


def _waiting_run(row: RowMapping) -> WaitingRun:
    with rows.row_errors("queue", run_id=row["run_id"]):
        return WaitingRun(
            run_id=row["run_id"],
            repository=row["repository"],
            skill=row["skill"],
            priority=row["priority"],
            since=datetime.fromisoformat(row["created_at"]),
            subject_key=row["subject_key"] or "",
        )


def _queued_run(row: RowMapping) -> QueuedRun:
    with rows.row_errors("queue", run_id=row["run_id"]):
        return QueuedRun(
            run_id=row["run_id"],
            repository=row["repository"],
            skill=row["skill"],
            not_before=rows.stored_time(row["not_before"]),
            is_retry=row["attempt"] > 1,
        )


def _running(connection: Connection) -> list[RunningRun]:
    """The running runs, including those that people started by hand: they count for the limits as well."""
    taken = or_(queue.c.admitted_at.is_not(None), queue.c.run_id.is_(None))
    query = (
        select(runs.c.repository, runs.c.skill, decisions.c.subject_key)
        .select_from(runs.outerjoin(queue).outerjoin(*_DECISION))
        .where(runs.c.state.in_(ACTIVE), runs.c.state != RunState.WAITING, taken)
    )
    return [
        RunningRun(repository=repository, skill=skill, subject_key=subject or "")
        for repository, skill, subject in connection.execute(query)
    ]
