"""The decisions of one repository in the store; each decision to start comes with its queued run.

A decision and its run are stored in one transaction: no crash leaves one without the other.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, literal, or_, select, text, update

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Run
from runner.core.model.decision import Cause, Decision, History, Verdict, actor_name
from runner.scheduler.admission import PRIORITIES, rank
from runner.scheduler.backfill import PREFIX
from runner.store import rows
from runner.store.database import database_errors
from runner.store.pauses import pause_messages
from runner.store.records import ACTIVE
from runner.store.runs import Store
from runner.store.tables import decisions, queue, runs, schedules
from runner.store.work import Work, dump


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """A run that a decision starts, as it enters the queue."""

    run: Run
    work: Work
    priority: int = PRIORITIES["normal"]
    not_before: datetime | None = None  # None: at once
    cancels_others: bool = False  # the skill's other active runs on the same subject are cancelled


@dataclass(frozen=True, slots=True)
class DecisionStore:
    """The decisions of one repository."""

    store: Store
    repository: str

    def decide(
        self,
        decide: Callable[[History], Sequence[Decision]],
        entry: Callable[[Decision], QueueEntry],
    ) -> list[Decision]:
        """Call `decide` with the history; store its decisions, and queue their runs, in one transaction.

        A decision on something decided before is returned but not stored: the first one stands.
        """
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            self._lock(connection)
            known = _StoredDecisions(connection, self.repository)
            history = History(
                decisions=known,
                active=_active(connection, self.repository),
                decided_until=_decided_until(connection, self.repository),
                pauses=pause_messages(connection, self.repository),
                latest_runs=_LatestRuns(self.store, self.repository),
                last_starts=_LastStarts(self.store, self.repository),
                actor_starts=_ActorStarts(self.store, self.repository),
            )
            settled = list(decide(history))
            for decision in settled:
                if decision.name not in known:
                    self._insert(connection, decision, entry)
            connection.commit()
        return settled

    def history(self) -> History:
        """The history without its decisions: what may prevent a start, and how far slots are decided."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return History(
                active=_active(connection, self.repository),
                decided_until=_decided_until(connection, self.repository),
                pauses=pause_messages(connection, self.repository),
                latest_runs=_LatestRuns(self.store, self.repository),
                last_starts=_LastStarts(self.store, self.repository),
                actor_starts=_ActorStarts(self.store, self.repository),
            )

    def contains(self, decision: Decision) -> bool:
        """Whether the store holds a decision on the same slot or event."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return decision.name in _StoredDecisions(connection, self.repository)

    def amend(self, decision: Decision) -> None:
        """Replace a decision to start when no run could be started."""
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(update(decisions).where(self._is(decision)).values(**_row(decision)))

    def find(self, skill: str, key: str) -> Decision | None:
        """The decision on one slot or event, if there is one."""
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return _StoredDecisions(connection, self.repository).get(f"{skill} {key}")

    def _lock(self, connection: Connection) -> None:
        """Lock the repository's decisions until the transaction ends."""
        if self.store.database.is_file:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            number = zlib.crc32(self.repository.encode())
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

    def _is(self, decision: Decision) -> Any:
        return and_(
            decisions.c.repository == self.repository,
            decisions.c.skill == decision.skill,
            decisions.c.key == decision.key,
        )

    def _insert(
        self, connection: Connection, decision: Decision, entry: Callable[[Decision], QueueEntry]
    ) -> None:
        connection.execute(insert(decisions).values(repository=self.repository, **_row(decision)))
        if decision.due is not None and not decision.key.startswith(PREFIX):
            _note_slot(connection, self.repository, decision)
        if decision.verdict is Verdict.STARTED:
            _enqueue(connection, entry(decision), decision.subject_key)


class _StoredDecisions(Mapping[str, Decision]):
    """The decisions by name, each read on access: there may be years of them."""

    def __init__(self, connection: Connection, repository: str) -> None:
        self._connection = connection
        self._repository = repository

    def __getitem__(self, name: str) -> Decision:
        skill, _, key = name.partition(" ")
        query = select(decisions).where(
            decisions.c.repository == self._repository,
            decisions.c.skill == skill,
            decisions.c.key == key,
        )
        row = self._connection.execute(query).mappings().first()
        if row is None:
            raise KeyError(name)
        return _record(row)

    def __iter__(self) -> Iterator[str]:
        query = select(decisions.c.skill, decisions.c.key).where(decisions.c.repository == self._repository)
        return (f"{skill} {key}" for skill, key in self._connection.execute(query))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, eq=False)  # two are equal when they hold the same
