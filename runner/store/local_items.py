"""What the local forge keeps besides pull requests: issues, comments, reviews and the like."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select, union_all, update

from runner.core.payload import parse_json
from runner.publish.forges import StoredItem
from runner.store import rows
from runner.store.database import Database, database_errors
from runner.store.tables import forge_items, pull_requests


def next_number(repository: str) -> Any:
    """The next number of a repository's issues and pull requests, as an expression of SQL."""
    numbers = union_all(
        select(pull_requests.c.number).where(pull_requests.c.repository == repository),
        select(forge_items.c.number).where(forge_items.c.repository == repository),
    ).subquery()
    return select(func.coalesce(func.max(numbers.c.number), 0) + 1).scalar_subquery()


@dataclass(frozen=True, slots=True)
class LocalItems:
    """The things of one repository."""

    engine: Engine
    database: Database
    repository: str

    def insert(
        self, kind: str, data: Mapping[str, Any], *, parent: str = "", numbered: bool = False
    ) -> StoredItem:
        now = rows.utc_time(datetime.now(UTC))
        values = {
            "repository": self.repository,
            "kind": kind,
            "parent": parent,
            "number": next_number(self.repository) if numbered else None,
            "data": json.dumps(dict(data)),
            "created_at": now,
            "updated_at": now,
        }
        with database_errors(self.database), self.engine.begin() as connection:
            made = insert(forge_items).values(**values).returning(forge_items.c.id)
            identity = connection.execute(made).scalar_one()
        return self.get(identity)

    def find(
        self, kind: str, *, parent: str | None = None, number: int | None = None
    ) -> Sequence[StoredItem]:
        table = forge_items.c
        where = [table.repository == self.repository, table.kind == kind]
        where += [table.parent == parent] if parent is not None else []
        where += [table.number == number] if number is not None else []
        query = select(forge_items).where(*where).order_by(table.id)
        with database_errors(self.database), self.engine.connect() as connection:
            return [_item(row) for row in connection.execute(query).mappings()]

    def get(self, identity: int) -> StoredItem:
        query = select(forge_items).where(*self._is(identity))
        with database_errors(self.database), self.engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise KeyError(identity)
        return _item(row)

    def update(self, identity: int, data: Mapping[str, Any]) -> None:
        """Read and write in one transaction, so that two who change it lose nothing of each other's."""
        query = select(forge_items.c.data).where(*self._is(identity)).with_for_update()
        with database_errors(self.database), self.engine.begin() as connection:
            known = parse_json(connection.execute(query).scalar_one())
            values = {"data": json.dumps({**known, **data}), "updated_at": rows.utc_time(datetime.now(UTC))}
            connection.execute(update(forge_items).where(*self._is(identity)).values(**values))

    def delete(self, identity: int) -> None:
        with database_errors(self.database), self.engine.begin() as connection:
            connection.execute(delete(forge_items).where(*self._is(identity)))

    def _is(self, identity: int) -> tuple[Any, Any]:
        return forge_items.c.repository == self.repository, forge_items.c.id == identity


def _item(row: Any) -> StoredItem:
    with rows.row_errors("forge_items", repository=row["repository"], id=row["id"]):
        return StoredItem(
            id=row["id"],
            kind=row["kind"],
            parent=row["parent"],
            number=row["number"],
            data=parse_json(row["data"]),
            created_at=datetime.fromisoformat(row["created_at"]),
            updated_at=datetime.fromisoformat(row["updated_at"]),
        )
