"""Proposals that wait for a person, and what people said to them. One answer counts: the first."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, or_, select, update

from runner.core.errors import RunnerError
from runner.core.model import Answer, ApprovalRecord, Phase, Reason, RunEvent, RunState, Usage
from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import approvals, events, queue, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A proposal as it is shown to people, with all that is published when they agree."""

    approval: ApprovalRecord
    target: str  # what it would be published to
    proposal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingApproval:
    """A proposal that waits, and the run that made it."""

    repository: str
    skill: str
    approval: ApprovalRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of a person's answer."""

    approval: ApprovalRecord
    is_new: bool  # else somebody had said the same before


@dataclass(frozen=True, slots=True)
class ApprovalStore:
    """The proposals of all repositories."""

    store: Store

    def ask(self, question: Question, event: RunEvent, usage: Usage) -> None:
        """Have a run wait. A proposal for the same target that waited until now is void from here on."""
        approval = question.approval
        row = asdict(approval) | {
            "asked_at": rows.utc_time(approval.asked_at),
            "expires_at": rows.utc_time(approval.expires_at),
            "target": question.target,
            "proposal": question.proposal,
        }
        mine = approvals.c.run_id == approval.run_id

        def put(connection: Connection) -> None:
            connection.execute(delete(approvals).where(mine, approvals.c.attempt == approval.attempt))
            _void(connection, approval, question.target)
            connection.execute(insert(approvals).values(**row))
            free = {"admitted_at": None, "owner": ""}
            connection.execute(update(queue).where(queue.c.run_id == approval.run_id).values(**free))

        self.store.wait_for_person(approval.run_id, event, usage, put)

    def answer(self, run_id: str, answer: Answer, now: datetime) -> Answered:
        """Store what a person says to what a run waits with. An approved run is queued once more.

        Raises RunnerError when it does not wait, waits with another digest, or was answered otherwise.
        """
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            if found := self._answer(connection, run_id, answer, now):
                connection.commit()
                return Answered(approval=found, is_new=True)
            connection.rollback()
        return self._answered_before(run_id, answer, now)

    def _answer(
        self, connection: Connection, run_id: str, answer: Answer, now: datetime
    ) -> ApprovalRecord | None:
        """What is answered by this; None: nothing, and what was changed is to be rolled back."""
        verdict = "approved" if answer.approves else "refused"
        said: dict[str, Any] = {
            "verdict": verdict,
            "who": answer.who,
            "via": answer.via,
            "reason": answer.reason,
        }
        said |= {"decided_at": rows.utc_time(now)} | ({} if answer.approves else {"proposal": ""})
        here = and_(_waits(run_id), _begins(answer.digest), approvals.c.expires_at > rows.utc_time(now))
        # Written before anything is read: of two at the same moment, one finds that nothing waits any more.
        if connection.execute(update(approvals).where(here).values(**said)).rowcount != 1:
            return None
        told = f"{verdict} by {answer.who} ({answer.via}){f': {answer.reason}' if answer.reason else ''}"
        state = RunState.QUEUED if answer.approves else RunState.BLOCKED
        if answer.approves:
            changes: dict[str, Any] = {"state": state, "attempt": runs.c.attempt + 1, "worker": ""}
        else:
            changes = _ended(Reason.APPROVAL_REFUSED, told, now)
        if not _change_waiting(connection, run_id, changes):
            return None
        event = RunEvent(run_id=run_id, at=now, phase=Phase.APPROVAL, message=told, state=state)
        connection.execute(insert(events).values(**rows.event_row(event)))
        newest = select(approvals).where(approvals.c.run_id == run_id).order_by(approvals.c.attempt.desc())
        return _record(connection.execute(newest.limit(1)).mappings().one())

    def _answered_before(self, run_id: str, answer: Answer, now: datetime) -> Answered:
        last = self.last(run_id)
        if last is None:
            message = f"run {run_id} does not wait for anybody"
            raise _refused(message, f"skillrunner show {run_id}")
        if not last.digest.startswith(answer.digest):
            message = f"the digest {answer.digest} is not that of what run {run_id} waits with"
            raise _refused(message, f"look at it once more: skillrunner show {run_id}")
        if last.verdict == ("approved" if answer.approves else "refused"):
            return Answered(approval=last, is_new=False)
        if last.verdict in ("approved", "refused"):
            when = f"{last.decided_at:%Y-%m-%d %H:%M} UTC" if last.decided_at else "before"
            raise _refused(f"{last.who} {last.verdict} it at {when}", f"skillrunner show {run_id}")
        if last.verdict == "void":
            message = f"what run {run_id} waited with is void: the run went on, or another took its place"
        else:
            message = f"what run {run_id} waited with expired at {last.expires_at:%Y-%m-%d %H:%M} UTC"
            self.expire(now)
        raise _refused(message, f"run it again: skillrunner run --from-run {run_id}")

    def of_run(self, run_id: str) -> list[ApprovalRecord]:
        """What a run asked for, oldest first."""
        query = (
            select(approvals, runs.c.state)
            .join(runs)
            .where(approvals.c.run_id == run_id)
            .order_by(approvals.c.attempt)
        )
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            return [_present(row) for row in connection.execute(query).mappings()]

    def last(self, run_id: str) -> ApprovalRecord | None:
        """What a run asked for last; None: it never asked."""
        found = self.of_run(run_id)
        return found[-1] if found else None

    def waiting(self, repository: str | None = None) -> list[WaitingApproval]:
        """What waits now, oldest first."""
        where = [approvals.c.verdict == "", runs.c.state == RunState.WAITING]
        where += [runs.c.repository == repository] if repository is not None else []
        return self._with_runs(*where)

    def find(self, repository: str, digest: str) -> list[WaitingApproval]:
        """What has a digest that begins so, whether it still waits or not."""
        return self._with_runs(runs.c.repository == repository, _begins(digest))

    def _with_runs(self, *where: ColumnElement[bool]) -> list[WaitingApproval]:
        query = select(approvals, runs.c.repository, runs.c.skill, runs.c.state).join(runs).where(*where)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found = connection.execute(query.order_by(approvals.c.asked_at)).mappings().all()
        return [
            WaitingApproval(repository=row["repository"], skill=row["skill"], approval=_present(row))
            for row in found
        ]

    def approved_proposal(self, run_id: str) -> str:
        """What people approved last of a run; empty: nothing."""
        here = (approvals.c.run_id == run_id, approvals.c.verdict == "approved")
        query = select(approvals.c.proposal).where(*here).order_by(approvals.c.attempt.desc()).limit(1)
        found: str | None = self.store.step(lambda connection: connection.execute(query).scalar())
        return found or ""

    def discard(self, run_id: str) -> None:
        """Forget what would be published: it cannot be."""
        gone = update(approvals).where(approvals.c.run_id == run_id).values(proposal="")
        self.store.step(lambda connection: connection.execute(gone))

    def wait_again(self, run_id: str, event: RunEvent, usage: Usage) -> None:
        """Have a run wait once more for the same answer: what was approved could not be published now."""
        newest = select(func.max(approvals.c.attempt)).where(approvals.c.run_id == run_id).scalar_subquery()
        same = and_(approvals.c.run_id == run_id, approvals.c.attempt == newest)
        open_again = {"verdict": "", "who": "", "via": "", "reason": "", "decided_at": None}
        asked = update(approvals).where(same).values(**open_again)
        self.store.wait_for_person(run_id, event, usage, lambda connection: connection.execute(asked))

    def expire(self, now: datetime) -> list[str]:
        """End the runs that have waited too long; return their ids."""
        late = and_(approvals.c.verdict == "", approvals.c.expires_at <= rows.utc_time(now))
        query = select(approvals.c.run_id, approvals.c.expires_at).where(late)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found = connection.execute(query).all()
        return [run_id for run_id, until in found if self._expire(run_id, datetime.fromisoformat(until), now)]

    def _expire(self, run_id: str, until: datetime, now: datetime) -> bool:
        told = f"nobody approved it until {until:%Y-%m-%d %H:%M} UTC"
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            over = {"verdict": "expired", "decided_at": rows.utc_time(now), "proposal": ""}
            if not connection.execute(update(approvals).where(_waits(run_id)).values(**over)).rowcount:
                return False
            return _end(connection, run_id, Reason.APPROVAL_EXPIRED, told, now)


