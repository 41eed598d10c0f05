"""The pull requests of the local forge. A branch has at most one open pull request."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from runner.publish.forges import NewPullRequest, PullRequest
from runner.store import rows
from runner.store.database import Database, database_errors
from runner.store.local_items import next_number
from runner.store.tables import comments, pull_requests


@dataclass(frozen=True, slots=True)
class LocalPullRequests:
    """The pull requests of one repository."""

    engine: Engine
    database: Database
    repository: str

    def insert(self, new: NewPullRequest, author: str) -> tuple[PullRequest, bool]:
        """Open a pull request; return it and True, or the branch's open one and False."""
        while True:
            try:
                return self.get(self._insert(new, author)), True
            except IntegrityError:
                found = [pull for pull in self.find(new.branch) if pull.state == "open"]
                if found:
                    return found[0], False
                # Somebody else took the number at the same moment: the next one is free.

    def _insert(self, new: NewPullRequest, author: str) -> int:
        # In one statement: between two, another process could take the same number.
        with database_errors(self.database), self.engine.begin() as connection:
            number = connection.execute(
                insert(pull_requests)
                .values(
                    repository=self.repository,
                    number=next_number(self.repository),
                    state="open",
                    branch=new.branch,
                    open_branch=new.branch,
                    base=new.base,
                    title=new.title,
                    body=new.body,
                    draft=int(new.draft),
                    author=author,
                    created_at=rows.utc_time(datetime.now(UTC)),
                )
                .returning(pull_requests.c.number)
            ).scalar_one()
        return int(number)

    def find(self, branch: str) -> list[PullRequest]:
        """The pull requests of a branch, newest first."""
        return self._records(pull_requests.c.branch == branch)

    def all(self, state: str | None = None) -> list[PullRequest]:
        """The pull requests of the repository, newest first."""
        return self._records(*([pull_requests.c.state == state] if state else []))

    def get(self, number: int) -> PullRequest:
        """The pull request of this number. Raises KeyError when there is none."""
        found = self._records(pull_requests.c.number == number)
        if not found:
            raise KeyError(number)
        return found[0]

    def update(self, number: int, **fields: Any) -> None:
        """Change `title`, `body`, `base`, `state`, `draft`, `labels` or `reviewers`."""
        changes = {name: _stored(value) for name, value in fields.items()}
        if fields.get("state", "open") != "open":
            changes["open_branch"] = None
        where = (self._here(), pull_requests.c.number == number)
        with database_errors(self.database), self.engine.begin() as connection:
            connection.execute(update(pull_requests).where(*where).values(**changes))

    def reopen(self, number: int) -> bool:
        """Open a closed one again; return False where its branch has another open one."""
        values = {"state": "open", "open_branch": pull_requests.c.branch}
        where = (self._here(), pull_requests.c.number == number)
        try:
            with database_errors(self.database), self.engine.begin() as connection:
                connection.execute(update(pull_requests).where(*where).values(**values))
        except IntegrityError:
            return False
        return True

    def comment(self, number: int, body: str, marker: str) -> bool:
        """Add a comment unless one has this marker; return whether it was added."""
        values = {"repository": self.repository, "number": number, "body": body, "marker": marker}
        try:
            with database_errors(self.database), self.engine.begin() as connection:
                at = rows.utc_time(datetime.now(UTC))
                connection.execute(insert(comments).values(**values, created_at=at))
        except IntegrityError:
            return False
        return True

    def comments(self, number: int) -> Sequence[str]:
        """The comments on a pull request, oldest first."""
        query = (
            select(comments.c.body)
            .where(comments.c.repository == self.repository, comments.c.number == number)
            .order_by(comments.c.id)
        )
        with database_errors(self.database), self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def _here(self) -> Any:
        return pull_requests.c.repository == self.repository

    def _records(self, *where: Any) -> list[PullRequest]:
        query = select(pull_requests).where(self._here(), *where).order_by(pull_requests.c.number.desc())
        with database_errors(self.database), self.engine.connect() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]


def _stored(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value))
    return int(value) if isinstance(value, bool) else value


def _record(row: Any) -> PullRequest:
    with rows.row_errors("pull_requests", repository=row["repository"], number=row["number"]):
        return PullRequest(
            number=row["number"],
            url=f"local:{row['repository']}#{row['number']}",
            state=row["state"],
            branch=row["branch"],
            base=row["base"],
            title=row["title"],
            body=row["body"],
            draft=bool(row["draft"]),
            labels=tuple(rows.json_texts(row["labels"])),
            author=row["author"],
            created_at=rows.stored_time(row["created_at"]),
        )
