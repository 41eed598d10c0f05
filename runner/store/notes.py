"""What agents remember of a skill in a repository. Untrusted: later runs are told it as data."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select

from runner.model import Note
from runner.store import rows
from runner.store.database import speaking
from runner.store.runs import Store
from runner.store.tables import notes

MOST = 50
"""Notes of a skill; a newer one takes the place of the oldest."""


def add(store: Store, repository: str, skill: str, text: str, run_id: str, at: datetime) -> None:
    here = _of(repository, skill)
    values = {
        "repository": repository,
        "skill": skill,
        "text": text,
        "run_id": run_id,
        "at": rows.instant(at),
    }
    with speaking(store.database), store.engine.begin() as connection:
        connection.execute(insert(notes).values(**values))
        newest = select(notes.c.id).where(here).order_by(notes.c.id.desc()).limit(MOST)
        kept = list(connection.execute(newest).scalars())
        connection.execute(delete(notes).where(here, notes.c.id < kept[-1]))


def of(store: Store, repository: str, skill: str) -> list[Note]:
    """The oldest first."""
    query = select(notes).where(_of(repository, skill)).order_by(notes.c.id)
    with speaking(store.database), store.engine.connect() as connection:
        return [
            Note(id=row["id"], text=row["text"], run_id=row["run_id"], at=datetime.fromisoformat(row["at"]))
            for row in connection.execute(query).mappings()
        ]


def forget(store: Store, repository: str, skill: str, ids: list[int] | None = None) -> int:
    """Drop these notes of a skill, or all of them; tell how many there were."""
    chosen = [] if ids is None else [notes.c.id.in_(ids)]
    with speaking(store.database), store.engine.begin() as connection:
        return connection.execute(delete(notes).where(_of(repository, skill), *chosen)).rowcount


def _of(repository: str, skill: str) -> ColumnElement[bool]:
    return (notes.c.repository == repository) & (notes.c.skill == skill)
