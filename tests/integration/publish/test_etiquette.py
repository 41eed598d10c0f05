"""How our pull requests behave among people: one test for each point, and it carries the point's number."""

import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from subprocess import CalledProcessError, check_output
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from requests import Response

from runner.apps.action.main import _deciding_slots
from runner.apps.action.preflight import dangers
from runner.apps.worker.controller import Controller
from runner.apps.worker.credentials import Credentials
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.clients.github.api import GitHubApi, failure
from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import (
    Allowance,
    Check,
    FileChange,
    Phase,
    Reason,
    Repository,
    RunState,
)
from runner.core.model.decision import Actor, Cause, Decision, Event, Facts, History, Verdict
from runner.core.units import Rate
from runner.publish.forges import NewPullRequest, PullRequest
from runner.publish.forges._github_commits import GitHubCommits
from runner.publish.forges.github import GitHubForge
from runner.publish.forges.local import LocalForge
from runner.publish.outputs import OUTPUTS, _marker
from runner.publish.outputs._limits import reached_limit, shut_window
from runner.publish.outputs._options import PullRequestOptions, WindowOptions
from runner.publish.policy import paths
from runner.publish.signing import NO_KEY
from runner.run.limit_lookup import LimitLookup
from runner.run.limits import refuse_beyond_limits
from runner.scheduler.admission import AdmissionLimits, QueueState, StartedRun, WaitingRun, admit
from runner.scheduler.decide import decide_event, decide_slots
from runner.skills import Skill
from runner.store import LocalPullRequests, Store
from runner.store.decisions import find_newest
from runner.workspace.changeset import Edit
from tests.parts.cli import Project, make_project, skill_files
from tests.parts.publishing import BRANCH, Here, human, publish, refused
from tests.parts.repos import commit, git
from tests.parts.skills import folder, the_skill

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
WRITER = Actor(login="ada", bot=False, permission="write")
STRANGER = Facts(actor=WRITER, is_fork=True)
NEWER = {"docs/a.md": b"newer\n"}


TEXT = "---\nname: docs\ndescription: Keep the docs\n---\n\nDo it.\n"


def skill(output: str, on: str = 'on: {schedule: [{cron: "0 * * * *"}]}') -> Skill:
    head = f'version: 1\n{on}\nharness: {{kind: command, command: ["true"]}}\n'
    return the_skill(folder(f"{head}output: {{pull_request: {{title: t, {output}}}}}\n", TEXT))


class FakeApi(GitHubApi):
    """Answers as GitHub does, and keeps what it was asked."""

    def __init__(self, graphql: Any = None, answers: Callable[[str, str, Any], Any] | None = None) -> None:
        super().__init__(api_url="https://api.invalid", repository="o/r", token=lambda: "t")
        self.told, self.answers, self.asked = graphql, answers, list[str]()

    @property
    def forge(self) -> GitHubForge:
        return GitHubForge(self, "https://git.invalid", "GITHUB_TOKEN")

    def graphql(self, query: str, **variables: str) -> Any:
        self.asked.append(query)
        if isinstance(self.told, Reason):
            raise RunnerError(Phase.PUBLISH, self.told, "GitHub said no")
        return self.told


def pull(number: int, **changes: Any) -> PullRequest:
    made = PullRequest(
        number=number,
        url=f"u{number}",
        state="open",
        branch=f"skillrunner/docs/{number}",
        base="main",
        title="t",
        body="",
        created_at=NOW - 2 * HOUR,
    )
    return replace(made, **changes)


def opened(here: Here, number: int) -> PullRequest:
    """An open pull request of the skill, with a key of its own."""
    new = NewPullRequest(branch=f"skillrunner/docs/k{number}", base="main", title="t", body="")
    return here.forge.create(new)[0]


# --- B1 to B6: one pull request, and people go first ------------------------------------------------


def test_b01_one_stable_branch_is_kept_up_to_date_and_closed_when_it_is_needless(here: Here) -> None:
    first = here.publish(here.offer())
    second = here.publish(here.offer(NEWER, run_id="run-2"))
    assert (first.branch, second.branch) == (BRANCH, BRANCH)
    assert (second.action, second.number) == ("updated", first.number)
    closed = OUTPUTS.get("pull_request").withdraw(here.offer(run_id="run-3"), here.forge, here.changeset)
    assert closed is not None
    assert closed.action == "closed"
    assert BRANCH not in git(here.scene.source, "branch", "--format=%(refname:short)").splitlines()


def test_b02_the_key_and_not_the_title_says_which_one_it_is(here: Here) -> None:
    here.publish(here.offer(options={"key": "weekly"}))
    here.publish(here.offer(options={"key": "weekly", "title": "another"}, run_id="run-2"))
    here.publish(here.offer(options={"key": "monthly"}, run_id="run-3"))
    weekly, monthly = here.pulls("skillrunner/docs/weekly"), here.pulls("skillrunner/docs/monthly")
    assert len(weekly) == len(monthly) == 1
    found = _marker.read(weekly[0].body, NO_KEY)
    assert found is not None
    assert (found.skill, found.key) == ("docs", "weekly")


def test_b03_what_was_closed_unmerged_is_not_proposed_again_until_somebody_asks(here: Here) -> None:
    here.publish(here.offer())
    here.forge.close_pull_request(1)
    error = refused(lambda: here.publish(here.offer(NEWER, run_id="run-2")))
    assert error.reason is Reason.CLOSED_BY_HUMAN
    assert "skillrunner pr reopen 1" in error.hint
    assert here.publish(here.offer(NEWER, run_id="run-3", again=True)).number == 2


def test_b04_a_commit_of_a_person_below_one_of_ours_means_hands_off_and_one_note(here: Here) -> None:
    here.publish(here.offer())
    theirs = human(here)
    for run in ("run-2", "run-3"):
        assert refused(lambda run=run: here.publish(here.offer(NEWER, run_id=run))).reason is (  # type: ignore[misc]
            Reason.HUMAN_COMMIT
        )
    assert here.head() == theirs
    (note,) = here.forge.table.comments(1)
    assert "skillrunner:take-over" in note
    here.forge.add_labels(1, ["skillrunner:take-over"])
    assert here.publish(here.offer(NEWER, run_id="run-4")).action == "updated"


