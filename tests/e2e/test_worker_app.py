"""A worker that is a GitHub App: its tokens end while it works, and it lists what it is installed on."""

import json

import pytest

from tests.e2e.test_worker import commit, ended, until, worker
from tests.parts.cli import Project
from tests.parts.github import APP_ID, OWNER, TOKEN, GitHub, repository

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]

DUE = "{schedule: [{cron: '0 0 1 1 *', catch_up: 366d}]}"
RENEWED = 600.0  # seconds before its end that a token is renewed


@pytest.fixture
def app_project(github_project: Project, github: GitHub) -> Project:
    """A project whose worker has an App's key, and nobody's token."""
    folder = github_project.home / "worker"
    folder.mkdir()
    (folder / "key.pem").write_text(github.app_key)
    serve(github_project, repository(github_project))
    del github_project.variables["GITHUB_TOKEN"]
    return github_project


def serve(project: Project, pattern: str) -> None:
    (project.home / "worker/skillrunner.yaml").write_text(
        "sandbox: process\nworker:\n"
        f"  repositories: ['{pattern}']\n  poll: 1s\n  drain: 20s\n"
        f"  app: {{id: '{APP_ID}', private_key_file: {project.home}/worker/key.pem}}\n"
    )


def authors(project: Project, github: GitHub) -> list[str]:
    found = github.api("GET", f"/repos/{repository(project)}/pulls?state=all")
    return [pull["user"]["login"] for pull in found]


def test_a_run_that_is_longer_than_its_token_publishes_with_a_new_one(
    app_project: Project, github: GitHub
) -> None:
    github.life = RENEWED + 2
    go = app_project.home / "go"
    waits = f"touch {go}-begun; while ! test -e {go}; do sleep 0.1; done; cat > docs/slow.md"
    commit(app_project, "slow", DUE, waits, ago=400 * 86_400)
    with worker(app_project) as (_, log):
        until((app_project.home / "go-begun").exists, log)
        github.end_tokens()
        until(lambda: github.tokens != {TOKEN}, log)
        go.touch()
        until(lambda: bool(ended(app_project, "slow")), log)
    assert [run["state"] for run in ended(app_project, "slow")] == ["succeeded"]
    assert authors(app_project, github) == ["skillrunner-test[bot]"]
    assert github.dead
    assert not any(token in log.read_text() for token in github.dead | github.tokens)


def test_a_glob_means_what_the_app_is_installed_on(app_project: Project, github: GitHub) -> None:
    name = repository(app_project)
    serve(app_project, f"{name[:-3]}*")
    commit(app_project, "docs", DUE, ago=400 * 86_400)
    with worker(app_project) as (_, log):
        until(lambda: bool(ended(app_project, "docs")), log)
    assert authors(app_project, github) == ["skillrunner-test[bot]"]
    asked = [call.body for call in github.calls if call.path.endswith("/access_tokens")]
    assert {"permissions": {"metadata": "read"}} in asked
    assert any(body["permissions"].get("issues") == "read" for body in asked), "it may hear of issues"
    assert not any("actions" in body["permissions"] for body in asked), "the App was not given it"
    given = [body["permissions"] for body in asked]
    assert {"contents": "read", "metadata": "read"} in given, "a clone reads"
    published = {"contents": "write", "pull_requests": "write", "metadata": "read"}
    assert published in given, "what is published asks for what its output needs"
    narrow = [json.dumps(body["repositories"]) for body in asked if "repositories" in body]
    assert set(narrow) == {json.dumps([name.removeprefix(f"{OWNER}/")])}


def test_where_the_app_is_not_installed_is_told_and_the_rest_goes_on(
    app_project: Project, github: GitHub
) -> None:
    serve(app_project, f"{repository(app_project)}', 'alice/*")
    commit(app_project, "docs", DUE, ago=400 * 86_400)
    with worker(app_project) as (_, log):
        until(lambda: "is not installed on alice" in log.read_text(), log)
        until(lambda: bool(ended(app_project, "docs")), log)
    assert authors(app_project, github) == ["skillrunner-test[bot]"]
