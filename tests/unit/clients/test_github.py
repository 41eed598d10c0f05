"""The door to GitHub waits as it is told to, gives up in time, and never shows its token."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from requests import ConnectionError as Broken
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from runner.clients.github.api import GitHubApi
from runner.clients.github.rate_limit import RateLimiter
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.publish.forges.github import GitHubForge as Forge
from tests.parts.pace import Clock

TOKEN = "ghp_aVerySecretToken0123456789"


def answer(status: int, body: Any = None, **headers: str) -> Response:
    made = Response()
    made.status_code = status
    made.headers = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    made._content = json.dumps({} if body is None else body).encode()
    return made


class Script:
    """Answers in order; an exception is raised in its turn."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.data: list[Any] = []

    def request(self, method: str, url: str, **given: Any) -> Response:
        self.asked.append((method, url))
        self.headers.append(given["headers"] or {})
        self.data.append(given["json"])
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def door(*answers: Response | Exception) -> tuple[GitHubApi, Script, list[float]]:
    slept: list[float] = []
    clock = Clock()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.sleep(seconds)

    pacer = RateLimiter(clock, clock.sleep)
    made = GitHubApi("https://api.example.com/", "o/r", lambda: TOKEN, sleep, lambda: 1000.0, pacer)
    script = Script(*answers)
    made.__dict__["session"] = script
    return made, script, slept


@pytest.mark.parametrize(
    ("limited", "pause"),
    [
        (answer(429, Retry_After="7"), 7.0),
        (answer(403, Retry_After="3"), 3.0),
        (answer(403, X_RateLimit_Remaining="0", X_RateLimit_Reset="1030"), 31.0),
        (answer(429, Retry_After="0"), 1.0),
        (answer(429), 60.0),
        (answer(403, {"message": "You have exceeded a secondary rate limit"}), 60.0),
    ],
)
def test_limits_are_waited_out(limited: Response, pause: float) -> None:
    made, script, slept = door(limited, answer(200, {"x": 1}))
    assert made.get("/pulls") == {"x": 1}
    assert slept == [pause]
    assert script.asked[0] == ("GET", "https://api.example.com/repos/o/r/pulls")


def test_a_limit_that_does_not_end_is_given_up() -> None:
    made, _, slept = door(*(answer(429) for _ in range(10)))
    with pytest.raises(RunnerError) as caught:
        made.call("POST", "/pulls", {})
    assert (caught.value.reason, caught.value.retryable) == (Reason.FORGE_RATE_LIMITED, True)
    assert slept == [60.0, 120.0, 240.0, 480.0]


def test_who_does_not_wait_gives_up_and_keeps_the_others_from_asking() -> None:
    made, script, slept = door(answer(403, Retry_After="100"), answer(200, {}))
    for one in (made.without_waiting(), made.without_waiting()):
        with pytest.raises(RunnerError) as caught:
            one.get("")
        assert (caught.value.reason, caught.value.retryable) == (Reason.FORGE_RATE_LIMITED, True)
        assert "100 s" in caught.value.message
    assert (len(script.asked), slept) == (1, [])
    made.get("")
    assert made.pacer.clock() == 1100


def test_writes_are_paced_and_reads_are_not() -> None:
    made, _, slept = door(*(answer(200, {}) for _ in range(6)))
    for method in ("GET", "POST", "GET", "PATCH", "DELETE", "GET"):
        made.call(method, "/x")
    assert (made.pacer.clock(), slept) == (1002, [])


@pytest.mark.parametrize("trouble", [answer(502), answer(500), Broken("reset")])
def test_what_can_be_repeated_is_repeated(trouble: Response | Exception) -> None:
    made, script, slept = door(trouble, answer(200, []))
    assert made.get("/pulls") == []
    assert len(script.asked) == 2
    assert 1 <= slept[0] <= 2


@pytest.mark.parametrize("trouble", [answer(502), Broken("reset")])
def test_a_post_is_sent_once(trouble: Response | Exception) -> None:
    made, script, _ = door(trouble)
    with pytest.raises(RunnerError) as caught:
        made.call("POST", "/pulls", {})
    assert (caught.value.reason, caught.value.retryable) == (Reason.FORGE_UNAVAILABLE, True)
    assert len(script.asked) == 1


def test_trouble_that_stays_is_an_error() -> None:
    made, script, _ = door(*(answer(503) for _ in range(4)))
    with pytest.raises(RunnerError) as caught:
        made.get("/pulls")
    assert caught.value.reason is Reason.FORGE_UNAVAILABLE
    assert len(script.asked) == 4


