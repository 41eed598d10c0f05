"""Skills that read other repositories than their own."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_worker import commit_files, ended, until, worker
from tests.e2e.test_worker_app import app_project
from tests.parts.cli import Project, clean_environment, skill_files
from tests.parts.github import OWNER, TOKEN, GitHub, repository

__all__ = ["app_project"]  # a fixture

TAKES = """
    cd $SKILLRUNNER_REPOSITORIES;
    cat api/version.txt old/version.txt > $OLDPWD/docs/versions.md;
    git -C api log --format=%s >> $OLDPWD/docs/versions.md;
    echo mine > api/version.txt || echo 'cannot be written' >> $OLDPWD/docs/versions.md
"""
YAML = """
on: {manual: {}}
environment: {repositories: {api: acme/api, old: acme/api@v1}}
harness: {kind: command, command: [sh, -c, "%s"]}
verify: [test -f "$SKILLRUNNER_REPOSITORIES/api/version.txt"]
output: {pull_request: {title: versions, paths: ["docs/**"]}}
"""


def other(project: Project, folder: Path) -> Path:
    """Another repository, whose default branch is `trunk`, with a tag of before."""

    def git(*args: str) -> None:
        subprocess.run(["git", *args], cwd=folder, env=clean_environment(project.home), check=True)

    folder.mkdir(parents=True)
    git("init", "-q", "-b", "trunk")
    for version in ("1", "2"):
        (folder / "version.txt").write_text(f"{version}\n")
        git("add", "-A")
        git("commit", "-q", "-m", f"Version {version}")
        git("tag", f"v{version}")
    return folder


def versions(project: Project) -> str:
    return project.git("show", "skillrunner/reads/default:docs/versions.md", cwd=project.origin)


@pytest.mark.parametrize("sandbox", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_they_lie_beside_the_workspace(
    request: pytest.FixtureRequest, project: Project, tmp_path: Path, sandbox: str
) -> None:
    if sandbox == "docker":
        project.variables["SKILLRUNNER_IMAGE"] = request.getfixturevalue("local_image")
    api = other(project, tmp_path / "api")
    config = f"sandbox: {sandbox}\nrepositories: {{acme/api: {api}}}\n"
    takes = " ".join(TAKES.split()).replace('"', '\\"')
    project.commit({**skill_files("reads", YAML % takes), "skillrunner.yaml": config})
    done = project.skillrunner("run", "reads", "--json")
    assert done.code == 0, done.out + done.err
    text = versions(project).splitlines()
    assert text[:4] == ["2", "1", "Version 2", "Version 1"]
    assert ("cannot be written" in text) is (sandbox == "docker")
    assert (api / "version.txt").read_text() == "2\n"
    told = [event["message"] for event in done.json()["events"]]
    assert any(line.startswith("acme/api@v1 at ") and line.endswith("as old") for line in told)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", "nobody says where acme/api is"),
        ("repositories: {acme/api: /no/such/folder}", "/no/such/folder"),
        ("repositories: {acme/api: %s}", "has no branch, tag or commit 'v1'"),
    ],
)
def test_what_cannot_be_read_ends_the_run(project: Project, tmp_path: Path, config: str, words: str) -> None:
    api = other(project, tmp_path / "api")
    subprocess.run(["git", "tag", "-d", "v1"], cwd=api, check=True, capture_output=True)
    if "%s" in config:
        config %= api
    project.commit(
        {**skill_files("reads", YAML % "true"), "skillrunner.yaml": f"sandbox: process\n{config}\n"}
    )
    done = project.skillrunner("run", "reads")
    assert done.code != 0
    assert words in done.out + done.err
    assert not list((project.state / "runs").rglob("repositories"))


def published(project: Project, github: GitHub) -> str:
    """The name of another repository on this GitHub."""
    name = f"{repository(project)}-api"
    github.api("POST", "/user/repos", {"name": name.removeprefix(f"{OWNER}/"), "auto_init": True})
    made = other(project, project.home / "api")
    subprocess.run(["git", "clone", "-q", "--bare", made, github.repositories / f"{name}.git"], check=True)
    return name


@pytest.mark.emulator
@pytest.mark.git_http
def test_the_forges_token_reads_them(github_project: Project, github: GitHub) -> None:
    yaml = YAML.replace("acme/api", published(github_project, github))
    copies = "cat $SKILLRUNNER_REPOSITORIES/*/version.txt > docs/versions.md"
    github_project.commit(skill_files("reads", yaml % copies))
    done = github_project.skillrunner("run", "reads")
    assert done.code == 0, done.out + done.err
    assert versions(github_project).split() == ["2", "1"]
    assert TOKEN not in done.out + done.err


@pytest.mark.emulator
@pytest.mark.git_http
def test_a_worker_reads_what_its_owner_allows(app_project: Project, github: GitHub) -> None:
    there = published(app_project, github)
    config = app_project.home / "worker/skillrunner.yaml"
    config.write_text(f"{config.read_text()}  reads: {{'{OWNER}/*': ['{there}']}}\n")
    due = "on: {schedule: [{cron: '0 0 1 1 *', catch_up: 366d}]}"
    copies = "cat $SKILLRUNNER_REPOSITORIES/*/version.txt > docs/versions.md"
    allowed = YAML.replace("on: {manual: {}}", due).replace("acme/api", there) % copies
    refused = allowed.replace(there, f"{OWNER}/elsewhere")
    files = {**skill_files("reads", allowed), **skill_files("refused", refused)}
    commit_files(app_project, "reads", files, ago=400 * 86_400)
    with worker(app_project) as (_, log):
        until(lambda: bool(ended(app_project, "reads") and ended(app_project, "refused")), log)
    assert [run["state"] for run in ended(app_project, "reads")] == ["succeeded"]
    assert "may not read skillrunner/elsewhere".replace("skillrunner", OWNER) in str(
        ended(app_project, "refused")
    )
    asked = [call.body for call in github.calls if call.path.endswith("/access_tokens")]
    reading = [body for body in asked if body.get("repositories") == [there.removeprefix(f"{OWNER}/")]]
    assert [body["permissions"] for body in reading] == [{"contents": "read", "metadata": "read"}]
