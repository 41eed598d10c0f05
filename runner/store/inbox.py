"""Events that were heard and wait for a decision. What was heard is stored before anybody acts on it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, and_, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from runner.core.model.decision import Event
from runner.store import rows
from runner.store.database import database_errors
from runner.store.event_tables import cursors, heard, inbox
from runner.store.runs import Store

Source = Literal["webhook", "poll"]


@dataclass(frozen=True, slots=True)
class Inbox:
    store: Store

    def put(
        self,
        repository: str,
        events: Sequence[Event],
        source: Source,
        cursor: Mapping[str, Any] | None = None,
    ) -> int:
        """Keep what is new among `events`, and with it how far the repository was heard; tell how many.

        In one step: a crash loses no event, and makes none heard twice.
        """
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            new = [event for event in events if _is_new(connection, repository, event, source)]
            for event in new:
                text = json.dumps(asdict(event), default=str)
                connection.execute(insert(inbox).values(repository=repository, event=text))
            if cursor is not None:
                connection.execute(delete(cursors).where(cursors.c.repository == repository))
                connection.execute(insert(cursors).values(repository=repository, data=json.dumps(cursor)))
        return len(new)

    def cursor(self, repository: str) -> Mapping[str, Any]:
        """How far the repository was heard; empty: not yet."""
        query = select(cursors.c.data).where(cursors.c.repository == repository)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found: Mapping[str, Any] = json.loads(connection.execute(query).scalar() or "{}")
        return found

    def waiting(self, repositories: Sequence[str], limit: int = 100) -> list[tuple[int, str, Event]]:
        """Events without a decision, the oldest first, each with its number and its repository."""
        query = select(inbox).where(inbox.c.repository.in_(repositories)).order_by(inbox.c.id).limit(limit)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found = connection.execute(query).mappings().all()
        return [(row["id"], row["repository"], _event(json.loads(row["event"]))) for row in found]

    def mark_decided(self, number: int) -> None:
        """The event has its decisions."""
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(delete(inbox).where(inbox.c.id == number))

    def forget(self, before: datetime) -> None:
        """Drop the keys of what was heard long ago: nobody delivers that again."""
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(delete(heard).where(heard.c.at < rows.utc_time(before)))


def _is_new(connection: Connection, repository: str, event: Event, source: Source) -> bool:
    """Whether nobody heard it before; its keys are kept.

    Keys besides its own tell what was heard the other way: a webhook and a list differ in their times.
    """
    same = or_(heard.c.key == event.key, and_(heard.c.key.in_(event.other_keys), heard.c.source != source))
    if connection.execute(select(heard.c.key).where(heard.c.repository == repository, same)).first():
        return False
    for key in (event.key, *event.other_keys):
        row = {"repository": repository, "key": key, "source": source, "at": rows.utc_time(event.at)}
        try:
            with connection.begin_nested():
                connection.execute(insert(heard).values(**row))
        except IntegrityError:
            if key == event.key:  # somebody else heard it at this very moment
                return False
    return True


def _event(data: Mapping[str, Any]) -> Event:
    times = {"at": datetime.fromisoformat(data["at"]), "other_keys": tuple(data["other_keys"])}
    return Event(**{**data, **times})