def _waits(run_id: str) -> ColumnElement[bool]:
    return and_(approvals.c.run_id == run_id, approvals.c.verdict == "")


def _begins(digest: str) -> ColumnElement[bool]:
    return approvals.c.digest.startswith(digest.lower(), autoescape=True)


def _void(connection: Connection, new: ApprovalRecord, target: str) -> None:
    """Whatever waited in the place of a new proposal, of the same run or of others, waits no more."""
    same = select(runs.c.repository, runs.c.skill).where(runs.c.id == new.run_id).subquery()
    others = (
        select(approvals.c.run_id)
        .join(runs)
        .join(same, and_(runs.c.repository == same.c.repository, runs.c.skill == same.c.skill))
        .where(approvals.c.verdict == "", approvals.c.target == target, approvals.c.run_id != new.run_id)
    )
    replaced = list(connection.execute(others).scalars())
    which = or_(approvals.c.run_id == new.run_id, approvals.c.run_id.in_(replaced))
    gone = {"verdict": "void", "decided_at": rows.utc_time(new.asked_at), "proposal": ""}
    connection.execute(update(approvals).where(which, approvals.c.verdict == "").values(**gone))
    for run_id in replaced:
        told = f"run {new.run_id} proposes something newer, which takes its place"
        _end(connection, run_id, Reason.APPROVAL_VOID, told, new.asked_at)


