"""A worker whose GitHub is slow, wrong or away: each cause has one effect all the same, and others go on."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.scheduler.ledger import REF
from runner.store import Store
from runner.store.tables import decisions
from tests.e2e.test_worker import PATIENCE, commit, ended, until
from tests.e2e.test_worker_github import titles
from tests.parts.cli import Project, make_project
from tests.parts.github import GitHub, repository
from tests.parts.workers import ROOT

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]

DUE = "{schedule: [{cron: '0 0 1 1 *', catch_up: 366d}]}"
YEARS = 800 * 86_400
Answer = tuple[int, dict[str, str]] | str | None


@pytest.fixture
def other(tmp_path: Path) -> Project:
    """A repository that is a folder: it needs no GitHub."""
    return make_project(tmp_path / "other", {"README.md": "# Other\n", "docs/guide.md": "Old\n"})


@pytest.fixture
def served(github_project: Project, other: Project) -> Project:
    folder = github_project.home / "worker"
    folder.mkdir()
    (folder / "clock").write_text("0")
    (folder / "skillrunner.yaml").write_text(
        "sandbox: process\nworker:\n"
        f"  repositories: ['{repository(github_project)}', '{other.origin}']\n  poll: 1s\n  drain: 20s\n"
    )
    return github_project


@contextmanager
def working(project: Project) -> Iterator[Path]:
    """A worker process with a clock that `tick` moves; its log."""
    folder = project.home / "worker"
    environment = {
        **project.environment(),
        "SKILLRUNNER_STATE_DIR": str(project.state),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.parts.worker_driver", "--clock", str(folder / "clock")]
    with (folder / "log").open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        yield folder / "log"
        assert process.poll() is None, "it must outlive all that"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def tick(project: Project, hours: float) -> None:
    aside = project.home / "worker/aside"
    aside.write_text(str(hours * 3600))
    aside.rename(project.home / "worker/clock")


def hourly(catch_up: str = "6h") -> str:
    """A schedule that is due half an hour away from now, so that the clock's own hour does not matter."""
    minute = (datetime.now(UTC) - timedelta(minutes=30)).minute
    return f"{{schedule: [{{cron: '{minute} * * * *', catch_up: {catch_up}}}]}}"


def verdicts(project: Project, skill: str) -> Counter[str]:
    store = Store(project.state)
    with store.engine.connect() as connection:
        query = decisions.select().where(decisions.c.skill == skill, decisions.c.due.is_not(None))
        found = list(connection.execute(query).all())
    store.close()
    assert len({row.due for row in found}) == len(found), "a slot was decided twice"
    return Counter(row.cause or row.verdict for row in found)


def started(project: Project) -> int:
    """How many runs the shared ledger knows to have been started."""
    ref = project.git("for-each-ref", "--format=%(refname)", REF, cwd=project.origin)
    listed = project.git("grep", "-h", '"verdict": "started"', REF, cwd=project.origin) if ref else ""
    return len(listed.splitlines())


@pytest.mark.parametrize(
    "fault",
    [(503, {}), (429, {"Retry-After": "2"}), (403, {"Retry-After": "2"}), "lost"],
    ids=["503", "429", "403", "reset"],
)
def test_an_api_in_trouble_holds_up_its_own_repository_and_for_as_long_as_it_lasts(
    served: Project, other: Project, github: GitHub, fault: Answer
) -> None:
    commit(served, "docs", DUE, ago=YEARS)
    commit(other, "elsewhere", DUE, ago=YEARS)
    github.fault = lambda _, path: fault if repository(served) in path else None
    with working(served) as log:
        until(lambda: bool(ended(served, "elsewhere")), log)
        assert ended(served, "docs") == []
        github.fault = None
        until(lambda: bool(ended(served, "docs")), log)
    assert [run["state"] for run in ended(served, "docs")] == ["succeeded"]
    assert titles(served, github) == ["docs: docs"]
    assert started(served) == 1


