"""From a release event to a pull request on GitHub: the real API's shapes, and git over HTTP with a token."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.parts.cli import Project, skill_files
from tests.parts.github import TOKEN, GitHub, repository

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]

KILLED = Path(__file__).parent.parent / "parts" / "killed.py"
YAML = """
description: Bring the docs up to date after each release
on: {release: {types: [published]}}
harness: {kind: command, command: [sh, -c, "cat README.md > docs/new.md; cat >> docs/new.md"]}
verify: [test -f docs/new.md]
output:
  pull_request:
    title: "docs: update for {{ event.release.tag_name }}"
    paths: ["docs/**"]
    labels: [documentation]
    reviewers: [alice]
"""
RELEASE = {"action": "published", "release": {"id": 7, "tag_name": "v1.1.0"}, "sender": {"login": "ada"}}
BRANCH = "skillrunner/docs-after-release/v1.1.0"
RUN = ("run", "docs-after-release", "--event", "release.json")


@pytest.fixture
def ready(github_project: Project, github: GitHub) -> Project:
    github_project.commit(skill_files("docs-after-release", YAML))
    (github_project.root / "release.json").write_text(json.dumps(RELEASE))
    github.calls.clear()
    return github_project


def pulls(github: GitHub, project: Project, state: str = "all") -> list[Any]:
    found: list[Any] = github.api("GET", f"/repos/{repository(project)}/pulls?state={state}")
    return found


def run(project: Project, code: int = 0, *more: str) -> str:
    done = project.skillrunner(*RUN, *more)
    assert done.code == code, done.out + done.err
    assert TOKEN not in done.out + done.err
    return done.out


def test_one_pull_request_kept_up_to_date(ready: Project, github: GitHub) -> None:
    run(ready)
    (pull,) = pulls(github, ready)
    assert pull["title"] == "docs: update for v1.1.0"
    assert (pull["draft"], pull["head"]["ref"], pull["base"]["ref"]) == (True, BRANCH, "main")
    assert [label["name"] for label in pull["labels"]] == ["documentation"]
    assert "✅ `test -f docs/new.md`" in pull["body"]
    assert "Do the work." in ready.git("show", f"{BRANCH}:docs/new.md", cwd=ready.origin)

    github.calls.clear()
    assert "nothing_to_do" in run(ready)
    assert github.writes() == []

    ready.commit({"README.md": "# Demo, and more\n"}, "More")
    github.calls.clear()
    run(ready)
    assert [write.split("/")[0] for write in github.writes()] == ["PATCH "]
    assert len(pulls(github, ready)) == 1
    assert "and more" in ready.git("show", f"{BRANCH}:docs/new.md", cwd=ready.origin)


def test_a_human_commit_stops_it(ready: Project, github: GitHub) -> None:
    run(ready)
    ready.git("fetch", "-q", str(ready.origin), f"{BRANCH}:mine")
    ready.git("checkout", "-q", "mine")
    ready.write({"docs/new.md": "by hand\n"})
    ready.git("commit", "-qam", "Better words")
    ready.git("push", "-q", "origin", f"mine:{BRANCH}")
    ready.git("checkout", "-q", "main")
    ready.commit({"README.md": "# Demo, changed\n"}, "Change")
    for _ in range(2):
        assert "hands off" in run(ready, 4)
    assert ready.git("show", f"{BRANCH}:docs/new.md", cwd=ready.origin) == "by hand"
    number = pulls(github, ready)[0]["number"]
    comments = github.api("GET", f"/repos/{repository(ready)}/issues/{number}/comments")
    assert len(comments) == 1


def test_closed_unmerged_is_remembered(ready: Project, github: GitHub) -> None:
    run(ready)
    number = pulls(github, ready)[0]["number"]
    github.api("PATCH", f"/repos/{repository(ready)}/pulls/{number}", {"state": "closed"})
    ready.commit({"README.md": "# Demo, changed\n"}, "Change")
    assert "not proposed again" in run(ready)
    assert len(pulls(github, ready)) == 1
    run(ready, 0, "--again")
    assert len(pulls(github, ready)) == 2


@pytest.mark.parametrize(
    ("step", "when"),
    [
        ("runner.workspace.changeset:Changeset.push", "before"),
        ("runner.workspace.changeset:Changeset.push", "after"),
        ("runner.publish.forges.github:GitHubForge.create", "after"),
        ("runner.publish.forges.github:GitHubForge.add_labels", "after"),
        ("runner.store.runs:Store.finish", "before"),
    ],
)
def test_killed_while_publishing_and_run_again(ready: Project, github: GitHub, step: str, when: str) -> None:
    killed = subprocess.run(
        [sys.executable, str(KILLED), step, when, *RUN],
        cwd=ready.root,
        env={**ready.environment(), "PYTHONPATH": str(KILLED.parent.parent.parent)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    run(ready)
    (pull,) = pulls(github, ready)
    assert [label["name"] for label in pull["labels"]] == ["documentation"]
    assert len(ready.git("rev-list", f"main..{BRANCH}", cwd=ready.origin).split()) == 1


def test_a_lost_answer_makes_no_second_pull_request(ready: Project, github: GitHub) -> None:
    lost: list[str] = []

    def lose(method: str, path: str) -> Any:
        if method == "POST" and path.endswith("/pulls") and not lost:
            lost.append(path)
            return "lost"
        return None

    github.fault = lose
    run(ready)
    assert lost
    assert len(pulls(github, ready)) == 1


def test_labels_that_may_not_be_made_fail_nothing(ready: Project, github: GitHub) -> None:
    github.fault = lambda method, path: (403, {}) if method == "POST" and path.endswith("/labels") else None
    run(ready)
    (pull,) = pulls(github, ready)
    assert pull["labels"] == []
    shown = ready.skillrunner("show", "latest", "--json").out
    assert "the label documentation was not set" in shown
    github.fault = None
    assert "nothing_to_do" in run(ready)
    assert [label["name"] for label in pulls(github, ready)[0]["labels"]] == ["documentation"]


def test_trouble_that_passes_is_waited_out(ready: Project, github: GitHub) -> None:
    answers = [(502, {}), (429, {"Retry-After": "1"}), (403, {"Retry-After": "0"})]
    github.fault = lambda method, _: answers.pop() if answers and method == "GET" else None
    run(ready)
    assert answers == []
    assert len(pulls(github, ready)) == 1


@pytest.mark.parametrize(
    ("token", "words"), [("", "GITHUB_TOKEN"), ("wrong-token-0123456789", "GITHUB_TOKEN")]
)
def test_a_missing_or_wrong_token_is_explained(ready: Project, token: str, words: str) -> None:
    ready.variables["GITHUB_TOKEN"] = token
    done = ready.skillrunner(*RUN)
    assert done.code == 6
    assert words in done.err
    assert "Traceback" not in done.err
    assert not token or token not in done.out + done.err


def test_the_token_is_nowhere_in_what_is_kept(ready: Project) -> None:
    run(ready)
    for path in ready.state.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_doctor_tells_what_the_token_may_do(ready: Project) -> None:
    done = ready.skillrunner("doctor", "--json")
    subjects = {finding["subject"] for finding in done.json()["findings"]}
    assert {"git", "repository", "token", "skills", "disk"} <= subjects
