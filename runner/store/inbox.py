"""The inbox: received events that wait for a decision. An event is stored before anybody acts on it."""

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
"""The way on which an event came."""

_GITHUB = "github"
"""Whose cursors were stored before there were others: their rows are named by the repository alone."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """The events of all repositories that have no decision yet."""

    store: Store

    def put(
        self,
        repository: str,
        events: Sequence[Event],
        source: Source,
        cursor: Mapping[str, Any] | None = None,
        system: str = _GITHUB,
    ) -> int:
        """Store the new ones among `events` together with the `cursor` of a poll of `system`.

        Returns how many are new.

        One transaction does both: a crash neither loses nor repeats an event.
        """
        row = _cursor_row(repository, system)
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            new = [event for event in events if _is_new(connection, repository, event, source)]
            for event in new:
                text = json.dumps(asdict(event), default=str)
                connection.execute(insert(inbox).values(repository=repository, event=text))
            if cursor is not None:
                connection.execute(delete(cursors).where(cursors.c.repository == row))
                connection.execute(insert(cursors).values(repository=row, data=json.dumps(cursor)))
        return len(new)

    def cursor(self, repository: str, system: str = _GITHUB) -> Mapping[str, Any]:
        """The cursor of an outside system's last poll for a repository; empty before the first."""
        query = select(cursors.c.data).where(cursors.c.repository == _cursor_row(repository, system))
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found = connection.execute(query).scalar() or "{}"
        with rows.row_errors("cursors", repository=_cursor_row(repository, system)):
            return rows.json_object(found)

    def waiting(self, repositories: Sequence[str], limit: int = 100) -> list[tuple[int, str, Event]]:
        """Events without a decision as (number, repository, event), oldest first."""
        query = select(inbox).where(inbox.c.repository.in_(repositories)).order_by(inbox.c.id).limit(limit)
        with database_errors(self.store.database), self.store.engine.connect() as connection:
            found = connection.execute(query).mappings().all()
        return [(row["id"], row["repository"], _event(row)) for row in found]

    def mark_decided(self, number: int) -> None:
        """Remove an event whose decisions are stored."""
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(delete(inbox).where(inbox.c.id == number))

    def forget(self, before: datetime) -> None:
        """Delete the keys of events received before then: nobody delivers those again."""
        with database_errors(self.store.database), self.store.engine.begin() as connection:
            connection.execute(delete(heard).where(heard.c.at < rows.utc_time(before)))


def _cursor_row(repository: str, system: str) -> str:
    return repository if system == _GITHUB else f"{system}:{repository}"


def _is_new(connection: Connection, repository: str, event: Event, source: Source) -> bool:
    """Store an event's keys; return whether it was not received before.

    `other_keys` identify an event received through the other source, whose own key may differ.
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
            if key == event.key:  # somebody else stored it at this moment
                return False
    return True


def _event(row: Mapping[Any, Any]) -> Event:
    with rows.row_errors("inbox", id=row["id"]):
        data = rows.json_object(row["event"])
        times = {"at": datetime.fromisoformat(data["at"]), "other_keys": tuple(data["other_keys"])}
        return Event(**{**data, **times})