class _LatestRuns(Mapping[str, str]):
    """By "SKILL SUBJECT": the id of the run that started last, read on access."""

    store: Store
    repository: str

    def __getitem__(self, name: str) -> str:
        skill, _, subject = name.partition(" ")
        mine = (runs.c.repository == self.repository, runs.c.skill == skill, runs.c.subject == subject)
        newest = (runs.c.created_at.desc(), runs.c.id.desc())
        query = select(runs.c.id).where(*mine, runs.c.started_at.is_not(None)).order_by(*newest).limit(1)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found: str | None = connection.execute(query).scalar()
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        begun = (runs.c.repository == self.repository, runs.c.started_at.is_not(None))
        query = select(runs.c.skill, runs.c.subject).where(*begun).distinct()
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return iter([f"{skill} {subject}" for skill, subject in connection.execute(query)])

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, eq=False)
class _LastStarts(Mapping[str, datetime]):
    """By skill: when a run of it was last started, read on access."""

    store: Store
    repository: str

    def __getitem__(self, skill: str) -> datetime:
        mine = (decisions.c.repository == self.repository, decisions.c.skill == skill)
        started = decisions.c.verdict == Verdict.STARTED.value
        newest = decisions.c.at.desc()
        query = select(decisions.c.at).where(*mine, started).order_by(newest).limit(1)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found: str | None = connection.execute(query).scalar()
        if found is None:
            raise KeyError(skill)
        return datetime.fromisoformat(found)

    def __iter__(self) -> Iterator[str]:
        mine = (decisions.c.repository == self.repository, decisions.c.verdict == Verdict.STARTED.value)
        query = select(decisions.c.skill).where(*mine).distinct()
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return iter([*connection.execute(query).scalars()])

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, eq=False)
class _ActorStarts(Mapping[str, Sequence[datetime]]):
    """By skill and login: when they started its runs, the newest first."""

    store: Store
    repository: str

    def __getitem__(self, name: str) -> Sequence[datetime]:
        skill, _, login = name.partition(" ")
        mine = (decisions.c.repository == self.repository, decisions.c.skill == skill)
        started = (decisions.c.verdict == Verdict.STARTED.value, func.lower(decisions.c.actor) == login)
        query = select(decisions.c.at).where(*mine, *started).order_by(decisions.c.at.desc())
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return [datetime.fromisoformat(at) for at in connection.execute(query).scalars()]

    def __iter__(self) -> Iterator[str]:
        mine = (decisions.c.repository == self.repository, decisions.c.verdict == Verdict.STARTED.value)
        query = select(decisions.c.skill, func.lower(decisions.c.actor)).where(*mine, decisions.c.actor != "")
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return iter([actor_name(skill, login) for skill, login in connection.execute(query.distinct())])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _active(connection: Connection, repository: str) -> dict[str, Decision]:
    """By skill and subject: the decision that started the active run."""
    query = (
        select(decisions)
        .join(runs, runs.c.id == decisions.c.run_id)
        .where(decisions.c.repository == repository, runs.c.state.in_(ACTIVE), _is_current())
        .order_by(decisions.c.at)
    )
    found = [_record(row) for row in connection.execute(query).mappings()]
    return {one.subject_name: one for one in found}


def _is_current() -> ColumnElement[bool]:
    """Leaves out backfilled runs: present slots neither wait for them nor replace them."""
    return runs.c.trigger_key.not_like(f"{PREFIX}%")


def _decided_until(connection: Connection, repository: str) -> dict[str, datetime]:
    query = select(schedules.c.line, schedules.c.since).where(schedules.c.repository == repository)
    return {line: datetime.fromisoformat(since) for line, since in connection.execute(query)}


def _note_slot(connection: Connection, repository: str, decision: Decision) -> None:
    """Store that the slot's schedule line is decided up to this slot."""
    line = f"{decision.skill} {decision.key.removeprefix('schedule:').split(':', 1)[0]}"
    where = and_(schedules.c.repository == repository, schedules.c.line == line)
    due = rows.utc_time(decision.due)
    known = connection.execute(select(schedules.c.since).where(where)).scalar()
    if known is None:
        connection.execute(insert(schedules).values(repository=repository, line=line, since=due))
    elif due is not None and due > known:
        connection.execute(update(schedules).where(where).values(since=due))