def test_b05_a_push_names_the_commit_that_it_replaces(here: Here) -> None:
    first = here.publish(here.offer())
    theirs = human(here)
    with pytest.raises(RunnerError) as caught:
        here.changeset.push(here.forge.remote(), here.scene.mirror.resolve("main"), BRANCH, first.sha)
    assert caught.value.reason is Reason.BRANCH_MOVED
    assert here.head() == theirs


def test_b06_the_same_tree_is_pushed_and_written_once(here: Here) -> None:
    first, (before,) = here.publish(here.offer()), here.pulls()
    commit(here.scene.source, {"src/app.py": b"print('moved')\n"})
    here.scene.mirror.fetch(here.scene.remote)
    again = here.publish(here.offer(run_id="run-2"))
    assert (again.action, here.head(), here.pulls()) == ("unchanged", first.sha, [before])


# --- B7: limits -------------------------------------------------------------------------------------


def lookup(here: Here, one: Skill) -> LimitLookup:
    base = here.scene.mirror.resolve("main")
    home = Repository(name="o/r", url=str(here.scene.source), default_branch="main")
    return LimitLookup(forge=here.forge, repository=home, sha=base, skills={"docs": one})


def slot_decision(here: Here, one: Skill) -> Decision:
    now = datetime.now(UTC)
    since = {"docs": now - HOUR}
    limits = lookup(here, one).of_slots(since, History(), now)
    return decide_slots({"docs": one}, since, History(), now, limits)[-1]


def test_b07_a_limit_on_open_ones_is_asked_before_the_model_is_paid(here: Here) -> None:
    keyed = skill('max_open: 2, key: "{{ now }}"')
    opened(here, 1)
    assert slot_decision(here, keyed).verdict is Verdict.STARTED
    opened(here, 2)
    decision = slot_decision(here, keyed)
    assert (decision.verdict, decision.cause) == (Verdict.HELD, Cause.LIMIT)
    assert decision.message == (
        "2 pull requests of the skill are open, and `max_open` is 2: merge or close some"
    )
    assert slot_decision(here, skill("max_open: 2, key: k1")).verdict is Verdict.STARTED  # it opens none
    assert slot_decision(here, skill("max_open: 2, security: true, key: k9")).verdict is Verdict.STARTED
    here.forge.close_pull_request(1)
    assert slot_decision(here, keyed).verdict is Verdict.STARTED


def test_b07_a_worker_holds_the_slot_and_stores_why(tmp_path: Path) -> None:
    yaml = (
        'on: {schedule: [{cron: "0 * * * *"}]}\nharness: {kind: command, command: [x]}\n'
        'output: {pull_request: {title: t, key: "{{ run.id }}-new", max_open: 1}}\n'
    )
    project = make_project(tmp_path, skill_files("docs", yaml))
    name, now = str(project.origin), datetime.now(UTC) + 2 * HOUR
    text = f"worker: {{poll: 1m, repositories: ['{name}']}}\n".encode()
    config = load_config(tmp_path, read=lambda _: text, flags={"state_dir": str(tmp_path / "state")})
    store, errors, woken = Store(config.state), ErrorLog(), SimpleQueue[None]()
    listed = RepositoryList(config, Credentials(config), errors)
    controller = Controller(config, store, listed, lambda: now, lambda: woken.put(None), errors)
    LocalPullRequests(store.engine, store.database, name).insert(
        NewPullRequest(branch="skillrunner/docs/old", base="main", title="t", body=""), "bot"
    )
    with ThreadPoolExecutor(1) as pool:
        controller.start_polls(pool)
        while not controller.collect_polls(pool):
            woken.get(timeout=60)
    controller.decide_slots()
    found = find_newest(store, "docs", name, None, None)
    store.close()
    assert found is not None
    assert (found[1].verdict, found[1].cause) == (Verdict.HELD, Cause.LIMIT)
    assert found[1].message.startswith("1 pull requests of the skill are open, and `max_open` is 1")


def test_b07_a_run_by_hand_is_held_only_where_all_are_said(project: Project) -> None:
    yaml = (
        "on: {manual: {}}\nharness: {kind: command, command: [sh, -c, 'cat > docs/new.md']}\n"
        "output: {pull_request: {title: t, key: '{{ run.id }}', max_open: 1%s}}\n"
    )
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    for name, more in (("free", ""), ("held", ", limits_for: all")):
        project.commit(skill_files(name, yaml % more))
        ends = [project.skillrunner("run", name) for _ in range(2)]
        assert [one.code for one in ends] == ([0, 4] if more else [0, 0]), ends[-1].out + ends[-1].err
    assert "blocked: 1 pull requests of the skill are open, and `max_open` is 1" in ends[-1].out
    shown = project.skillrunner("show", "latest", "--json").out
    assert '"limit_reached"' in shown
    assert "transcript" not in shown  # no agent began


def test_b07_the_action_holds_the_slot_as_a_worker_does(here: Here) -> None:
    now = datetime.now(UTC)
    opened(here, 1)
    one = skill("max_open: 1, key: k9")
    trusted: Any = SimpleNamespace(
        mirror=here.scene.mirror,
        remote=here.scene.remote,
        introduction_times=lambda: {"docs": now - HOUR},
        limits=lookup(here, one),
    )
    job: Any = SimpleNamespace(attempt=1)
    decision = _deciding_slots(job, trusted, {"docs": one}, now)(History())[-1]
    assert (decision.verdict, decision.cause) == (Verdict.HELD, Cause.LIMIT)


