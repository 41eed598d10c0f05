"""What conditions ask GitHub, as its documentation tells of the answers."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from requests import Session

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.publish.forges._github_questions import check_results, count_issues
from tests.parts.hearing import Adapter, Answer
from tests.parts.pace import pacer

SHA = "a" * 40


def api(answers: dict[str, Any], asked: list[dict[str, str]]) -> GitHubApi:
    def answer(url: str, _: dict[str, str]) -> Answer:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        asked.append(query)
        found = answers[parts.path.removeprefix("/repos/acme/lib")]
        status, body = found if isinstance(found, tuple) else (200, found)
        if isinstance(body, list):
            size, page = int(query["per_page"]), int(query["page"])
            body = {"check_runs": body[size * (page - 1) : size * page]}
        return status, {}, json.dumps(body).encode()

    made = GitHubApi(
        api_url="https://api.example",
        repository="acme/lib",
        token=lambda: "t",
        sleep=lambda _: None,
        pacer=pacer(),
    )
    session = Session()
    session.mount("https://", Adapter(answer))
    made.__dict__["session"] = session
    return made


def test_a_search_is_made_in_the_repository_itself() -> None:
    asked: list[dict[str, str]] = []
    found = {"/search/issues": {"total_count": 1234, "incomplete_results": False, "items": []}}
    assert count_issues(api(found, asked), "is:issue label:bug") == 1234
    assert asked == [{"q": "repo:acme/lib is:issue label:bug", "per_page": "1"}]


@pytest.mark.parametrize(
    "answer",
    [{"total_count": 0, "incomplete_results": True}, {"total_count": None}, {}, []],
)
def test_a_search_that_did_not_end_is_asked_again(answer: Any) -> None:
    with pytest.raises(RunnerError) as caught:
        count_issues(api({"/search/issues": (200, {"x": answer} if answer == [] else answer)}, []), "x")
    assert caught.value.retryable


def test_a_search_that_is_none_is_an_error_that_stays() -> None:
    with pytest.raises(RunnerError) as caught:
        count_issues(api({"/search/issues": (422, {"message": "Validation Failed"})}, []), "x:y")
    assert not caught.value.retryable


def run(name: str, conclusion: str | None, status: str = "completed") -> dict[str, Any]:
    return {"name": name, "conclusion": conclusion, "status": status}


def test_checks_and_statuses_by_name_and_one_that_failed_counts() -> None:
    runs = [
        run("CI", "success"),
        run("CI", "failure"),
        run("CI", "success"),
        run("lint", None, "in_progress"),
        *(run(f"job {number}", "success") for number in range(100)),
        run("late", "timed_out"),
    ]
    statuses = [{"context": "deploy", "state": "error"}, {"context": "late", "state": "success"}]
    answers = {
        f"/commits/{SHA}/check-runs": runs,
        f"/commits/{SHA}/status": {"state": "failure", "statuses": statuses},
    }
    found = check_results(api(answers, []), SHA)
    wanted = {name: found[name] for name in ("CI", "lint", "late", "deploy")}
    assert wanted == {"CI": "failure", "lint": "in_progress", "late": "timed_out", "deploy": "error"}
    assert len(found) == 104