@pytest.mark.parametrize(
    ("refusal", "reason", "words"),
    [
        (answer(401, {"message": "Bad credentials"}), Reason.FORGE_DENIED, "new one"),
        (
            answer(403, {"message": "no"}, X_Accepted_GitHub_Permissions="pull_requests=write"),
            Reason.FORGE_DENIED,
            "pull_requests=write",
        ),
        (answer(404, {"message": "Not Found"}), Reason.FORGE_NOT_FOUND, "doctor"),
        (
            answer(422, {"message": "bad", "errors": [{"field": "head", "code": "x"}]}),
            Reason.FORGE_REJECTED,
            "doctor",
        ),
    ],
)
def test_refusals_say_what_to_do(refusal: Response, reason: Reason, words: str) -> None:
    made, _, _ = door(refusal)
    with pytest.raises(RunnerError) as caught:
        made.call("PATCH", "/pulls/1", {})
    assert caught.value.reason is reason
    assert words in caught.value.hint
    assert TOKEN not in caught.value.message + caught.value.hint + repr(made)


def test_pages_are_followed() -> None:
    first = answer(200, [1, 2], Link='<https://api.example.com/next>; rel="next"')
    made, script, _ = door(first, answer(200, [3]))
    assert list(made.pages("/pulls")) == [1, 2, 3]
    assert script.asked[1][1] == "https://api.example.com/next"


PULL = {
    "number": 3,
    "html_url": "https://x/3",
    "state": "open",
    "head": {"ref": "b", "repo": {"id": 1}},
    "base": {"ref": "main", "repo": {"id": 1}},
    "title": "t",
    "body": None,
}


def forge(*answers: Response | Exception) -> tuple[Forge, Script, list[float]]:
    made, script, slept = door(*answers)
    return Forge(made, "https://git.example.com", "GITHUB_TOKEN"), script, slept


def new() -> Any:
    from runner.publish.forges import NewPullRequest

    return NewPullRequest(branch="b", base="main", title="t", body="x")


def test_one_that_is_there_already_is_adopted() -> None:
    exists = answer(
        422,
        {"message": "Validation Failed", "errors": [{"message": "A pull request already exists for o:b."}]},
    )
    made, _, _ = forge(exists, answer(200, [PULL]))
    pull, created = made.create(new())
    assert (pull.number, created) == (3, False)


def test_a_pull_request_of_the_same_branch_to_another_base_is_not_adopted() -> None:
    other = {**PULL, "number": 4, "base": {"ref": "next", "repo": {"id": 1}}}
    made, _, _ = forge(Broken("lost"), answer(200, [other, PULL]))
    pull, created = made.create(new())
    assert (pull.number, created) == (3, False)


def test_after_a_lost_answer_one_looks_before_asking_again() -> None:
    made, script, _ = forge(Broken("lost"), answer(200, []), answer(201, PULL))
    pull, created = made.create(new())
    assert (pull.number, created) == (3, True)
    assert [method for method, _ in script.asked] == ["POST", "GET", "POST"]


def test_any_other_refusal_is_an_error() -> None:
    made, _, _ = forge(answer(422, {"message": "Validation Failed"}))
    with pytest.raises(RunnerError):
        made.create(new())


def test_labels_are_tried_again_right_after_creation() -> None:
    made, _, slept = forge(answer(422), answer(200))
    made.add_labels(3, ["a"])
    made.add_labels(3, [])
    assert slept == [1.0]


def test_a_bad_reviewer_keeps_no_other_away() -> None:
    made, script, _ = forge(*(answer(422) for _ in range(3)), answer(201))
    (warning,) = made.request_reviewers(3, ["nobody", "org/team"])
    assert "nobody was not asked" in warning
    assert script.asked[-1][1].endswith("/pulls/3/requested_reviewers")


@pytest.mark.parametrize(
    ("repository", "subjects"),
    [
        ({"default_branch": "main", "permissions": {"push": True}}, [("repository", True), ("token", True)]),
        (
            {"default_branch": "main", "permissions": {"push": False}},
            [("repository", True), ("token", False)],
        ),
        ({"default_branch": "main", "archived": True}, [("repository", False), ("token", True)]),
    ],
)
def test_doctor(repository: Mapping[str, Any], subjects: list[tuple[str, bool]]) -> None:
    made, _, _ = forge(answer(200, repository))
    found = made.doctor()
    assert [(finding.subject, finding.ok) for finding in found] == [*subjects, ("token", True)]
    assert found[-1].message.startswith("it is a ")
    assert "cannot" in found[-1].message
    refused, _, _ = forge(answer(401))
    assert [finding.ok for finding in refused.doctor()] == [False]


