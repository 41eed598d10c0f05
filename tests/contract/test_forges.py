"""What every forge must do, ours and third parties': its kinds are found as a run finds them.

A kind that `github` is not in gets a bare repository of this machine as its origin.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from runner.apps.worker.repository import place_of
from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason, Remote
from runner.publish.forges import FORGES, Forge, ForgeKind, NewPullRequest, choose_kind
from runner.run import bootstrap
from runner.run.place import Place, local_place
from runner.store import Store
from tests.parts.cli import Project
from tests.parts.github import GitHub, repository

T = TypeVar("T")
PERMISSIONS = {"unknown", "none", "read", "triage", "write", "maintain", "admin"}


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.emulator, pytest.mark.git_http] if name == "github" else []


@dataclass
class Bench:
    """One repository on a forge of one kind, with a branch for pull requests."""

    kind: ForgeKind
    place: Place
    project: Project
    store: Store
    comments: Callable[[Forge, int], list[str]]

    def open(self) -> Forge:
        return bootstrap.make_forge(self.place, self.store)

    def new(self, branch: str = "work") -> NewPullRequest:
        self.project.git("push", "-q", "-f", "origin", f"HEAD:refs/heads/{branch}")
        return NewPullRequest(branch=branch, base="main", title="A title", body="A body", draft=True)


@pytest.fixture(params=[pytest.param(name, marks=_marks(name)) for name in FORGES.names()])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    kind = FORGES.get(request.param)
    project: Project = request.getfixturevalue("github_project" if kind.name == "github" else "project")
    for name, value in project.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(project.home))
    if variable := kind.token_variable(load_config(tmp_path, environ=os.environ)):
        monkeypatch.setenv(variable, os.environ.get(variable, "a-token"))
    monkeypatch.setenv("SKILLRUNNER_FORGE", kind.name)
    monkeypatch.setenv("SKILLRUNNER_STATE_DIR", str(project.state))
    place = local_place(project.root, None, {})
    store = Store(place.config.state)
    comments = _commands_comments
    if kind.name == "github":
        github: GitHub = request.getfixturevalue("github")
        where = repository(project)
        comments = lambda _, number: [  # noqa: E731
            one["body"] for one in github.api("GET", f"/repos/{where}/issues/{number}/comments")
        ]
    yield Bench(kind, place, project, store, comments)
    store.close()


def outcome(call: Callable[[], T]) -> T | RunnerError:
    """What a call returns, or the error that it raises."""
    try:
        return call()
    except RunnerError as error:
        return error


def _commands_comments(forge: Forge, number: int) -> list[str]:
    """Comments by `skillrunner pr`, or from the files beside the repository."""
    try:
        return list(forge.commands().show_pull_request(number)[1])
    except RunnerError:
        files = Path(forge.remote().url).parent.glob(f"*/{number}.comments")
        return [part for file in files for part in file.read_text().split("<!-- mark -->") if part.strip()]


def test_it_names_the_repository_and_reads_it(bench: Bench) -> None:
    forge = bench.open()
    assert forge.name == bench.kind.name
    assert forge.repository.strip("/") == forge.repository != ""
    assert forge.default_branch() == "main"
    base, mirror = bootstrap.find_base(bench.place, forge, None)
    assert (base.repository.name, base.ref) == (forge.repository, "main")
    assert mirror.resolve("main") == base.sha == bench.project.git("rev-parse", "HEAD")
    assert not {os.environ.get(bench.kind.token_variable(bench.place.config), "-")} & {forge.remote().url}


def test_it_serves_what_is_on_it_and_nothing_else(bench: Bench) -> None:
    config = bench.place.config.model_copy(update={"forge": "auto"})
    bench.open().create(bench.new())
    assert bench.kind.serves(bench.place.origin, config)
    assert choose_kind(bench.place.origin, config) is bench.kind
    for other in ("https://nobody.example/x/y", "ssh://git@nobody.example/x/y", "/no/such/folder"):
        assert not bench.kind.serves(other, config)
        assert bench.kind.fallback or choose_kind(other, config) is not bench.kind


def test_a_worker_finds_it_by_its_name(bench: Bench) -> None:
    forge = bench.open()
    forge.create(bench.new())
    name = bench.place.origin if Path(bench.place.origin).exists() else forge.repository
    place = place_of(bench.place.config, name, bench.place.token, RateLimiter(), lambda _: "")
    assert place.config.forge == bench.kind.name
    assert bootstrap.make_forge(place, bench.store).repository == forge.repository
    assert bench.kind.locate("no name at all", bench.place.config) is None


def test_a_repository_that_is_not_on_it_is_refused_or_taken_as_it_is(bench: Bench) -> None:
    other = replace(bench.place, origin="https://nobody.example/x/y")
    if bench.kind.fallback:
        assert bootstrap.make_forge(other, bench.store).repository == bench.project.root.name
        return
    with pytest.raises(RunnerError) as caught:
        bootstrap.make_forge(other, bench.store)
    assert (caught.value.reason, bool(caught.value.hint)) == (Reason.FORGE_NOT_FOUND, True)


def test_without_its_token_nothing_begins(bench: Bench) -> None:
    bench.open().check_credential()
    variable = bench.kind.token_variable(bench.place.config)
    forge = bootstrap.make_forge(replace(bench.place, token=str), bench.store)
    if not variable:
        forge.check_credential()
        return
    with pytest.raises(RunnerError) as caught:
        forge.check_credential()
    assert caught.value.reason is Reason.FORGE_DENIED
    assert variable in caught.value.message
    assert variable in caught.value.hint


def test_a_branch_has_one_open_pull_request(bench: Bench) -> None:
    forge, new = bench.open(), bench.new()
    pull, created = forge.create(new)
    again, twice = bench.open().create(new)
    assert (created, twice, again.number) == (True, False, pull.number)
    assert (pull.state, pull.branch, pull.base, pull.title, pull.body) == (
        "open", "work", "main", "A title", "A body",
    )  # fmt: skip
    assert pull.url
    other, created = forge.create(bench.new("other"))
    assert created
    assert other.number != pull.number
    assert [one.number for one in forge.pull_requests("work")] == [pull.number]
    assert list(forge.pull_requests("nothing")) == []


def test_texts_and_labels_are_changed_and_nothing_comes_twice(bench: Bench) -> None:
    forge = bench.open()
    pull, _ = forge.create(bench.new())
    for _ in range(2):
        forge.update(pull.number, title="Another", body="And another")
        forge.add_labels(pull.number, ["a", "b"])
    forge.add_labels(pull.number, ["b", "c"])
    forge.add_labels(pull.number, [])
    (found,) = forge.pull_requests("work")
    assert (found.title, found.body) == ("Another", "And another")
    assert sorted(found.labels) == ["a", "b", "c"]


def test_it_tells_what_is_open_below_a_prefix_or_that_it_cannot(bench: Bench) -> None:
    forge, hour = bench.open(), timedelta(hours=1)
    for name in ("bot/a", "bot/b", "else/c"):
        forge.create(bench.new(name))
    found = forge.pull_requests_below("bot/", datetime.now(UTC) - hour)
    if found is None:
        return
    assert sorted(one.branch for one in found) == ["bot/a", "bot/b"]
    assert all(one.created_at and abs(datetime.now(UTC) - one.created_at) < hour for one in found)
    gone = next(one for one in found if one.branch == "bot/a")
    forge.close(gone.number, gone.body)
    later = forge.pull_requests_below("bot/", datetime.now(UTC) + hour)
    assert [one.branch for one in later or ()] == ["bot/b"]


def test_nothing_of_it_waits_in_a_merge_queue_and_labels_may_be_made(bench: Bench) -> None:
    forge = bench.open()
    pull, _ = forge.create(bench.new())
    assert forge.is_queued(pull.number) is False
    for _ in range(2):
        forge.make_label("made-by-us")
    forge.add_labels(pull.number, ["made-by-us"])
    assert forge.pull_requests("work")[0].labels == ("made-by-us",)


def test_a_comment_with_a_mark_is_made_once(bench: Bench) -> None:
    forge = bench.open()
    pull, _ = forge.create(bench.new())
    for _ in range(2):
        forge.comment_once(pull.number, "Hands off", "<!-- mark -->")
    (comment,) = bench.comments(forge, pull.number)
    assert "Hands off" in comment


def test_who_cannot_review_is_a_warning(bench: Bench) -> None:
    forge = bench.open()
    pull, _ = forge.create(bench.new())
    warnings = forge.request_reviewers(pull.number, ["nobody-at-all"])
    assert all("nobody-at-all" in one for one in warnings)
    assert forge.request_reviewers(pull.number, []) == []


def test_what_a_login_may_do_is_one_of_the_known_words(bench: Bench) -> None:
    assert bench.open().permission("nobody-at-all") in PERMISSIONS


def test_it_need_not_wait(bench: Bench) -> None:
    forge = bench.open()
    hasty = forge.without_waiting()
    assert (hasty.name, hasty.repository) == (forge.name, forge.repository)
    assert hasty.default_branch() == forge.default_branch()


def test_another_repository_is_found_or_the_place_to_name_it_is_told(bench: Bench) -> None:
    found = outcome(lambda: bench.open().remote_of("acme/other", bench.place.token))
    if isinstance(found, Remote):
        assert found.url.removesuffix(".git").endswith("acme/other")
    else:
        assert found.reason is Reason.FORGE_NOT_FOUND
        assert "repositories: {acme/other: " in found.hint


def test_people_work_with_pull_requests_here_or_are_told_where(bench: Bench) -> None:
    forge = bench.open()
    pull, _ = forge.create(bench.new())
    commands = outcome(forge.commands)
    if isinstance(commands, RunnerError):
        assert (commands.reason, bool(commands.hint)) == (Reason.UNSUPPORTED, True)
        return
    assert [one.number for one in commands.list_pull_requests("open")] == [pull.number]
    assert commands.close_pull_request(pull.number).state == "closed"
    assert [one.state for one in forge.pull_requests("work")] == ["closed"]
    new, created = forge.create(bench.new())
    assert created
    assert [one.number for one in forge.pull_requests("work")] == [new.number, pull.number]


def test_doctor_has_something_to_say(bench: Bench) -> None:
    lines = bench.open().doctor()
    assert lines
    assert all(line.subject and line.message for line in lines)