def test_b07_github_is_asked_for_the_skills_open_and_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def item(number: int, branch: str, minutes: int, fork: bool = False) -> dict[str, Any]:
        at = NOW - timedelta(minutes=minutes)
        return {
            "number": number,
            "html_url": "u",
            "state": "open",
            "title": "t",
            "created_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "head": {"ref": branch, "repo": {"id": 2 if fork else 1}},
            "base": {"ref": "main", "repo": {"id": 1}},
        }

    api, asked = FakeApi(), list[Any]()
    recent = [item(9, "skillrunner/docs/a", 5), item(8, "else", 6), item(7, "skillrunner/docs/b", 61)]
    every = [*recent, item(3, "skillrunner/docs/c", 9_000), item(2, "skillrunner/docs/d", 9_999, fork=True)]

    def pages(path: str, **said: Any) -> Any:
        asked.append((path, said["state"]))
        return iter(recent if said["state"] == "all" else every)

    monkeypatch.setattr(api, "pages", pages)
    found = api.forge.pull_requests_below("skillrunner/docs/", NOW - HOUR)
    assert sorted(one.number for one in found or ()) == [3, 7, 9]
    assert asked == [("/pulls", "all"), ("/pulls", "open")]


def test_b07_a_limit_holds_schedules_only_unless_all_are_said(here: Here) -> None:
    on = "on: {issues: {}}"
    event = Event(
        kind="issues",
        key="issues:7",
        at=NOW,
        payload={"action": "opened", "issue": {"number": 7}},
        subject="issue 7",
    )
    opened(here, 1)
    found = []
    for said in ("schedule", "all"):
        one = skill(f"max_open: 1, limits_for: {said}", on)
        facts = lookup(here, one).of_event(event, Facts(actor=WRITER))
        found += decide_event({"docs": one}, event, facts, History(), NOW)
    assert [(one.verdict, one.cause) for one in found] == [
        (Verdict.STARTED, None),
        (Verdict.HELD, Cause.LIMIT),
    ]


def test_b07_a_run_that_waited_is_asked_again_when_it_starts(here: Here) -> None:
    options = {"key": "k9", "max_open": 1}
    offer = here.offer(options=options, trigger={"kind": "schedule", "subject": ""})
    refuse_beyond_limits(offer.spec, here.forge, datetime.now(UTC))
    opened(here, 1)
    error = refused(lambda: refuse_beyond_limits(offer.spec, here.forge, datetime.now(UTC)))
    assert (error.reason, error.end.state) == (Reason.LIMIT_REACHED, RunState.BLOCKED)


def test_b07_an_hourly_limit_counts_closed_ones_and_tells_when_the_next_may_come() -> None:
    options = PullRequestOptions(title="t", max_open=9, max_hourly=2)
    found = [
        pull(1, created_at=NOW - timedelta(minutes=50), state="closed"),
        pull(2, created_at=NOW - timedelta(minutes=20), state="merged"),
        pull(3, created_at=NOW - timedelta(minutes=61)),
    ]
    told = reached_limit(options, "skillrunner/docs/new", found, NOW)
    assert told.endswith("`max_hourly` is 2: the next may come at 2026-11-23 09:40 UTC")
    assert reached_limit(options, "skillrunner/docs/new", found[1:], NOW) == ""


# --- B8 and B9: when an open one is pushed to again ---------------------------------------------------


def moved(here: Here, files: dict[str, bytes]) -> str:
    """The base has moved, and the mirror knows."""
    sha = commit(here.scene.source, files)
    here.scene.mirror.fetch(here.scene.remote)
    return sha


ELSEWHERE = {"docs/a.md": b"zero\none\ntwo\nthree\n", "src/app.py": b"print('moved')\n"}
"""What moves the base, and does not touch the last line of docs/a.md."""


def at_the_end(here: Here) -> bytes:
    """The file as the base has it, with our line at its end."""
    return git(here.scene.source, "show", "main:docs/a.md").encode() + b"\nfour\n"


@pytest.mark.parametrize(
    ("rebase", "action", "is_rebased"),
    [("conflict", "unchanged", False), ("behind", "updated", True), ("never", "unchanged", False)],
)
def test_b08_a_base_that_moved_is_a_push_only_where_the_skill_wants_it(
    here: Here, rebase: str, action: str, is_rebased: bool
) -> None:
    """The patch of the second run differs from that of the first, and makes the same change all the same."""
    options = {"rebase": rebase}
    here.publish(here.offer({"docs/a.md": at_the_end(here)}, options=options))
    now = moved(here, ELSEWHERE)
    again = here.publish(here.offer({"docs/a.md": at_the_end(here)}, run_id="run-2", options=options))
    assert again.action == action
    assert here.changeset.is_ancestor(now, here.head()) is is_rebased
    assert len(here.log("--format=%H", f"main..{BRANCH}")) == 1


def test_b08_a_conflict_is_made_anew_on_the_new_base_unless_never_is_said(here: Here) -> None:
    options = {"rebase": "never"}
    first = here.publish(here.offer({"docs/a.md": b"ours\n"}, options=options))
    now = moved(here, {"docs/a.md": b"theirs\n"})
    again = here.offer({"docs/a.md": b"ours, again\n"}, run_id="run-2", options=options)
    error = refused(lambda: here.publish(again))
    assert (error.reason, error.end.state) == (Reason.LEFT_ALONE, RunState.NOTHING_TO_DO)
    assert error.message == f"{first.url} is left as it is: it conflicts with main, and `rebase` is never"
    assert error.hint.endswith("skillrunner pr label 1 skillrunner:rebase)")
    assert here.head() == first.sha
    here.forge.add_labels(1, ["skillrunner:rebase", "mine"])
    assert here.publish(again).action == "updated"
    assert here.changeset.is_ancestor(now, here.head())
    assert here.pulls()[0].labels == ("mine",)


