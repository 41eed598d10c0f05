"""What every output must do on GitHub: killed after a request or left without an answer, it is one effect."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from runner.clients.github.api import GitHubApi
from runner.clients.github.rate_limit import RateLimiter
from runner.core.errors import RunnerError
from runner.core.model import DeclaredOutput, Reason, Remote
from runner.publish.forges import Forge
from runner.publish.forges import github as github_forge
from runner.publish.forges.github import GitHubForge
from runner.publish.outputs import OUTPUTS, _item
from runner.publish.policy.declared import faults
from runner.store import Store
from runner.workspace.mirror import Mirror
from tests.contract.test_outputs import ON_PULL_REQUESTS, PUBLISHING, Bench, KilledError
from tests.parts.cli import Project
from tests.parts.github import TOKEN, GitHub, repository
from tests.parts.github_strict import BODY, StrictModel
from tests.parts.listener import Listener
from tests.parts.repos import git

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]
ITEMS = [name for name in PUBLISHING if OUTPUTS.get(name).each]
THREADS = ["comment", "issue"]  # whose text is published in a thread


@dataclass
class KillableApi(GitHubApi):
    """Ends the process after so many requests."""

    left: list[int] = field(default_factory=list)

    def call(self, *arguments: Any, **options: Any) -> Any:
        answer = super().call(*arguments, **options)
        if self.left:
            self.left[0] -= 1
            if self.left[0] == 0:
                self.left.clear()
                raise KilledError
        return answer


@dataclass(kw_only=True)
class GitHubBench(Bench):
    github: GitHub
    subjects: dict[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)  # requests until it is killed

    @property
    def where(self) -> str:
        return f"/repos/{repository(self.project)}"

    def _forge(self) -> Forge:
        api = KillableApi(
            api_url=self.github.url,
            repository=repository(self.project),
            token=lambda: TOKEN,
            sleep=lambda _: None,
            pacer=RateLimiter(clock=count(0.0, 60.0).__next__, sleep=lambda _: None),
            left=self.left,
        )
        return GitHubForge(api, self.github.url, "GITHUB_TOKEN")

    def subject(self, cause: str) -> int:
        if cause not in self.subjects:
            made = self._make_subject(cause)
            self.subjects[cause] = made["number"]
        return self.subjects[cause]

    def _make_subject(self, cause: str) -> Any:
        if self.output.name not in ON_PULL_REQUESTS:
            return self.github.api("POST", f"{self.where}/issues", {"title": cause, "body": "A subject."})
        branch = cause.replace(" ", "-")
        git(self.project.origin, "branch", branch, "main")
        data = {"title": cause, "body": "A subject.", "head": branch, "base": "main"}
        return self.github.api("POST", f"{self.where}/pulls", data)

    def _event(self, cause: str) -> dict[str, Any]:
        number = self.subject(cause)
        if self.output.name in ON_PULL_REQUESTS:
            sha = git(self.project.origin, "rev-parse", "main")
            return {"pull_request": {"number": number, "head": {"sha": sha}}}
        return {"issue": {"number": number}} if self.output.each else {}

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), **self.options}

    def effects(self) -> int:
        """What there is besides the subjects, and everything that hangs on it."""
        issues = self.github.api("GET", f"{self.where}/issues?state=all&per_page=100")
        pulls = self.github.api("GET", f"{self.where}/pulls?state=all&per_page=100")
        hanging = [*(one["labels"] for one in issues), *(one["assignees"] for one in issues)]
        numbers = {one["number"] for one in (*issues, *pulls)}
        said = sum(
            len(self.github.api("GET", f"{self.where}/issues/{number}/comments?per_page=100"))
            for number in numbers
        )
        reviewed = [self.github.api("GET", f"{self.where}/pulls/{one['number']}/reviews") for one in pulls]
        hanging += reviewed
        kept = len(self.files) + len({*self.listener.ids})
        return len(numbers - {*self.subjects.values()}) + said + sum(map(len, hanging)) + kept

    def requests(self, act: Callable[[], object]) -> int:
        before = len(self.github.calls)
        act()
        return len(self.github.calls) - before


@pytest.fixture
def make_bench(
    github: GitHub,
    github_project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listener: Listener,
) -> Iterator[Callable[..., GitHubBench]]:
    monkeypatch.setenv("HOME", str(github_project.home))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_item, "_SETTLING", (0.0, 0.0))
    monkeypatch.setattr(github_forge, "_SETTLING", (0.0, 0.0))
    github.strict = StrictModel()
    mirror = Mirror(github_project.state, str(github_project.origin))
    mirror.fetch(Remote(url=str(github_project.origin)))
    store = Store(github_project.state)
    yield lambda kind, **options: GitHubBench(
        OUTPUTS.get(kind),
        github_project,
        store,
        mirror,
        tmp_path,
        listener,
        github=github,
        options=options,
    )
    store.close()


@pytest.mark.parametrize("kind", PUBLISHING)
def test_published_twice_it_is_one_effect(kind: str, make_bench: Callable[[str], GitHubBench]) -> None:
    bench = make_bench(kind)
    first, effects = bench.publish(), bench.effects()
    second = bench.publish()
    assert bench.effects() == effects
    assert (second.key, second.url, second.number) == (first.key, first.url, first.number)
    assert (first.action, second.action in ("adopted", "unchanged")) == ("created", True)


@pytest.mark.parametrize("kind", PUBLISHING)
def test_killed_after_each_request_and_called_again_it_is_one_effect(
    kind: str, make_bench: Callable[[str], GitHubBench]
) -> None:
    bench = make_bench(kind)
    effects = bench.effects()
    bench.subject("measured")
    requests = bench.requests(lambda: bench.publish("measured"))
    more = bench.effects() - effects
    for point in range(1, requests + 1):
        cause, before = f"killed after {point}", bench.effects()
        bench.subject(cause)
        bench.left[:] = [point]
        try:
            bench.publish(cause)
        except KilledError:
            pass
        else:
            assert kind == "pull_request", "git asks as well"
        bench.left.clear()
        receipt = bench.publish(cause)
        assert bench.publish(cause).url == receipt.url
        assert bench.effects() - before == more, f"killed after request {point}"


@pytest.mark.parametrize("kind", PUBLISHING)
@pytest.mark.parametrize("fault", ["lost", "late 502"])
def test_an_answer_that_does_not_come_after_success_is_one_effect(
    kind: str, fault: str, make_bench: Callable[[str], GitHubBench]
) -> None:
    bench = make_bench(kind)
    effects, writes = bench.effects(), len(bench.github.writes())
    bench.publish("measured")
    more, writes = bench.effects() - effects, len(bench.github.writes()) - writes
    for number in range(1, writes + 1):
        cause, before, left = f"{fault} {number}", bench.effects(), [number]
        bench.subject(cause)
        bench.github.fault = lambda method, path, left=left: _after(method, left, fault)  # type: ignore[misc]
        receipt = bench.publish(cause)
        bench.github.fault = None
        assert bench.publish(cause).url == receipt.url
        assert bench.effects() - before == more, f"the answer to write {number}"


def _after(method: str, left: list[int], fault: str) -> str | None:
    left[0] -= method != "GET"
    return fault if method != "GET" and left[0] == 0 else None


@pytest.mark.parametrize("kind", THREADS)
@pytest.mark.parametrize("text", ["x" * 200_000, "é🦊 @alice " * 16_384])
def test_a_body_of_any_length_fits_what_github_takes(
    kind: str, text: str, make_bench: Callable[[str], GitHubBench]
) -> None:
    bench = make_bench(kind)
    fields = {**bench._declared, "body": text}
    bench.publish(item=DeclaredOutput(kind=kind, fields=fields))
    bodies = [call.body["body"] for call in bench.github.calls if call.method == "POST" and call.body]
    assert all(BODY - 2_000 < len(body) <= BODY for body in bodies), [len(body) for body in bodies]
    again = bench.publish(item=DeclaredOutput(kind=kind, fields=fields))
    assert again.action == "unchanged", "its mark is at the end still"


@pytest.mark.parametrize("kind", ITEMS)
def test_what_cannot_be_used_is_told_with_every_cause(
    kind: str, make_bench: Callable[[str], GitHubBench]
) -> None:
    bench = make_bench(kind)
    spec = bench.offer()[0].spec
    wrong = DeclaredOutput(kind=kind, fields={**bench._declared, "id": "A B", "confidence": "sure", "x": 1})
    found = faults(wrong, spec)
    assert [sum(f"`{name}" in fault for fault in found) for name in ("id", "confidence", "x")] == [1, 1, 1]


def test_what_hangs_on_an_issue_and_does_not_go_is_a_warning(
    make_bench: Callable[..., GitHubBench],
) -> None:
    bench = make_bench("issue", labels=["bug", "new one"], assignees=["alice", "nobody-at-all"])
    told: list[str] = []
    receipt = bench.publish(warn=told.append)
    there = bench.github.api("GET", f"{bench.where}/issues/{receipt.number}")
    assert {one["name"] for one in there["labels"]} == {"bug", "new one"}
    assert [one["login"] for one in there["assignees"]] == ["alice"]
    assert [line for line in told if "nobody-at-all" in line] == told != []


def test_a_label_that_may_not_be_made_is_a_warning(make_bench: Callable[..., GitHubBench]) -> None:
    bench, told = make_bench("issue", labels=["new one"]), list[str]()
    bench.github.fault = lambda method, path: (
        (403, {}) if method == "POST" and path.endswith("/labels") else None
    )
    assert bench.publish(warn=told.append).action == "created"
    assert len(told) == 1
    assert "403" in told[0]


def test_a_comment_on_a_locked_issue_is_refused_and_says_why(
    make_bench: Callable[..., GitHubBench],
) -> None:
    bench = make_bench("comment")
    number = bench.subject("v1")
    bench.github.api("PUT", f"{bench.where}/issues/{number}/lock", {})
    with pytest.raises(RunnerError, match="locked") as caught:
        bench.publish()
    assert caught.value.reason is Reason.FORGE_DENIED


def test_whose_token_it_is_is_asked_once_for_each_publication(make_bench: Callable[..., GitHubBench]) -> None:
    bench = make_bench("issue", labels=["new one"])
    bench.subject("v1")
    before = len(bench.github.calls)
    assert bench.publish().action == "created"
    asked = [one.path for one in bench.github.calls[before:]]
    assert [path.partition("?")[0] for path in asked].count("/user") == 1


def test_a_label_with_a_name_that_none_may_have_is_a_warning(make_bench: Callable[..., GitHubBench]) -> None:
    """GitHub answers 422 for it as for one that is there: which it is, is looked up."""
    bench, told = make_bench("issue", labels=["ours", "n" * 60]), list[str]()
    bench.github.api("POST", f"{bench.where}/labels", {"name": "ours", "color": "ededed"})
    bench.github.fault = lambda method, path: (
        (422, {}) if (method, path) == ("POST", f"{bench.where}/labels") else None
    )
    receipt = bench.publish(warn=told.append)
    there = bench.github.api("GET", f"{bench.where}/issues/{receipt.number}")
    assert [one["name"] for one in there["labels"]] == ["ours"]
    assert len(told) == 1
