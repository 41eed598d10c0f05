"""Which repositories patterns mean, and that a list that has not changed costs nothing."""

import json
from typing import Any

import pytest
from requests import Session

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.triggers.sources.github.repositories import Repositories
from tests.parts.hearing import Adapter, Answer


class Lists:
    """Lists of repositories as GitHub's documentation describes them."""

    def __init__(self, lists: dict[str, list[dict[str, Any]]]) -> None:
        self.lists = lists
        self.asked: list[tuple[str, int]] = []

    def answer(self, url: str, headers: dict[str, str]) -> Answer:
        path, _, query = url.removeprefix("https://api.example/").partition("?")
        if path not in self.lists:
            self.asked.append((path, 404))
            return 404, {}, b'{"message": "Not Found"}'
        size, page = (int(part.split("=")[1]) for part in query.split("&"))
        rows = self.lists[path][size * (page - 1) : size * page]
        body = json.dumps({"repositories": rows} if path.startswith("installation") else rows).encode()
        etag = f'W/"{hash(body)}"'
        if headers.get("If-None-Match") == etag:
            self.asked.append((path, 304))
            return 304, {}, b""
        self.asked.append((path, 200))
        return 200, {"ETag": etag}, body


def repositories(github: Lists, token: str = "ghp_x") -> tuple[Repositories, list[str]]:
    door = GitHubApi(api_url="https://api.example", repository="", token=lambda: token, sleep=lambda _: None)
    session = Session()
    session.mount("https://", Adapter(github.answer))
    door.__dict__["session"] = session
    said: list[str] = []
    return Repositories(lambda _: door, said.append), said


def rows(*names: str, **more: bool) -> list[dict[str, Any]]:
    return [{"full_name": name, "archived": False, "disabled": False, **more} for name in names]


ACME = rows("acme/svc-a", "acme/svc-b", "acme/Web") + rows("acme/old", archived=True)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["acme/*"], ["acme/svc-a", "acme/svc-b", "acme/Web"]),
        (["acme/svc-*"], ["acme/svc-a", "acme/svc-b"]),
        (["ACME/SVC-?"], ["acme/svc-a", "acme/svc-b"]),
        (["acme/w*"], ["acme/Web"]),
        (["acme/*", "!acme/svc-b"], ["acme/svc-a", "acme/Web"]),
        (["!acme/svc-*", "acme/*"], ["acme/Web"]),
        (["acme/web", "acme/*"], ["acme/web", "acme/svc-a", "acme/svc-b"]),
        (["other/one", "acme/web", "!acme/web"], ["other/one"]),
        (["acme/nothing-*"], []),
        ([], []),
    ],
)
def test_patterns(patterns: list[str], expected: list[str]) -> None:
    github = Lists({"orgs/acme/repos": ACME, "orgs/ACME/repos": ACME})
    assert repositories(github)[0].expand(patterns) == expected


def test_a_name_is_asked_of_nobody() -> None:
    github = Lists({})
    assert repositories(github)[0].expand(["acme/one"]) == ["acme/one"]
    assert github.asked == []


def test_an_unchanged_list_costs_nothing_and_a_changed_one_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.triggers.sources.github.repositories._FULL", 2)
    github = Lists({"orgs/acme/repos": list(ACME)})
    found, _ = repositories(github)
    first = found.expand(["acme/*"])
    github.asked.clear()
    assert found.expand(["acme/*"]) == first
    assert github.asked == [("orgs/acme/repos", 304)] * 3  # two full pages, and what may come after
    github.lists["orgs/acme/repos"] += rows("acme/new")
    assert found.expand(["acme/*"]) == [*first, "acme/new"]


def test_a_person_is_asked_as_a_person_from_then_on() -> None:
    github = Lists({"users/ann/repos": rows("ann/one")})
    found, _ = repositories(github)
    assert found.expand(["ann/*"]) == found.expand(["ann/*"]) == ["ann/one"]
    assert github.asked == [("orgs/ann/repos", 404), ("users/ann/repos", 200), ("users/ann/repos", 304)]


def test_an_installation_tells_its_own() -> None:
    github = Lists({"installation/repositories": rows("acme/one", "acme/two", "acme/three")})
    assert repositories(github, "ghs_x")[0].expand(["acme/t*"]) == ["acme/two", "acme/three"]
    assert {path for path, _ in github.asked} == {"installation/repositories"}


def test_what_is_archived_or_disabled_is_left_out_and_told_once() -> None:
    github = Lists({"orgs/acme/repos": ACME + rows("acme/off", disabled=True)})
    found, said = repositories(github)
    found.expand(["acme/*"])
    found.expand(["acme/*"])
    assert said == ["acme/old is archived, and is left out", "acme/off is disabled, and is left out"]


@pytest.mark.parametrize(
    "pattern", ["acme", "*/lib", "*", "a*/b", "acme/", "/lib", "acme/a/b", "", "!", "acme/a b"]
)
def test_what_is_no_pattern_is_an_error(pattern: str) -> None:
    with pytest.raises(RunnerError) as caught:
        repositories(Lists({}))[0].expand([pattern])
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert repr(pattern) in caught.value.message
    assert "owner/*" in caught.value.hint


def test_an_owner_who_is_not_there_is_an_error() -> None:
    with pytest.raises(RunnerError) as caught:
        repositories(Lists({}))[0].expand(["nobody/*"])
    assert caught.value.reason is Reason.FORGE_NOT_FOUND
    assert "nobody" in caught.value.message
    assert "name" in caught.value.hint