def test_b08_what_is_open_for_too_long_is_left_as_it_is(here: Here) -> None:
    first = here.publish(here.offer())
    long_ago = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    here.forge.table.update(1, created_at=long_ago)
    offer = here.offer(NEWER, run_id="run-2", options={"stop_after": 30 * 86_400.0})
    error = refused(lambda: here.publish(offer))
    assert error.reason is Reason.LEFT_ALONE
    assert error.message.endswith("it is open for 31 days, and `stop_after` is 30 days")
    assert here.head() == first.sha
    here.forge.add_labels(1, ["skillrunner:rebase"])
    assert here.publish(offer).action == "updated"


def test_b09_what_is_in_the_merge_queue_is_not_pushed_to(here: Here) -> None:
    class Queue(LocalForge):
        def is_queued(self, number: int) -> bool:
            return number == 1

    first, (before,) = here.publish(here.offer()), here.pulls()
    forge = here.forge_of(Queue)
    error = refused(lambda: publish(here.offer(NEWER, run_id="run-2"), forge, here.changeset))
    assert error.reason is Reason.LEFT_ALONE
    assert "it is in the merge queue" in error.message
    assert (here.head(), here.pulls()) == (first.sha, [before])
    assert publish(here.offer(run_id="run-3"), forge, here.changeset).action == "unchanged"


@pytest.mark.parametrize(
    ("answer", "queued"),
    [
        ({"repository": {"pullRequest": {"mergeQueueEntry": {"id": "x"}}}}, True),
        ({"repository": {"pullRequest": {"mergeQueueEntry": None}}}, False),
        (Reason.FORGE_REJECTED, False),  # a server whose schema has no such field
    ],
)
def test_b09_github_tells_by_graphql_what_is_in_the_merge_queue(answer: Any, queued: bool) -> None:
    api = FakeApi(graphql=answer)
    assert api.forge.is_queued(7) is queued
    assert "pullRequest(number: 7) { mergeQueueEntry { id } }" in api.asked[0]


# --- B10 and B11: what a token cannot do --------------------------------------------------------------


def test_b10_the_default_token_starts_no_checks_and_the_doctor_says_so() -> None:
    step = "      - uses: acme/skillrunner@0123456789abcdef0123456789abcdef01234567\n"
    head = (
        "on: release\npermissions: {}\njobs:\n  skills:\n    runs-on: ubuntu-latest\n    timeout-minutes: 9\n"
    )
    text = f"{head}    permissions: {{contents: write, pull-requests: write}}\n    steps:\n{step}"
    found = {one.rule: one for one in dangers("skills.yml", text.encode(), "acme/skillrunner")}
    assert "CI does not start by itself" in found["default_token"].message
    assert "app-id" in found["default_token"].hint
    app = f"{text}        with: {{app-id: 12345}}\n"
    assert not [
        one for one in dangers("s.yml", app.encode(), "acme/skillrunner") if one.rule == "default_token"
    ]


def test_b10_a_repository_where_actions_may_open_none_is_told_the_setting() -> None:
    answer = Response()
    answer.status_code = 403
    answer._content = b'{"message": "GitHub Actions is not permitted to create or approve pull requests."}'
    error = failure("POST", "/pulls", answer)
    assert error.reason is Reason.FORGE_DENIED
    assert "Allow GitHub Actions to create and approve pull requests" in error.hint


def test_b11_workflows_are_refused_unless_the_skill_names_them() -> None:
    change = [FileChange(path=".github/workflows/ci.yml", change="modified")]
    assert [one.rule for one in paths.refusals(change, Allowance())] == ["protected_path"]
    named = Allowance(protected=(".github/workflows/**",))
    assert list(paths.refusals(change, named)) == []
    assert (
        "workflows" not in OUTPUTS.get("pull_request").permissions
    )  # nothing asks for the right to push them


# --- B12: commits that GitHub signs -----------------------------------------------------------------


@dataclass
class Answer:
    said: Any

    def json(self) -> Any:
        return self.said


class GitData(FakeApi):
    """GitHub's git database on a bare repository: strict about the old commit, as GitHub is."""

    def __init__(self, source: Path, *, verified: bool = True) -> None:
        super().__init__()
        self.source, self.verified = source, verified
        self.fault = ""

    def call(self, method: str, path: str, data: Any = None, *_: Any, **__: Any) -> Any:
        self.asked.append(f"{method} {path}")
        return Answer({"sha": getattr(self, f"_{path.rpartition('/')[2]}")(data)})

    def get(self, path: str, **_: str | int) -> Any:
        if path.startswith("/git/ref/"):
            return {
                "object": {"sha": git(self.source, "rev-parse", f"refs/{path.removeprefix('/git/ref/')}")}
            }
        reason = "valid" if self.verified else "unsigned"
        return {"node_id": "R_1", "verification": {"verified": self.verified, "reason": reason}}

    def graphql(self, query: str, **variables: str) -> Any:
        assert "beforeOid: $before" in query
        self.asked.append("updateRefs")
        if self.fault:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, self.fault)
        try:
            git(self.source, "update-ref", variables["name"], variables["after"], variables["before"])
        except CalledProcessError as error:
            raise RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, "GitHub said: it moved") from error
        return {}

    def _blobs(self, data: Any) -> str:
        assert data["encoding"] == "base64"
        return git(self.source, "hash-object", "-w", "--stdin", stdin=base64.b64decode(data["content"]))

    def _trees(self, data: Any) -> str:
        index = self.source / "etiquette-index"
        variables = {"GIT_INDEX_FILE": str(index), "PATH": os.environ["PATH"]}
        run = partial(check_output, cwd=self.source, env=variables)
        run(["git", "read-tree", data["base_tree"]])
        lines = "".join(
            f"{one['mode'] if one['sha'] else '0'} {one['sha'] or '0' * 40}\t{one['path']}\n"
            for one in data["tree"]
        )
        run(["git", "update-index", "--index-info"], input=lines.encode())
        return run(["git", "write-tree"]).decode().strip()

    def _commits(self, data: Any) -> str:
        assert "author" not in data
        assert "committer" not in data
        who = ("-c", "user.name=GitHub", "-c", "user.email=noreply@github.com")
        parents = [part for parent in data["parents"] for part in ("-p", parent)]
        return git(self.source, *who, "commit-tree", data["tree"], *parents, "-m", data["message"])


