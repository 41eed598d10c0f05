"""What agents remember of a skill in a repository. Untrusted: later runs are told it as data."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select

from runner.core.model import Note
from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import notes

MAX_NOTES = 50
"""Notes of a skill; a newer one takes the place of the oldest."""


def add_note(store: Store, repository: str, skill: str, text: str, run_id: str, at: datetime) -> None:
    here = _of(repository, skill)
    values = {
        "repository": repository,
        "skill": skill,
        "text": text,
        "run_id": run_id,
        "at": rows.utc_time(at),
    }
    with database_errors(store.database), store.engine.begin() as connection:
        connection.execute(insert(notes).values(**values))
        newest = select(notes.c.id).where(here).order_by(notes.c.id.desc()).limit(MAX_NOTES)
        kept = list(connection.execute(newest).scalars())
        connection.execute(delete(notes).where(here, notes.c.id < kept[-1]))


def list_notes(store: Store, repository: str | None, skill: str) -> list[Note]:
    """The oldest first; those of all repositories where none is named."""
    query = select(notes).where(_of(repository, skill)).order_by(notes.c.id)
    with database_errors(store.database), store.engine.connect() as connection:
        found = connection.execute(query).mappings()
        return [Note(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in found]


def remove_notes(store: Store, skill: str, ids: Sequence[int]) -> int:
    """Drop these notes of a skill; tell how many there were."""
    query = delete(notes).where(_of(None, skill), notes.c.id.in_(ids))
    with database_errors(store.database), store.engine.begin() as connection:
        return connection.execute(query).rowcount


def _of(repository: str | None, skill: str) -> ColumnElement[bool]:
    here = notes.c.skill == skill
    return here if repository is None else (notes.c.repository == repository) & here