def _enqueue(connection: Connection, entry: QueueEntry, subject_key: str) -> None:
    connection.execute(insert(runs).values(**rows.run_row(entry.run), spec="{}"))
    connection.execute(
        insert(queue).values(
            run_id=entry.run.id,
            repository=entry.run.repository,
            skill=entry.run.skill,
            priority=entry.priority,
            rank=rows.utc_time(rank(entry.run.created_at, entry.priority)),
            not_before=rows.utc_time(entry.not_before) or "",
            work=dump(entry.work),
        )
    )
    if entry.cancels_others:
        _replace(connection, entry, subject_key)


def _replace(connection: Connection, entry: QueueEntry, subject_key: str) -> None:
    """Request a stop of the skill's other runs on the subject; those that no worker has taken end at once."""
    same = select(decisions.c.run_id).where(
        decisions.c.repository == entry.run.repository,
        decisions.c.skill == entry.run.skill,
        decisions.c.subject_key == subject_key,
    )
    why = f"run {entry.run.id} takes its place: `overlap` is cancel_running"
    others = and_(
        queue.c.repository == entry.run.repository,
        queue.c.skill == entry.run.skill,
        queue.c.run_id != entry.run.id,
        queue.c.run_id.in_(same),
    )
    active = select(runs.c.id).where(runs.c.state.in_(ACTIVE), _is_current())
    connection.execute(update(queue).where(others, queue.c.run_id.in_(active)).values(stop=why))
    # Read after the update: a run taken at this moment is either still free here, or stopped by its worker.
    free = select(queue.c.run_id).where(others, queue.c.stop == why, queue.c.owner == "")
    end = RunnerError(Phase.PLAN, Reason.CANCELLED, why).end
    ended = rows.end_row(end) | {"ended_at": rows.utc_time(entry.run.created_at)}
    waits = and_(runs.c.id.in_(free), runs.c.state.in_(ACTIVE))
    connection.execute(update(runs).where(waits).values(**ended))


def _row(decision: Decision) -> dict[str, Any]:
    row = {name: value for name, value in asdict(decision).items() if name != "inputs"}
    return row | {name: rows.utc_time(row[name]) for name in ("at", "due", "expires")}


def _record(row: Mapping[Any, Any]) -> Decision:
    with rows.row_errors("decisions", repository=row["repository"], skill=row["skill"], key=row["key"]):
        return Decision(
            key=row["key"],
            skill=row["skill"],
            trigger=row["trigger"],
            verdict=Verdict(row["verdict"]),
            cause=Cause(row["cause"]) if row["cause"] else None,
            message=row["message"],
            at=datetime.fromisoformat(row["at"]),
            due=rows.stored_time(row["due"]),
            run_id=row["run_id"],
            continues=row["continues"],
            host=row["host"],
            expires=rows.stored_time(row["expires"]),
            subject_key=row["subject_key"],
            actor=row["actor"],
        )


def find_newest(
    store: Store, skill: str, repository: str | None, at: datetime | None, event: str | None
) -> tuple[str, Decision] | None:
    """The newest decision for a skill, with its repository; `at` and `event` narrow the search.

    `event` is an event's id or subject (a tag, an issue); one that has it as a part comes after those.
    """
    query = (
        select(decisions).outerjoin(runs, runs.c.id == decisions.c.run_id).where(decisions.c.skill == skill)
    )
    if repository is not None:
        query = query.where(decisions.c.repository == repository)
    order = [decisions.c.at.desc(), decisions.c.due.desc()]
    if at is not None:
        query, order = query.where(decisions.c.due <= rows.utc_time(at)), order[::-1]
    newest = query.order_by(*order, decisions.c.key.desc()).limit(1)
    searches = [newest] if event is None else [newest.where(one) for one in _mentions(event)]
    with database_errors(store.database), store.engine.connect() as connection:
        for search in searches:
            if found := connection.execute(search).mappings().first():
                return found["repository"], _record(found)
    return None


def _mentions(event: str) -> tuple[ColumnElement[bool], ...]:
    """Which decisions are about an event: first by its whole id or subject, then by a part of them."""
    key, about = literal(":") + decisions.c.key + ":", decisions.c.subject_key
    # A decision that started nothing has no run, and an older one no key of its subject.
    texts = (decisions.c.key, runs.c.subject, about, decisions.c.message)
    whole = (runs.c.subject == event, about == event, about.endswith(f":{event}", autoescape=True))
    words = (literal(" ") + decisions.c.message + " ").contains(f" {event} ", autoescape=True)
    return (
        or_(*whole, key.contains(f":{event}:", autoescape=True), words),
        or_(*(one.contains(event, autoescape=True) for one in texts)),
    )