class Signing(LocalForge):
    """The local forge with GitHub's way to make commits."""

    api: ClassVar[GitData]

    def signed_commits(self) -> GitHubCommits:
        return GitHubCommits(self.api)


@pytest.fixture
def signing(here: Here, monkeypatch: pytest.MonkeyPatch) -> GitData:
    made = GitData(here.scene.source)
    monkeypatch.setattr(Signing, "api", made, raising=False)
    return made


API = {"commits": "api", "signoff": True}


def test_b12_the_api_makes_the_very_tree_with_modes_and_links_and_its_word_is_read_back(
    here: Here, signing: GitData
) -> None:
    forge, base = here.forge_of(Signing), here.scene.mirror.resolve("main")
    edits = [
        Edit("docs/a.md", 0o100644, b"new\n"),
        Edit("bin/go", 0o100755, b"#!/bin/sh\n"),
        Edit("to", 0o120000, b"README.md"),
        Edit("logo.png", 0o100644, b"\x89PNG\xff"),
        Edit("src/app.py"),
    ]
    tree = here.changeset.write(base, edits)
    patch = here.changeset.patch(base, tree)
    offer = here.offer(options=API)
    digest = sha256(patch).hexdigest()
    offer = replace(offer, patch=patch, proposal=replace(offer.proposal, tree_sha=tree, patch_sha256=digest))
    first = publish(offer, forge, here.changeset)
    assert here.log("-1", "--format=%T %P %ce", BRANCH) == [f"{tree} {base} noreply@github.com"]
    assert message(here)[-1] == "Signed-off-by: bot <bot@example.com>"
    assert here.said[-1] == f"local says that the commit {(first.sha or '')[:12]} is verified"
    assert publish(replace(offer, run_id="run-2"), forge, here.changeset).action == "unchanged"
    assert publish(here.offer(NEWER, run_id="run-3", options=API), forge, here.changeset).action == "updated"
    human(here)
    after = here.offer({"docs/a.md": b"newest\n"}, run_id="run-4", options=API)
    assert refused(lambda: publish(after, forge, here.changeset)).reason is Reason.HUMAN_COMMIT


def test_b12_what_is_not_verified_is_a_warning_with_githubs_reason(here: Here, signing: GitData) -> None:
    signing.verified, warnings = False, list[str]()
    offer = here.offer(options=API, warn=warnings.append)
    sha = publish(offer, here.forge_of(Signing), here.changeset).sha or ""
    assert warnings == [
        (
            f"local says that the commit {sha[:12]} is not verified (unsigned):"
            " only the commits of an App's token are signed"
        )
    ]


def test_b12_a_branch_that_moved_meanwhile_is_not_written_over(here: Here, signing: GitData) -> None:
    forge = here.forge_of(Signing)
    first = publish(here.offer(options=API), forge, here.changeset)
    theirs = human(here)
    with pytest.raises(RunnerError) as caught:
        GitHubCommits(signing).move(BRANCH, first.sha, here.scene.mirror.resolve("main"))
    assert (caught.value.reason, here.head()) == (Reason.BRANCH_MOVED, theirs)
    signing.fault = "Repository rule violations found"
    with pytest.raises(RunnerError) as caught:
        GitHubCommits(signing).move(BRANCH, theirs, here.scene.mirror.resolve("main"))
    assert caught.value.reason is Reason.BRANCH_PROTECTED


def test_b12_killed_before_the_pull_request_was_opened_it_is_opened_by_the_next_attempt(
    here: Here, signing: GitData
) -> None:
    class Killed(Signing):
        def create(self, new: NewPullRequest) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(here.offer(options=API), here.forge_of(Killed), here.changeset)
    left = here.head()
    another = here.offer(options=API, run_id="run-2")
    assert refused(lambda: publish(another, here.forge_of(Signing), here.changeset)).reason is (
        Reason.HUMAN_COMMIT  # whose it is nobody can tell
    )
    receipt = publish(here.offer(options=API), here.forge_of(Signing), here.changeset)
    assert (receipt.action, receipt.sha, here.head()) == ("created", left, left)


def test_b12_a_server_that_cannot_move_a_branch_in_one_step_gets_a_push(here: Here, signing: GitData) -> None:
    signing.fault = "Field 'updateRefs' doesn't exist on type 'Mutation'"
    monkey = here.forge_of(Signing)
    signing.get = lambda path, **_: (
        (_ for _ in ()).throw(  # type: ignore[method-assign]
            RunnerError(Phase.PUBLISH, Reason.FORGE_NOT_FOUND, "404")
        )
        if path.startswith("/git/ref/")
        else {"node_id": "R_1", "verification": None}
    )
    assert publish(here.offer(options=API), monkey, here.changeset).action == "created"
    assert here.log("-1", "--format=%ce", BRANCH) == ["bot@example.com"]
    told = [line for line in here.said if "not signed" in line or "not verified" in line]
    assert told[0].startswith("the commit is not signed, as local did not move the branch: ")
    assert "is not verified (unknown)" in told[1]


def test_b12_where_the_forge_makes_no_commits_git_does_and_says_so(here: Here) -> None:
    here.publish(here.offer(options=API))
    assert here.said[0] == "the commit is not signed: local makes no commits"
    assert here.log("-1", "--format=%ce", BRANCH) == ["bot@example.com"]


# --- B13 and B14: what a commit and a body say -------------------------------------------------------


def message(here: Here) -> list[str]:
    return here.log("-1", "--format=%B", BRANCH)