def _ended(reason: Reason, message: str, now: datetime) -> dict[str, Any]:
    return rows.end_row(RunnerError(Phase.APPROVAL, reason, message).end) | {"ended_at": rows.utc_time(now)}


def _end(connection: Connection, run_id: str, reason: Reason, message: str, now: datetime) -> bool:
    changes = _ended(reason, message, now)
    if not _change_waiting(connection, run_id, changes):
        return False
    state = RunState(changes["state"])
    event = RunEvent(run_id=run_id, at=now, phase=Phase.APPROVAL, message=message, state=state)
    connection.execute(insert(events).values(**rows.event_row(event)))
    return True


def _change_waiting(connection: Connection, run_id: str, changes: dict[str, Any]) -> bool:
    waits = and_(runs.c.id == run_id, runs.c.state == RunState.WAITING)
    return connection.execute(update(runs).where(waits).values(**changes)).rowcount == 1


def _refused(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.APPROVAL, Reason.INVALID_INPUT, message, hint=hint)


def _present(row: RowMapping) -> ApprovalRecord:
    """An approval as it is now: what a run that ended otherwise waited with is void."""
    found = _record(row)
    waits = found.verdict == "" and row["state"] != RunState.WAITING
    return replace(found, verdict="void") if waits else found


def _record(row: RowMapping) -> ApprovalRecord:
    with rows.row_errors("approvals", run_id=row["run_id"], attempt=row["attempt"]):
        return ApprovalRecord(
            run_id=row["run_id"],
            attempt=row["attempt"],
            digest=row["digest"],
            why=row["why"],
            asked_at=datetime.fromisoformat(row["asked_at"]),
            expires_at=datetime.fromisoformat(row["expires_at"]),
            verdict=row["verdict"],
            who=row["who"],
            via=row["via"],
            reason=row["reason"],
            decided_at=rows.stored_time(row["decided_at"]),
        )
