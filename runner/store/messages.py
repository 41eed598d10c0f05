"""What people say to the agent of a run while it works. Whoever carries the run out looks for it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, select, update

from runner.core.errors import RunnerError
from runner.core.model import Act, Letter, Phase, Reason, RunState
from runner.store import rows
from runner.store.database import speaking
from runner.store.runs import Store
from runner.store.tables import messages, runs

_HEARS = (RunState.QUEUED, RunState.PREPARING, RunState.RUNNING)


def send(store: Store, run_id: str, text: str, at: datetime, act: Act = "say") -> None:
    """Leave a message for a run. Raises RunnerError INVALID_INPUT when its agent has ended."""
    values = {"run_id": run_id, "text": text, "act": act, "at": rows.instant(at)}
    going = select(runs.c.id).where(runs.c.id == run_id, runs.c.state.in_(_HEARS))
    with speaking(store.database), store.engine.begin() as connection:
        if connection.execute(going).first() is None:
            message = f"run {run_id} has ended, or its agent has"
            hint = f'skillrunner show {run_id}; then: skillrunner continue {run_id} "..."'
            raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint)
        connection.execute(insert(messages).values(**values))


def waiting(store: Store, run_id: str) -> list[Letter]:
    """What the agent was not told yet, in the order in which it was sent."""
    here = (messages.c.run_id == run_id, messages.c.delivered_at.is_(None))
    with speaking(store.database), store.engine.connect() as connection:
        found = connection.execute(select(messages).where(*here).order_by(messages.c.id)).mappings()
        return [Letter(id=row["id"], text=row["text"], act=row["act"]) for row in found]


def delivered(store: Store, letters: Sequence[Letter], at: datetime) -> None:
    """The agent was told these."""
    these = messages.c.id.in_([letter.id for letter in letters])
    with speaking(store.database), store.engine.begin() as connection:
        connection.execute(update(messages).where(these).values(delivered_at=rows.instant(at)))
