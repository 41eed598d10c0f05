"""Reads GitHub's lists so that an unchanged list costs no rate limit and no concurrent change is missed.

GitHub's "Best practices for using the REST API": an answer 304 to a request with an ETag and a token counts
against no rate limit.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.triggers.sources.github.cursor import parse_time, stamp

if TYPE_CHECKING:
    from requests import Response

Item = dict[str, Any]

_FULL = 100  # items of a page: the most that GitHub gives
_NONE = frozenset({Reason.FORGE_NOT_FOUND, Reason.FORGE_DENIED, Reason.FORGE_REJECTED})


@contextmanager
def answer_errors(what: str) -> Iterator[None]:
    """What is no answer of GitHub's, such as a proxy's page, is an error that passes, and no bug of ours."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = (
            f"{what}: the answer is not what GitHub documents: {type(error).__name__}: {str(error)[:200]}"
        )
        hint = "see whether a proxy answers in GitHub's place, and check github.api_url"
        raise RunnerError(Phase.PLAN, Reason.FORGE_UNAVAILABLE, message, hint=hint, retryable=True) from error


@dataclass
class PollSession:
    """One poll of one repository; requests that several lists need are sent once."""

    api: GitHubApi
    wanted: frozenset[str]
    now: datetime
    _details: dict[str, Item | None] = field(default_factory=dict)

    @cached_property
    def _repository(self) -> "Response":
        return self.api.call("GET", "")

    @property
    def repository(self) -> Item:
        found: Item = self._repository.json()
        return found

    def clock(self) -> str:
        """The time at GitHub."""
        told = self._repository.headers.get("Date")
        return stamp(parsedate_to_datetime(told) if told else self.now)

    def detail(self, path: str, **parameters: str | int) -> Any:
        """The object at `path`; None: it is gone, or we may not read it."""
        if path not in self._details:
            try:
                self._details[path] = self.api.get(path, **parameters)
            except RunnerError as error:
                if error.reason not in _NONE:
                    raise
                self._details[path] = None
        return self._details[path]

    def pull(self, number: int) -> Item | None:
        found: Item | None = self.detail(f"/pulls/{number}")
        return found


@dataclass
class Lists:
    """The requests of one list in one poll. `before` holds the ETags of the last poll, `etags` this one's."""

    api: GitHubApi
    before: Mapping[str, str]
    etags: dict[str, str] = field(default_factory=dict)
    first: int = 0  # items of the first page, which is what an ETag stands for

    def newest(self, path: str, time: str, floor: str, **parameters: str | int) -> list[Item] | None:
        """Items from the newest on, page by page down to `floor`; None when the first page has not changed.

        What comes meanwhile pushes items to later pages, where they are read twice, and never missed.
        """
        answer = self._ask(path, per_page=_FULL, **parameters)
        if answer is None:
            return None
        items: list[Item] = []
        while True:
            page = _items(answer)
            items += page
            self.first = self.first or len(page)
            old = not page or parse_time(page[-1].get(time) or "") < parse_time(floor)
            if old or "next" not in answer.links:
                return items
            answer = self.api.call("GET", answer.links["next"]["url"])

    def changed(self, path: str, floor: str, **parameters: str | int) -> list[Item] | None:
        """Items that changed since `floor`, the oldest change first; None when the list is as it was.

        The next page is asked for by the last time, not by its number: an item that changes meanwhile goes to
        the end, and would pull the first of the next page into the one that was read.
        """
        asked = {**parameters, "sort": "updated", "direction": "asc", "per_page": _FULL}
        since, page = floor, 1
        answer = self._ask(path, **asked, since=since)
        if answer is None:
            return None
        items: dict[int, Item] = {}
        while True:
            rows = _items(answer)
            items.update((row["id"], row) for row in rows)
            if len(rows) < _FULL:
                return list(items.values())
            self.etags.clear()  # what comes next is beyond the page that the ETag stands for
            last = rows[-1]["updated_at"]
            since, page = (last, 1) if parse_time(last) > parse_time(since) else (since, page + 1)
            answer = self.api.call("GET", path, parameters={**asked, "since": since, "page": page})

    def every(self, path: str, **parameters: str | int) -> Iterator[Item]:
        """Items of all pages that changed: for a list in which something new may stand anywhere."""
        for page in itertools.count(1):
            answer = self._ask(path, **parameters, per_page=_FULL, page=page)
            if answer is not None:
                items = _items(answer)
                yield from items
            more = _name(path, {**parameters, "per_page": _FULL, "page": page + 1}) in self.before
            if not more if answer is None else len(items) < _FULL:
                return

    def one(self, path: str) -> Item | None:
        """A single thing; None when it has not changed, or is gone."""
        try:
            answer = self._ask(path)
        except RunnerError as error:
            if error.reason not in _NONE:
                raise
            return {}
        return None if answer is None else answer.json()

    def _ask(self, path: str, **parameters: str | int) -> "Response | None":
        name = _name(path, parameters)
        etag = self.before.get(name)
        answer = self.api.call(
            "GET", path, parameters=parameters, headers={"If-None-Match": etag} if etag else None
        )
        if answer.status_code == 304:
            self.etags[name] = etag or ""
            return None
        if told := answer.headers.get("ETag"):
            self.etags[name] = told
        return answer


def _name(path: str, parameters: Mapping[str, str | int]) -> str:
    return f"{path}?{urlencode(sorted(parameters.items()))}"


def _items(answer: "Response") -> list[Item]:
    found = answer.json()
    rows: list[Item] = found["workflow_runs"] if isinstance(found, dict) else found
    return rows