def test_b13_the_sign_off_is_the_last_trailer_and_matches_the_committer(here: Here) -> None:
    here.publish(here.offer(options={"signoff": True}))
    assert message(here)[-1] == "Signed-off-by: bot <bot@example.com>"
    assert here.log("-1", "--format=Signed-off-by: %cn <%ce>", BRANCH) == [message(here)[-1]]
    assert here.log("-1", "--format=%(trailers:key=Signed-off-by,valueonly)", BRANCH)[0] == (
        "bot <bot@example.com>"
    )


def test_b14_a_long_body_keeps_whole_sections_and_our_marker(here: Here) -> None:
    checks = tuple(
        Check(command=f"make {at}", exit_code=0, duration=1, output="x" * 5_000, ok=True) for at in range(60)
    )
    offer = here.offer(checks=checks, options={"body": "Look. " * 20_000})
    changes = tuple(FileChange(path=f"docs/{at}{'x' * 150}.md", change="added") for at in range(90))
    proposal = replace(offer.proposal, changes=changes, summary="I did it. @ada fixes #1 " * 10_000)
    here.publish(replace(offer, proposal=proposal))
    (made,) = here.pulls()
    assert len(made.body) <= 65_536
    found = _marker.read(made.body, NO_KEY)
    assert found is not None
    assert found.key == "v1"
    headings = [line for line in made.body.splitlines() if line.startswith("### ")]
    assert headings == ["### Why", "### What", "### Files", "### Evidence"]
    assert made.body.count("```") % 2 == 0
    assert "@ada" not in made.body
    assert "fixes #1" not in made.body
    footer = made.body[made.body.index("\n---\n") :]
    assert "run run-1 · skill docs@cccccccccccc" in footer
    assert "Push a commit here and it is left alone" in footer


# --- B16 to B20 -------------------------------------------------------------------------------------


def test_b15_one_that_was_opened_meanwhile_is_found_and_kept_up_to_date(here: Here) -> None:
    class Racing(LocalForge):
        """Somebody opens it between our look and our request."""

        def pull_requests(self, branch: str) -> list[PullRequest]:
            return []

    opened_before = here.forge.create(NewPullRequest(branch=BRANCH, base="main", title="t", body=""))[0]
    receipt = publish(here.offer(), here.forge_of(Racing), here.changeset)
    assert (receipt.action, receipt.number) == ("adopted", opened_before.number)


def test_b16_a_reviewer_who_cannot_review_is_a_warning(here: Here) -> None:
    class Strict(LocalForge):
        def request_reviewers(self, number: int, reviewers: Any) -> list[str]:
            return [f"{one} was not asked for a review: 422" for one in reviewers if one == "author"]

    forge, warnings = here.forge_of(Strict), list[str]()
    offer = here.offer(options={"reviewers": ["author", "ada"]}, warn=warnings.append)
    assert publish(offer, forge, here.changeset).action == "created"
    assert warnings == ["author was not asked for a review: 422"]
    found = _marker.read(here.pulls()[0].body, NO_KEY)
    assert found is not None
    assert found.reviewers == ("ada",)


def test_b18_nothing_that_skips_checks_is_in_what_we_commit(here: Here) -> None:
    """`[skip ci]` and its like may come from an event, and would leave required checks pending."""
    marks = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "***NO_CI***")
    here.publish(here.offer(options={"title": f"docs: update {' '.join(marks)}"}))
    (message,) = [
        one.message for one in here.changeset.commits(here.scene.mirror.resolve("main"), here.head())
    ]
    assert not [mark for mark in marks if mark.casefold() in message.casefold()]
    assert "skip-checks:" not in message.casefold()


def test_b19_a_strangers_commit_publishes_no_files() -> None:
    one = skill('paths: ["docs/**"]', "on: {pull_request: {}}")
    event = Event(kind="pull_request", key="p:1", at=NOW, payload={"action": "opened"}, subject="#1")
    (decision,) = decide_event({"docs": one}, event, STRANGER, History(), NOW)
    assert (decision.verdict, decision.cause) == (Verdict.SKIPPED, Cause.ACTOR)
    assert "from a fork" in decision.message


def test_b20_only_the_paths_of_its_project_may_change() -> None:
    allowed = Allowance(paths=("pkg/a/**",), exclude=("pkg/a/vendor/**",))
    found = {
        path: [one.rule for one in paths.refusals([FileChange(path=path, change="modified")], allowed)]
        for path in ("pkg/a/x.py", "pkg/b/x.py", "pkg/a/Vendor/x.py")
    }
    assert found == {
        "pkg/a/x.py": [],
        "pkg/b/x.py": ["path_outside"],
        "pkg/a/Vendor/x.py": ["path_outside"],
    }