def test_git_gets_the_token_for_this_origin_alone() -> None:
    made, _, _ = forge()
    remote = made.remote()
    assert remote.url == "https://git.example.com/o/r.git"
    assert remote.variables["GIT_CONFIG_KEY_0"] == "http.https://git.example.com/.extraHeader"
    assert TOKEN not in remote.url + remote.variables["GIT_CONFIG_VALUE_0"]
    assert Forge(GitHubApi("https://api", "o/r", str), "https://g", "T").remote().variables == {}
    assert not Forge(GitHubApi("https://api", "o/r", str), "https://g", "T").doctor()[0].ok


class Wire(BaseAdapter):
    """Keeps what would go out."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str | None] = []

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        self.shown.append(request.headers.get("Authorization"))
        made = answer(200)
        made.request, made.url = request, str(request.url)
        return made

    def close(self) -> None:
        """Nothing is open."""


def test_each_request_shows_the_token_of_its_moment_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.example.com login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    tokens = ["first", "second", ""]
    made, wire = GitHubApi("https://api.example.com", "o/r", lambda: tokens.pop(0)), Wire()
    made.session.mount("https://", wire)
    made.get("")
    made.without_waiting().get("")
    made.get("")
    assert wire.shown == ["Bearer first", "Bearer second", None]


def test_the_default_branch_costs_nothing_while_nothing_changed() -> None:
    made, script, _ = forge(
        answer(200, {"default_branch": "main"}, ETag='"1"'),
        answer(304),
        answer(200, {"default_branch": "trunk"}, ETag='"2"'),
        answer(304),
    )
    assert [one.default_branch() for one in (made, made.without_waiting(), made, made)] == [
        "main",
        "main",
        "trunk",
        "trunk",
    ]
    assert [one.get("If-None-Match") for one in script.headers] == [None, '"1"', '"1"', '"2"']


@pytest.mark.parametrize("trouble", [answer(502), answer(503), Broken("reset")])
def test_a_post_that_does_nothing_more_when_sent_twice_is_repeated(trouble: Response | Exception) -> None:
    made, script, _ = door(trouble, answer(200, []))
    Forge(made, "https://g", "T").add_labels(7, ["docs"])
    assert script.asked == [("POST", "https://api.example.com/repos/o/r/issues/7/labels")] * 2
    made, script, _ = door(trouble, answer(201, {}))
    assert Forge(made, "https://g", "T").request_reviewers(7, ["ada"]) == []
    assert len(script.asked) == 2


def test_a_comment_whose_answer_was_lost_is_looked_for_before_it_is_written_again() -> None:
    there = [{"body": "text\n\n<!-- mark -->", "user": {"login": "Bot"}}]
    made, script, _ = door(answer(200, []), answer(502), answer(200, there), answer(200, {"login": "bot"}))
    Forge(made, "https://g", "T").comment_once(7, "text", "<!-- mark -->")
    assert [method for method, _ in script.asked] == ["GET", "POST", "GET", "GET"]
    made, script, _ = door(answer(200, []), answer(502), answer(200, []), answer(201, {}))
    Forge(made, "https://g", "T").comment_once(7, "text", "<!-- mark -->")
    assert [method for method, _ in script.asked] == ["GET", "POST", "GET", "POST"]


VIEWER = {"data": {"viewer": {"login": "app[bot]"}}}


@pytest.mark.parametrize(
    ("who", "author", "association", "ours"),
    [
        ([answer(200, {"login": "ada"})], "ada", "OWNER", True),
        ([answer(200, {"login": "ada"})], "eve", "NONE", False),
        ([answer(200, {"login": "ada"})], "bob", "OWNER", False),
        ([answer(403), answer(200, VIEWER)], "app[bot]", "NONE", True),
        ([answer(403), answer(200, VIEWER)], "eve", "NONE", False),
        ([answer(403), answer(403)], "eve", "NONE", False),
        ([answer(403), answer(403)], "eve", "CONTRIBUTOR", False),
        ([answer(403), answer(200, {"errors": [{"message": "no"}]})], "ada", "MEMBER", True),
        ([answer(200, {"login": "ada"})], None, "NONE", False),
    ],
)
def test_a_comment_with_our_mark_suppresses_ours_only_if_we_wrote_it(
    who: list[Response], author: str | None, association: str, ours: bool
) -> None:
    user = author and {"login": author}
    there = [{"body": "> <!-- mark -->", "user": user, "author_association": association}, {"body": None}]
    made, script, _ = door(answer(200, there), *who, *([] if ours else [answer(201, {})]))
    Forge(made, "https://g", "T").comment_once(7, "text", "<!-- mark -->")
    assert ("POST", "https://api.example.com/repos/o/r/issues/7/comments") in script.asked or ours
    assert script.answers == []


def test_a_comment_that_does_not_count_suppresses_nothing() -> None:
    there = [{"body": "x\n\n<!-- mark -->", "user": {"login": "bot"}, "author_association": "OWNER"}]
    made, script, _ = door(answer(200, there), answer(201, {}))
    Forge(made, "https://g", "T").comment_once(
        7, "text", "<!-- mark -->", lambda body: "<!-- mark" not in body
    )
    assert [method for method, _ in script.asked] == ["GET", "POST"]


def test_a_forks_pull_request_whose_branch_has_the_same_name_is_none_of_ours() -> None:
    of_a_fork = {**PULL, "number": 4, "head": {"ref": "b", "repo": {"id": 2}}}
    of_a_gone_fork = {**PULL, "number": 5, "head": {"ref": "b", "repo": None}}
    made, _, _ = forge(answer(200, [of_a_gone_fork, of_a_fork, PULL]))
    assert [pull.number for pull in made.pull_requests("b")] == [3]


@pytest.mark.parametrize(
    ("api_url", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://ghe.example.com/api/v3", "https://ghe.example.com/api/graphql"),
        ("https://ghe.example.com/api/v3/", "https://ghe.example.com/api/graphql"),
    ],
)
@pytest.mark.parametrize(
    ("draft", "change"), [(True, "convertPullRequestToDraft"), (False, "markPullRequestReadyForReview")]
)
def test_the_draft_state_is_changed_where_rest_cannot(
    api_url: str, graphql: str, draft: bool, change: str
) -> None:
    made, script, _ = door(answer(200, {"node_id": "PR_1"}), answer(502), answer(200, {"data": {}}))
    made.api_url = api_url
    Forge(made, "https://g", "T").set_draft(7, draft)
    assert script.asked[1:] == [("POST", graphql)] * 2
    assert change in script.data[-1]["query"]
    assert script.data[-1]["variables"] == {"id": "PR_1"}


def test_what_graphql_refuses_is_an_error() -> None:
    said = {"errors": [{"message": "Draft pull requests are not supported in this repository."}]}
    made, _, _ = door(answer(200, {"node_id": "PR_1"}), answer(200, said))
    with pytest.raises(RunnerError, match="Draft pull requests are not supported"):
        Forge(made, "https://g", "T").set_draft(7, True)


def test_base_state_and_labels_of_a_pull_request_are_changed() -> None:
    made, script, _ = door(answer(200), answer(200), answer(200), answer(404))
    forge = Forge(made, "https://g", "T")
    forge.set_base(7, "next")
    forge.close(7, "text")
    forge.remove_label(7, "skillrunner:take-over")
    forge.remove_label(7, "a/b c")
    pull, issue = (f"https://api.example.com/repos/o/r/{kind}/7" for kind in ("pulls", "issues"))
    assert script.asked == [
        ("PATCH", pull),
        ("PATCH", pull),
        ("DELETE", f"{issue}/labels/skillrunner%3Atake-over"),
        ("DELETE", f"{issue}/labels/a%2Fb%20c"),
    ]
    assert script.data[:2] == [{"base": "next"}, {"state": "closed", "body": "text"}]


@pytest.mark.parametrize(("events", "found"), [(["closed", "reopened", "closed"], True), (["closed"], False)])
def test_who_opened_a_pull_request_again_is_in_its_events(events: list[str], found: bool) -> None:
    made, script, _ = door(answer(200, [{"event": one} for one in events]))
    assert Forge(made, "https://g", "T").was_reopened(7) is found
    assert script.asked[0][1].partition("?")[0] == "https://api.example.com/repos/o/r/issues/7/events"


def test_comments_are_read_with_their_authors() -> None:
    there = [{"body": "one", "user": {"login": "ada"}}, {"body": None, "user": None}]
    made, _, _ = door(answer(200, there))
    found = [(one.author, one.body) for one in Forge(made, "https://g", "T").comments(7)]
    assert found == [("ada", "one"), ("", "")]
