"""Which repositories a worker serves: names as they are, globs over what the token can see."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.globs import matches
from runner.core.model import Phase, Reason
from runner.triggers.sources.github.lists import answer_errors

_PATTERN = re.compile(r"!?[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._*?\[\]-]{1,100}")
_FULL = 100  # repositories of a page: the most that GitHub gives
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class _Page:
    etag: str
    rows: Sequence[tuple[str, str]]  # full name, and why it is not served: "", "archived" or "disabled"


@dataclass
class Repositories:
    """Lists the repositories of owners, with ETags: reading an unchanged list again costs no rate limit.

    `api` makes the client that lists an owner's repositories: an App has a token for each owner. `say` is
    called once for each repository that a pattern matches and that is left out.
    """

    api: Callable[[str], GitHubApi]
    say: Callable[[str], None]
    _apis: dict[str, GitHubApi] = field(default_factory=dict)
    _pages: dict[tuple[str, str], _Page] = field(default_factory=dict)  # by owner and path
    _said: set[str] = field(default_factory=set)
    _person: set[str] = field(default_factory=set)  # owners that are no organisations

    def expand(self, patterns: Sequence[str]) -> list[str]:
        """The repositories that `patterns` mean, each once, in their order.

        "owner/name" stands for itself, "owner/svc-*" for what can be seen there; "!owner/name" and
        "!owner/svc-*" take away. Raises RunnerError: INVALID_CONFIG for what is no pattern, FORGE_NOT_FOUND
        for an owner who does not exist, and what the API raises.
        """
        for pattern in patterns:
            if not _PATTERN.fullmatch(pattern):
                raise _no_pattern(pattern)
        without = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        wanted = [name for pattern in patterns if pattern[0] != "!" for name in self._meant(pattern)]
        kept: dict[str, str] = {}
        for name in wanted:
            if not any(_is(name, no) for no in without):
                kept.setdefault(name.lower(), name)
        return list(kept.values())

    def _meant(self, pattern: str) -> Iterator[str]:
        if not _GLOB.search(pattern):
            yield pattern
            return
        for name, why in self._visible(pattern.split("/")[0]):
            if _is(name, pattern) and why == "":
                yield name
            elif _is(name, pattern) and name not in self._said:
                self._said.add(name)
                self.say(f"{name} is {why}, and is left out")

    def _visible(self, owner: str) -> Sequence[tuple[str, str]]:
        """With an App's token what it is installed on, else the list of the organisation or person."""
        if owner not in self._apis:
            self._apis[owner] = self.api(owner)
        if self._apis[owner].token().startswith("ghs_"):  # GitHub's "Token formats": an installation's
            return self._all(owner, "installation/repositories")
        if owner not in self._person:
            try:
                return self._all(owner, f"orgs/{owner}/repos")
            except RunnerError as error:
                if error.reason is not Reason.FORGE_NOT_FOUND:
                    raise
        try:
            found = self._all(owner, f"users/{owner}/repos")
        except RunnerError as error:
            raise _no_owner(owner, error) if error.reason is Reason.FORGE_NOT_FOUND else error from None
        self._person.add(owner)
        return found

    def _all(self, owner: str, path: str) -> Sequence[tuple[str, str]]:
        """Page by page until one is not full: one that is may get a successor and be as it was itself."""
        rows: list[tuple[str, str]] = []
        for number in itertools.count(1):
            name = f"{path}?per_page={_FULL}&page={number}"
            page = self._pages[owner, name] = self._page(owner, name)
            rows.extend(page.rows)
            if len(page.rows) < _FULL:
                break
        return rows

    def _page(self, owner: str, name: str) -> _Page:
        known = self._pages.get((owner, name))
        headers = {"If-None-Match": known.etag} if known and known.etag else None
        answer = self._apis[owner].call("GET", name, headers=headers)
        if known and answer.status_code == 304:
            return known
        with answer_errors(name):
            found = answer.json()
            rows = found["repositories"] if isinstance(found, dict) else found
            return _Page(answer.headers.get("ETag", ""), [(row["full_name"], _left(row)) for row in rows])


def _left(row: dict[str, Any]) -> str:
    return next((why for why in ("archived", "disabled") if row.get(why)), "")


def _is(name: str, pattern: str) -> bool:
    """GitHub's names are the same in capitals and small letters."""
    return matches(name, [pattern], ignore_case=True)


def _no_pattern(pattern: str) -> RunnerError:
    return RunnerError(
        Phase.LOAD,
        Reason.INVALID_CONFIG,
        f"repositories: {pattern!r} is no repository and no glob over an owner",
        hint="write owner/name, owner/* or owner/svc-*, and !owner/name for what is to be left out",
    )


def _no_owner(owner: str, error: RunnerError) -> RunnerError:
    message = f"there is no organisation and no person {owner} that the token can see ({error.message})"
    hint = "check the owner's name; for an organisation the token must be allowed to read its repositories"
    return RunnerError(Phase.LOAD, Reason.FORGE_NOT_FOUND, message, hint=hint)