# --- B21: windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "at", "open_now"),
    [
        ({}, "2026-11-23T03:00", True),
        ({"days": ["mon"], "hours": "09:00-17:00"}, "2026-11-23T09:00", True),
        ({"days": ["mon"], "hours": "09:00-17:00"}, "2026-11-23T17:00", False),
        ({"days": ["mon"], "hours": "09:00-17:00"}, "2026-11-24T10:00", False),
        ({"hours": "09:00-17:00", "timezone": "Europe/Berlin"}, "2026-11-23T08:00", True),
        ({"hours": "09:00-17:00", "timezone": "Europe/Berlin"}, "2026-07-20T07:00", True),  # summer
        ({"days": ["fri"], "hours": "22:00-06:00"}, "2026-11-28T05:59", True),  # of Friday's night
        ({"days": ["fri"], "hours": "22:00-06:00"}, "2026-11-28T22:00", False),
        ({"hours": "09:00-24:00"}, "2026-11-23T23:59", True),
    ],
)
def test_b21_a_rollout_window_is_of_a_zone_and_may_cross_midnight(
    window: dict[str, Any], at: str, open_now: bool
) -> None:
    made = WindowOptions.model_validate(window)
    told = shut_window(made, datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert (told == "") is open_now


def test_b21_a_shut_window_holds_a_slot_and_says_which(here: Here) -> None:
    shut = next(day for day in ("mon", "tue") if day != f"{datetime.now(UTC):%a}".lower())
    decision = slot_decision(here, skill(f"window: {{days: [{shut}]}}"))
    assert (decision.verdict, decision.cause) == (Verdict.HELD, Cause.LIMIT)
    assert decision.message.startswith(f"pull requests may come {shut} 00:00-24:00 UTC, and it is ")
    assert slot_decision(here, skill(f"window: {{days: [{shut}]}}, security: true")).verdict is (
        Verdict.STARTED
    )


def test_b21_many_repositories_start_no_more_than_the_rate_says() -> None:
    waiting = [
        WaitingRun(run_id=f"{at}", repository=f"o/{at}", skill="docs", priority=5, since=NOW)
        for at in range(9)
    ]
    starts = [StartedRun(repository="o/x", skill="docs", at=NOW - timedelta(seconds=30))]
    state = QueueState(waiting=waiting, running=[], starts=starts, now=NOW)
    assert len(admit(state, 9, AdmissionLimits(total_rate=Rate(5, 60)))) == 4
    later = replace(state, now=NOW + timedelta(minutes=2))
    assert len(admit(later, 9, AdmissionLimits(total_rate=Rate(5, 60)))) == 5


# --- B17, B23 to B28 ---------------------------------------------------------------------------------


def test_b25_an_empty_change_is_no_pull_request_and_the_run_says_so(here: Here) -> None:
    commit(here.scene.source, NEWER)
    error = refused(lambda: here.publish(here.offer(NEWER)))
    assert (error.reason, error.end.state) == (Reason.NO_CHANGES, RunState.NOTHING_TO_DO)
    assert (here.pulls(), error.message) == ([], "the change is already in main")


@pytest.mark.parametrize(("options", "ok", "draft"), [({}, True, True), ({"draft": False}, True, False)])
def test_b17_it_opens_as_a_draft_unless_the_skill_says_otherwise(
    here: Here, options: dict[str, Any], ok: bool, draft: bool
) -> None:
    checks = (Check(command="make", exit_code=0, duration=1, output="", ok=ok),)
    here.publish(here.offer(options=options, checks=checks))
    assert here.pulls()[0].draft is draft


def test_b17_until_its_checks_have_passed_it_is_a_draft(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    class Checked(LocalForge):
        passed: ClassVar[set[str]] = set()

        def checks_passed(self, sha: str) -> bool:
            return sha in self.passed

    forge, options = here.forge_of(Checked), {"draft": "until_checks"}
    sha = publish(here.offer(options=options), forge, here.changeset).sha
    assert here.pulls()[0].draft
    assert publish(here.offer(options=options, run_id="run-2"), forge, here.changeset).action == "unchanged"
    monkeypatch.setattr(Checked, "passed", {sha})
    publish(here.offer(options=options, run_id="run-3"), forge, here.changeset)
    assert not here.pulls()[0].draft
    publish(here.offer(NEWER, options=options, run_id="run-4"), forge, here.changeset)
    assert here.pulls()[0].draft  # its checks are of another commit


@pytest.mark.parametrize(
    ("runs", "states", "passed"),
    [
        ([], [], False),
        (["success", "skipped"], [], True),
        (["success", None], [], False),
        (["success"], ["pending"], False),
        ([], ["success"], True),
        (["success", "failure"], ["success"], False),
    ],
)
def test_b17_checks_are_check_runs_and_statuses(
    runs: list[str | None], states: list[str], passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeApi()
    answers = {
        "check-runs": {"check_runs": [{"conclusion": one} for one in runs]},
        "status": {"statuses": [{"state": one} for one in states]},
    }
    monkeypatch.setattr(api, "get", lambda path, **_: answers[path.rpartition("/")[2]])
    assert api.forge.checks_passed("a" * 40) is passed


def test_b22_a_dry_run_shows_the_branch_and_the_title_and_what_would_hold_it(here: Here) -> None:
    offer = here.offer()
    told = OUTPUTS.get("pull_request").preview(offer.spec, offer.output)
    assert list(told) == [("branch", BRANCH), ("title", "docs: update")]
    assert here.pulls() == []


@pytest.mark.parametrize("label", ["skillrunner:hold", "Skillrunner:Stop-Updating"])
def test_b23_labels_keep_us_away_until_they_are_taken_away(here: Here, label: str) -> None:
    first, _ = here.publish(here.offer()), here.forge.add_labels(1, [label])
    (before,) = here.pulls()
    for files in (None, NEWER):
        error = refused(lambda files=files: here.publish(here.offer(files, run_id="run-2")))  # type: ignore[misc]
        assert (error.reason, error.end.state) == (Reason.LEFT_ALONE, RunState.NOTHING_TO_DO)
        assert error.hint == f"to have it kept up to date again, take the label {label.lower()} away"
    assert (here.head(), here.pulls()) == (first.sha, [before])
    withdrawn = OUTPUTS.get("pull_request").withdraw(here.offer(run_id="run-3"), here.forge, here.changeset)
    assert (withdrawn is None) is (label == "skillrunner:hold")


def test_b23_the_label_rebase_makes_the_same_change_anew_once(here: Here) -> None:
    here.publish(here.offer())
    now = moved(here, {"src/app.py": b"print('moved')\n"})
    here.forge.add_labels(1, ["skillrunner:rebase"])
    assert here.publish(here.offer(run_id="run-2")).action == "updated"
    assert git(here.scene.source, "rev-parse", f"{BRANCH}~1") == now
    assert here.pulls()[0].labels == ()
    moved(here, {"src/app.py": b"print('moved again')\n"})
    assert here.publish(here.offer(run_id="run-3")).action == "unchanged"


def test_b23_the_label_run_starts_a_skill_that_listens_for_it() -> None:
    one = skill("limits_for: all", "on: {pull_request: {types: [labeled], labels: ['skillrunner:run']}}")
    found = []
    for name in ("skillrunner:run", "other"):
        payload = {
            "action": "labeled",
            "label": {"name": name},
            "pull_request": {"number": 7, "labels": [{"name": "skillrunner:run"}]},
        }
        event = Event(kind="pull_request", key=f"p:{name}", at=NOW, payload=payload, subject="#7")
        found += decide_event({"docs": one}, event, Facts(actor=WRITER), History(), NOW)
    assert [one.verdict for one in found] == [Verdict.STARTED, Verdict.SKIPPED]


def test_b24_only_what_nobody_has_touched_is_closed_as_stale(here: Here) -> None:
    keys = ["plain", "commit", "title", "body", "label", "again", "young"]
    for key in keys:
        here.publish(here.offer(options={"key": key}, run_id=f"run-{key}"))
    names = {key: f"skillrunner/docs/{key}" for key in keys}
    number = {key: here.pulls(name)[0].number for key, name in names.items()}
    for key in keys[:-1]:
        long_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
        here.forge.table.update(number[key], created_at=long_ago)
    plain = here.head(names["plain"])
    git(
        here.scene.source,
        "update-ref",
        f"refs/heads/{names['commit']}",
        commit(here.scene.source, {"x": b"y"}),
    )
    body = here.pulls(names["body"])[0].body
    here.forge.update(number["title"], title="Mine", body=here.pulls(names["title"])[0].body)
    here.forge.update(number["body"], title="docs: update", body=f"Please keep.\n\n{body}")
    here.forge.add_labels(number["label"], ["skillrunner:hold"])
    here.forge.close_pull_request(number["again"])
    here.forge.reopen_pull_request(number["again"])
    options = {"key": "now", "close_after": 30 * 86_400.0}
    here.publish(here.offer(options=options, run_id="run-9"))
    states = {key: here.pulls(name)[0].state for key, name in names.items()}
    assert states == {**dict.fromkeys(keys, "open"), "plain": "closed"}
    assert here.pulls(names["plain"])[0].title == "docs: update (closed as stale)"
    (note,) = here.forge.table.comments(number["plain"])
    assert note.startswith("Nobody has touched this for 30 days, so it is closed, as `close_after` of the")
    assert names["plain"] not in git(here.scene.source, "branch", "--format=%(refname:short)").splitlines()
    again = here.publish(here.offer(options={"key": "plain"}, run_id="run-10"))  # our close is no person's no
    assert (again.action, again.number != number["plain"], plain != "") == ("created", True, True)


def test_b26_the_first_line_of_the_commit_has_a_template_of_its_own(here: Here) -> None:
    here.publish(here.offer(options={"title": "Update the docs", "commit": "docs(api): update #7"}))
    assert message(here)[0] == "docs(api): update #\u200b7"
    assert here.pulls()[0].title == "Update the docs"


def test_b27_trailers_name_skill_run_and_co_authors(here: Here) -> None:
    people = ("Ada L <ada@example.com>", "nobody", "Eve <e@x>\nSigned-off-by: Eve <e@x>")
    here.publish(here.offer(options={"co_authors": people, "signoff": True}))
    assert message(here)[-5:] == [
        "",
        "Skillrunner-Skill: docs@cccccccccccc",
        "Skillrunner-Run: run-1",
        "Co-authored-by: Ada L <ada@example.com>",
        "Signed-off-by: bot <bot@example.com>",
    ]
    assert [line for line in here.said if line.startswith("no Co-authored-by for ")] == [
        "no Co-authored-by for 'nobody': it should be like Name <mail@example.com>",
        (
            "no Co-authored-by for 'Eve <e@x>\\nSigned-off-by: Eve <e@x>': it should be like"
            " Name <mail@example.com>"
        ),
    ]


@pytest.mark.parametrize(("author", "posts"), [("bot", 0), ("eve", 1)])
def test_b28_a_comment_is_found_by_its_mark_and_by_who_wrote_it(
    author: str, posts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark that somebody has copied keeps no comment of ours away."""
    api, posted = FakeApi(), list[Any]()
    there = [{"body": "hello <!-- mark -->", "user": {"login": author}}]
    monkeypatch.setattr(api, "pages", lambda path, **_: iter(there))
    monkeypatch.setattr(api, "get", lambda path, **_: {"login": "bot"})
    monkeypatch.setattr(api, "call", lambda *said, **_: posted.append(said))
    api.forge.comment_once(7, "hello", "<!-- mark -->")
    assert [(said[0], said[1]) for said in posted] == [("POST", "/issues/7/comments")] * posts


# --- ends of their own ------------------------------------------------------------------------------


def test_a_base_that_is_gone_and_a_branch_that_is_protected_are_ends_of_their_own(here: Here) -> None:
    hook = here.scene.source / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GH013: Repository rule violations found' >&2\nexit 1\n")
    hook.chmod(0o755)
    offer = here.offer()
    error = refused(lambda: here.publish(offer))
    assert (error.reason, error.end.state) == (Reason.BRANCH_PROTECTED, RunState.BLOCKED)
    git(here.scene.source, "branch", "-m", "main", "trunk")
    error = refused(lambda: here.publish(offer))
    assert (error.reason, error.end.state) == (Reason.BASE_GONE, RunState.SUPERSEDED)


def test_a_label_that_is_refused_keeps_no_other_away(here: Here) -> None:
    made = list[str]()

    class Picky(LocalForge):
        def add_labels(self, number: int, labels: Any) -> None:
            if {"gone", "odd"} & {*labels} - {*made}:
                raise RunnerError(Phase.PUBLISH, Reason.FORGE_REJECTED, "422")
            LocalForge.add_labels(self, number, labels)

        def make_label(self, name: str) -> None:
            made.extend([name] if name != "odd" else [])

    warnings = list[str]()
    offer = here.offer(options={"labels": ["docs", "gone", "odd"]}, warn=warnings.append)
    assert publish(offer, here.forge_of(Picky), here.changeset).action == "created"
    assert here.pulls()[0].labels == ("docs", "gone")
    assert warnings == [f"the label odd was not set on {here.pulls()[0].url}: 422; make it in the repository"]
