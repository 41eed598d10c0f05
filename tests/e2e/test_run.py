"""The main job as a user sees it: the command line, a real repository, a real sandbox."""

import json
from pathlib import Path

import pytest

from tests.parts.cli import Project, skill_files

WRITE = """
description: Write a file
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "%s"]}
output: {pull_request: {title: "docs: touch up", paths: ["docs/**"], labels: [documentation]}}
"""


def writing(command: str, more: str = "") -> dict[str, str]:
    return skill_files("touch-up", WRITE % command.replace('"', '\\"') + more)


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def sandboxed(request: pytest.FixtureRequest, project: Project) -> Project:
    """A project whose runs use each sandbox in turn."""
    project.variables["SKILLRUNNER_SANDBOX"] = request.param
    if request.param == "docker":
        project.variables["SKILLRUNNER_IMAGE"] = request.getfixturevalue("local_image")
    return project


def test_a_skill_turns_into_one_pull_request(sandboxed: Project) -> None:
    sandboxed.commit(writing("cat > docs/new.md"))
    done = sandboxed.skillrunner("run", "touch-up")
    assert done.code == 0, done.err
    assert "skillrunner/touch-up/default" in sandboxed.branches()
    assert (
        sandboxed.git("show", "skillrunner/touch-up/default:docs/new.md", cwd=sandboxed.origin)
        == "Do the work."
    )

    again = sandboxed.skillrunner("run", "touch-up")
    assert again.code == 0, again.err
    (pull,) = sandboxed.skillrunner("pr", "list", "--json").json()
    assert pull["state"] == "open"
    states = {run["state"] for run in sandboxed.skillrunner("list", "--json").json()}
    assert states == {"succeeded", "nothing_to_do"}


def test_a_changed_result_updates_the_same_pull_request(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(writing("cat docs/guide.md > docs/new.md"))
    assert project.skillrunner("run", "touch-up").code == 0
    first = project.git("rev-parse", "skillrunner/touch-up/default", cwd=project.origin)
    project.commit({"docs/guide.md": "# Guide\n\nNew text.\n"}, "New guide")
    assert project.skillrunner("run", "touch-up").code == 0
    assert project.git("rev-parse", "skillrunner/touch-up/default", cwd=project.origin) != first
    assert len(project.skillrunner("pr", "list", "--json").json()) == 1


@pytest.mark.parametrize(
    ("command", "more", "code", "state", "reason"),
    [
        ("true", "", 0, "nothing_to_do", "no_changes"),
        ("echo x > docs/a.md; exit 3", "", 1, "failed", "harness_failed"),
        ("echo x > docs/a.md", "verify: ['false']\n", 1, "failed", "verification_failed"),
        ("echo x > docs/a.md; sleep 30", "limits: {timeout: 1s}\n", 5, "timed_out", "wall_clock"),
        ("echo x > docs/a.md; sleep 30", "limits: {idle: 1s}\n", 5, "timed_out", "idle"),
        ("echo x > docs/a.md", "environment: {setup: ['exit 7']}\n", 1, "failed", "setup_failed"),
        ("echo x > docs/a.md", "environment: {secrets: [NOT_SET_HERE]}\n", 3, "error", "secret_missing"),
        ("echo x > src.py", "", 4, "blocked", "policy_refused"),
    ],
)
def test_every_end_has_its_reason(
    project: Project, command: str, more: str, code: int, state: str, reason: str
) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(writing(command, more))
    done = project.skillrunner("run", "touch-up", "--json")
    assert done.code == code, done.err
    record = json.loads(done.out)
    assert (record["state"], record["end"]["reason"]) == (state, reason)
    assert project.branches() == ["main"]


def test_a_failed_verification_may_open_a_draft(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(
        writing("echo x > docs/a.md", "verify: ['echo broken; false']\non_verify_failure: draft\n")
    )
    assert project.skillrunner("run", "touch-up").code == 0
    (pull,) = project.skillrunner("pr", "list", "--json").json()
    assert pull["draft"] is True
    assert "failed" in pull["body"]
    assert "broken" in pull["body"]


def test_dry_run_shows_the_prompt_and_changes_nothing(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(writing("cat > docs/new.md"))
    done = project.skillrunner("run", "touch-up", "--dry-run")
    assert done.code == 0, done.err
    for expected in ("Do the work.", "docs/**", "skillrunner/touch-up/default"):
        assert expected in done.out
    assert project.branches() == ["main"]
    assert project.skillrunner("list", "--json").json() == []


def test_uncommitted_work_of_the_user_stays_out(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(writing("cat > docs/new.md"))
    project.write({"docs/guide.md": "half-done", "docs/scratch.md": "mine"})
    assert project.skillrunner("run", "touch-up").code == 0
    changed = project.git("diff", "--name-only", "main", "skillrunner/touch-up/default", cwd=project.origin)
    assert changed == "docs/new.md"
    assert (project.root / "docs/guide.md").read_text() == "half-done"


def test_secrets_reach_the_harness_and_nothing_else(project: Project, tmp_path: Path) -> None:
    project.variables.update({"SKILLRUNNER_SANDBOX": "process", "DEPLOY_TOKEN": "s3cr3t-value-1234567890"})
    project.commit(
        writing(
            "echo $DEPLOY_TOKEN; test -n $DEPLOY_TOKEN && echo ok > docs/a.md",
            "environment: {secrets: [DEPLOY_TOKEN]}\n",
        )
    )
    assert project.skillrunner("run", "touch-up").code == 0
    for path in project.state.rglob("*"):
        if path.is_file():
            assert b"s3cr3t-value-1234567890" not in path.read_bytes(), path


def test_errors_name_the_next_thing_to_do(project: Project, tmp_path: Path) -> None:
    missing = project.skillrunner("run", "no-such-skill")
    assert missing.code == 3
    assert "no-such-skill" in missing.err
    assert "hint" in missing.err
    assert "Traceback" not in missing.err