@pytest.mark.parametrize("lost", ["lost", (502, {})], ids=["after it was done", "before it was done"])
def test_a_pull_request_whose_answer_does_not_come_is_opened_once(
    served: Project, github: GitHub, lost: Answer
) -> None:
    faults: list[Any] = [lost]

    def fault(method: str, path: str) -> Answer:
        return faults.pop() if faults and method == "POST" and path.endswith("/pulls") else None

    commit(served, "docs", DUE, ago=YEARS)
    github.fault = fault
    with working(served) as log:
        until(lambda: bool(ended(served, "docs")), log)
    assert faults == []
    assert [run["state"] for run in ended(served, "docs")] == ["succeeded"]
    assert titles(served, github) == ["docs: docs"]


def test_limits_that_meet_a_run_which_publishes_are_waited_out(
    served: Project, other: Project, github: GitHub
) -> None:
    """What GitHub asks of one is heeded by all; a repository without GitHub is served meanwhile."""
    faults: list[Answer] = [(403, {"Retry-After": "3"}), (429, {"Retry-After": "1"})]

    def fault(method: str, path: str) -> Answer:
        return faults.pop() if faults and method == "POST" and path.endswith("/pulls") else None

    commit(served, "docs", DUE, ago=YEARS)
    github.fault = fault
    with working(served) as log:
        until(lambda: not faults, log)
        commit(other, "elsewhere", DUE, ago=YEARS)
        until(lambda: bool(ended(served, "elsewhere")) and bool(ended(served, "docs")), log)
    assert [run["state"] for run in ended(served, "docs")] == ["succeeded"]
    assert titles(served, github) == ["docs: docs"]


def test_a_slot_while_github_is_down_starts_once_in_its_window_or_is_recorded_as_missed(
    served: Project, other: Project, github: GitHub
) -> None:
    served_log = served.home / "worker/log"
    commit(served, "docs", hourly("3h"), ago=3600)
    commit(other, "elsewhere", hourly(), ago=3600)
    with working(served) as log:
        until(lambda: bool(ended(served, "docs")) and bool(ended(served, "elsewhere")), log)
        github.down = True
        tick(served, 1)
        until(lambda: len(ended(served, "elsewhere")) == 2, log)
        until(lambda: "nothing could be decided" in served_log.read_text(), log)
        assert len(ended(served, "docs")) == 1
        github.down = False
        until(lambda: len(ended(served, "docs")) == 2, log)
        assert verdicts(served, "docs") == {"started": 2}
        github.down = True
        tick(served, 9)  # eight slots, of which three are within their window
        until(lambda: len(ended(served, "elsewhere")) == 3, log)
        github.down = False
        until(lambda: len(ended(served, "docs")) == 3, log)
    assert sum(verdicts(served, "docs").values()) == 10
    assert verdicts(served, "docs")["started"] == 3
    assert verdicts(served, "docs")["window"] >= 4
    assert started(served) == 3
    assert {run["state"] for run in ended(served, "docs")} <= {"succeeded", "nothing_to_do"}
    assert titles(served, github) == ["docs: docs"]


def test_what_was_heard_is_decided_once_github_can_be_asked(
    served: Project, other: Project, github: GitHub
) -> None:
    """Who may do what cannot be looked up for a while; another repository's slot does not wait for that."""
    commit(served, "answers", "{release: {types: [published]}}", ago=YEARS)
    asked: list[str] = []

    def fault(_: str, path: str) -> Answer:
        if not path.endswith("/permission"):
            return None
        asked.append(path)
        return (429, {"Retry-After": "5"}) if len(asked) == 1 else None

    github.fault = fault
    with working(served) as log:
        until(lambda: "1 skills" in log.read_text(), log)
        github.api("POST", f"/repos/{repository(served)}/releases", {"tag_name": "v1", "name": "One"})
        until(lambda: bool(asked), log)
        commit(other, "elsewhere", DUE, ago=YEARS)
        until(lambda: bool(ended(served, "elsewhere")), log)
        until(lambda: bool(ended(served, "answers")), log)
    assert "waits in the inbox" in (served.home / "worker/log").read_text()
    assert titles(served, github) == ["docs: answers"]
