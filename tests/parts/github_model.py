"""A model of GitHub's API for what the emulator lacks or is lenient in, such as reviews.

It is a model, written from GitHub's documentation, and not GitHub: it answers 403, 404 and 422 where the
documentation says so, and every request to it is held against GitHub's OpenAPI description. It serves one
repository, whose branches are in a real bare repository, within the test's process.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from requests import ConnectionError as Broken
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from runner.clients.github.api import GitHubApi
from runner.clients.github.rate_limit import RateLimiter
from runner.publish.forges.github import GitHubForge
from tests.parts.github import Call, check_requests
from tests.parts.pace import Clock
from tests.parts.repos import git

HOST = "https://api.example.com"
PAGE = "https://github.example.com"
REPOSITORY = "o/r"
US = "skillrunner-bot"

Answer = tuple[int, Any]
Handler = Callable[["GitHubModel", "re.Match[str]", Any], Answer]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


class Refused(Exception):  # noqa: N818 - what GitHub says, and no fault of the test
    """An answer that is no success."""

    def __init__(self, status: int, message: str, *errors: str) -> None:
        super().__init__(message)
        self.answer = (status, {"message": message, "errors": [{"message": one} for one in errors]})


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        ROUTES.append((method, re.compile(f"/repos/{REPOSITORY}{pattern}"), handler))
        return handler

    return add


@dataclass
class GitHubModel(BaseAdapter):
    """One repository. `path` holds its branches."""

    path: Path
    login: str = US
    is_app: bool = True
    calls: list[Call] = field(default_factory=list)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    reviews: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    threads: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # of reviews, by pull request
    lose: str = ""  # what the answer to the next request with this method and path does not come back of
    page: int = 100  # entries on one page of a list
    ids: Iterator[int] = field(default_factory=lambda: iter(range(1000, 1_000_000)))

    def forge(self) -> GitHubForge:
        clock = Clock()
        pacer = RateLimiter(clock, clock.sleep)
        api = GitHubApi(HOST, REPOSITORY, lambda: "token", clock.sleep, clock, pacer)
        api.session.mount(HOST, self)
        return _NextToGit(api, str(self.path.parent), "T")

    def writes(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.calls if call.method != "GET"]

    def head(self, branch: str) -> str:
        return git(self.path, "rev-parse", f"refs/heads/{branch}")

    def open_pull_request(self, branch: str, author: str = "alice", **changes: Any) -> int:
        number = len(self.pulls) + 1
        self.pulls[number] = {"branch": branch, "author": author, "base": "main", "state": "open", **changes}
        return number

    def send(self, request: PreparedRequest, **_: Any) -> Response:  # type: ignore[override]
        where = urlsplit(str(request.url))
        raw = request.body.encode() if isinstance(request.body, str) else request.body
        body = json.loads(raw) if raw else None
        method, path = str(request.method), where.path
        query = f"?{where.query}" if where.query else ""
        try:
            status, said = self._answer(method, path, body, dict(parse_qsl(where.query)))
        except Refused as refused:
            status, said = refused.answer
        self.calls.append(Call(method, f"{path}{query}", body, status))
        if self.lose and re.fullmatch(self.lose, f"{method} {path}"):
            self.lose = ""
            raise Broken("the answer was lost")
        return _response(request, status, said)

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, method: str, path: str, body: Any, query: dict[str, str]) -> Answer:
        if path == "/graphql":
            return self._graphql(body)
        if (method, path) == ("GET", "/user"):
            if self.is_app:
                raise Refused(403, "Resource not accessible by integration")
            return 200, {"login": self.login}
        for known, pattern, handler in ROUTES:
            if known == method and (match := pattern.fullmatch(path)):
                return handler(self, match, body if method != "GET" else query)
        raise Refused(404, "Not Found")

    def _graphql(self, body: Any) -> Answer:
        query, variables = body["query"], body["variables"]
        if "viewer" in query:
            return 200, {"data": {"viewer": {"login": self.login}}}
        for word, handler in GRAPHQL.items():
            if word in query:
                return 200, handler(self, variables)
        raise AssertionError(f"the model knows no such query: {query}")


class _NextToGit(GitHubForge):
    """The forge whose git is the bare repository beside it."""

    def remote(self) -> Any:
        from runner.core.model import Remote

        return Remote(url=str(Path(self.git_url) / "source.git"))


def _response(request: PreparedRequest, status: int, said: Any) -> Response:
    made = Response()
    made.status_code, made.request, made.url = status, request, str(request.url)
    made._content = b"" if said is None else json.dumps(said).encode()
    return made


def refuse_unless(condition: object, message: str, status: int = 422) -> None:
    if not condition:
        raise Refused(status, "Unprocessable Entity" if status == 422 else message, message)


@pytest.fixture
def github_model(tmp_path: Path) -> Iterator[GitHubModel]:
    """The model beside the repository `source.git` of the test; its requests are checked at the end."""
    made = GitHubModel(tmp_path / "source.git")
    yield made
    check_requests(made.calls)


# --- pull requests and their reviews ----------------------------------------------------------------


def _pull(model: GitHubModel, number: int) -> dict[str, Any]:
    if number not in model.pulls:
        raise Refused(404, "Not Found")
    return model.pulls[number]


@route("GET", "")
def _get_repository(model: GitHubModel, match: "re.Match[str]", _: Any) -> Answer:
    return 200, {"default_branch": "main"}


@route("GET", "/issues/{number}")
def _get_issue(model: GitHubModel, match: "re.Match[str]", _: Any) -> Answer:
    number = int(match["number"])
    pull = _pull(model, number)
    return 200, {
        "number": number,
        "html_url": f"{PAGE}/{REPOSITORY}/pull/{number}",
        "created_at": "2026-01-01T00:00:00Z",
        "state": pull["state"],
        "title": "A change",
        "user": {"login": pull["author"]},
        "pull_request": {},
    }


@route("GET", "/pulls/{number}")
def _get_pull(model: GitHubModel, match: "re.Match[str]", _: Any) -> Answer:
    number = int(match["number"])
    pull = _pull(model, number)
    return 200, {
        "number": number,
        "html_url": f"{PAGE}/{REPOSITORY}/pull/{number}",
        "created_at": "2026-01-01T00:00:00Z",
        "state": pull["state"],
        "title": "A change",
        "user": {"login": pull["author"]},
        "head": {
            "ref": pull["branch"],
            "sha": pull.get("sha") or model.head(pull["branch"]),
            "repo": {"id": pull.get("repo", 1)},
        },
        "base": {"ref": pull["base"], "repo": {"id": 1}},
        "labels": [{"name": name} for name in pull.get("labels", ())],
    }


def _patches(model: GitHubModel, pull: dict[str, Any]) -> dict[str, str]:
    """By path: its part of the diff from where the branch left its base."""
    fork = f"{pull['base']}...{pull['branch']}"
    paths = git(model.path, "diff", "--name-only", fork).splitlines()
    parts = {path: git(model.path, "diff", fork, "--", path) for path in paths}
    return {path: text[text.find("@@") :] if "@@" in text else "" for path, text in parts.items()}


@route("GET", "/pulls/{number}/files")
def _files(model: GitHubModel, match: "re.Match[str]", _: Any) -> Answer:
    patches = _patches(model, _pull(model, int(match["number"])))
    return 200, [{"filename": path, **({"patch": text} if text else {})} for path, text in patches.items()]


@route("GET", "/pulls/{number}/reviews")
def _reviews(model: GitHubModel, match: "re.Match[str]", _: Any) -> Answer:
    return 200, model.reviews.get(int(match["number"]), [])


@route("POST", "/pulls/{number}/reviews")
def _submit(model: GitHubModel, match: "re.Match[str]", body: Any) -> Answer:
    """Source: "Create a review for a pull request". A comment that does not fit refuses all of it."""
    number = int(match["number"])
    pull = _pull(model, number)
    event = body.get("event")
    refuse_unless(event in ("COMMENT", "APPROVE", "REQUEST_CHANGES"), "Event is not included in the list")
    is_own = pull["author"] == model.login
    refuse_unless(not is_own or event == "COMMENT", f"Can not {event.lower()} your own pull request")
    refuse_unless(event == "APPROVE" or body.get("body"), "Body can't be blank")
    refuse_unless(len(body.get("body", "")) <= 65_536, "Body is too long (maximum is 65536 characters)")
    commits = git(model.path, "rev-list", f"{pull['base']}..{pull['branch']}").splitlines()
    refuse_unless(body.get("commit_id", commits[0]) in commits, "Commit_id is not part of the pull request")
    patches = _patches(model, pull)
    for comment in body.get("comments", ()):
        _refuse_comment(comment, patches)
    state = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}[event]
    review = _review(model, number, state, body)
    model.reviews.setdefault(number, []).append(review)
    for comment in body.get("comments", ()):
        thread = {"id": f"T{next(model.ids)}", "review": review["id"], "comment": comment, "said_by": []}
        model.threads.setdefault(number, []).append({**thread, "isResolved": False})
    return 200, review


def _review(model: GitHubModel, number: int, state: str, body: Any) -> dict[str, Any]:
    identity = next(model.ids)
    return {
        "id": identity,
        "html_url": f"{PAGE}/{REPOSITORY}/pull/{number}#pullrequestreview-{identity}",
        "state": state,
        "body": body.get("body") or "",
        "user": {"login": model.login},
        "commit_id": body.get("commit_id"),
        "minimised": False,
    }


def _refuse_comment(comment: dict[str, Any], patches: dict[str, str]) -> None:
    refuse_unless(comment["path"] in patches, "Pull request review thread path is invalid")
    side = 0 if comment.get("side", "RIGHT") == "LEFT" else 1
    hunks = re.findall(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", patches[comment["path"]], re.MULTILINE)
    ranges = [(int(one[2 * side]), int(one[2 * side + 1] or 1)) for one in hunks]
    first = comment.get("start_line", comment["line"])
    refuse_unless(
        first == comment["line"] or first < comment["line"], "start_line must precede the end line."
    )
    fits = any(start <= first and comment["line"] < start + count for start, count in ranges)
    refuse_unless(fits, "Pull request review thread line must be part of the diff")


@route("PUT", "/pulls/{number}/reviews/{review}/dismissals")
def _dismiss(model: GitHubModel, match: "re.Match[str]", body: Any) -> Answer:
    found = next(one for one in model.reviews[int(match["number"])] if one["id"] == int(match["review"]))
    can = found["state"] in ("APPROVED", "CHANGES_REQUESTED")
    refuse_unless(can and body["message"], "Can not dismiss a commented pull request review")
    found["state"] = "DISMISSED"
    return 200, found


def _review_threads(model: GitHubModel, variables: Any) -> Any:
    number = variables["number"]
    reviews = [
        {
            "id": f"R{one['id']}",
            "databaseId": one["id"],
            "state": one["state"],
            "isMinimized": one["minimised"],
        }
        for one in model.reviews.get(number, ())
    ]
    threads = [
        {
            "id": one["id"],
            "isResolved": one["isResolved"],
            "comments": {
                "totalCount": 1 + len(one["said_by"]),
                "nodes": [
                    {
                        "author": {"login": model.login},
                        "pullRequestReview": {"databaseId": one["review"]},
                    },
                    *({"author": {"login": who}, "pullRequestReview": None} for who in one["said_by"]),
                ],
            },
        }
        for one in model.threads.get(number, ())
    ]
    pull = {"reviews": {"nodes": reviews}, "reviewThreads": {"nodes": threads}}
    return {"data": {"repository": {"pullRequest": pull}}}


def _resolve(model: GitHubModel, variables: Any) -> Any:
    for thread in (one for several in model.threads.values() for one in several):
        if thread["id"] == variables["id"]:
            thread["isResolved"] = True
    return {"data": {"resolveReviewThread": {"clientMutationId": None}}}


def _hide(model: GitHubModel, variables: Any) -> Any:
    for review in (one for several in model.reviews.values() for one in several):
        if f"R{review['id']}" == variables["id"]:
            review["minimised"] = True
    return {"data": {"minimizeComment": {"clientMutationId": None}}}


GRAPHQL: dict[str, Callable[[GitHubModel, Any], Any]] = {
    "reviewThreads": _review_threads,
    "resolveReviewThread": _resolve,
    "minimizeComment": _hide,
}
