"""Notes that agents write for later runs of their skill. Untrusted: later runs get them as data."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select

from runner.core.model import Note
from runner.store import rows
from runner.store.database import database_errors
from runner.store.runs import Store
from runner.store.tables import notes

MAX_NOTES = 50
"""How many notes a skill has at most; a new one replaces the oldest."""


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
    """The notes of a skill, oldest first; `repository` None means all repositories."""
    query = select(notes).where(_of(repository, skill)).order_by(notes.c.id)
    with database_errors(store.database), store.engine.connect() as connection:
        found = connection.execute(query).mappings()
        return [Note(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in found]


def remove_notes(store: Store, skill: str, ids: Sequence[int]) -> int:
    """Delete these notes of a skill; return how many there were."""
    query = delete(notes).where(_of(None, skill), notes.c.id.in_(ids))
    with database_errors(store.database), store.engine.begin() as connection:
        return connection.execute(query).rowcount


def _of(repository: str | None, skill: str) -> ColumnElement[bool]:
    here = notes.c.skill == skill
    return here if repository is None else (notes.c.repository == repository) & here
