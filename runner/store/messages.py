"""Messages that people send to a working agent. The process that executes the run polls for them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, select, update

from runner.core.errors import RunnerError
from runner.core.model import MessageAction, Phase, Reason, RunState, UserMessage
from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import messages, runs

_ACCEPTS = (RunState.QUEUED, RunState.PREPARING, RunState.RUNNING)


def send(store: Store, run_id: str, text: str, at: datetime, act: MessageAction = "say") -> None:
    """Store a message for a run. Raises RunnerError INVALID_INPUT when its agent has ended."""
    values = {"run_id": run_id, "text": text, "act": act, "at": rows.utc_time(at)}
    going = select(runs.c.id).where(runs.c.id == run_id, runs.c.state.in_(_ACCEPTS))
    with database_errors(store.database), store.engine.begin() as connection:
        if connection.execute(going).first() is None:
            message = f"run {run_id} has ended, or its agent has"
            hint = f'skillrunner show {run_id}; then: skillrunner continue {run_id} "..."'
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
        connection.execute(insert(messages).values(**values))


def undelivered(store: Store, run_id: str) -> list[UserMessage]:
    """The messages that were not delivered to the agent yet, in the order of sending."""
    here = (messages.c.run_id == run_id, messages.c.delivered_at.is_(None))
    with database_errors(store.database), store.engine.connect() as connection:
        found = connection.execute(select(messages).where(*here).order_by(messages.c.id)).mappings()
        return [UserMessage(id=row["id"], text=row["text"], act=row["act"]) for row in found]


def mark_delivered(store: Store, delivered: Sequence[UserMessage], at: datetime) -> None:
    """Store that the agent has got these messages."""
    these = messages.c.id.in_([one.id for one in delivered])
    with database_errors(store.database), store.engine.begin() as connection:
        connection.execute(update(messages).where(these).values(delivered_at=rows.utc_time(at)))
