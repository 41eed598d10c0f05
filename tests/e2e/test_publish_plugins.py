"""Third parties' outputs and forges in real runs: one file each, found because their package is installed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
description: Write a page, and report on it
on: {manual: {}}
harness:
  kind: command
  command:
    - sh
    - -c
    - |
      echo "New." > docs/new.md
      echo '{"kind": "file_report", "text": "I wrote **a page**, @ada."}' >> "$SKILLRUNNER_OUTPUTS"
      echo '{"kind": "pull_request", "body": "A page."}' >> "$SKILLRUNNER_OUTPUTS"
output:
  file_report: {folder: FOLDER}
  pull_request: {title: "docs: a page", paths: ["docs/**"]}
"""


@pytest.fixture
def ready(project: Project, third_parties: Path, tmp_path: Path) -> Project:
    project.commit(skill_files("page", YAML.replace("FOLDER", str(tmp_path / "reports"))))
    project.variables.update({"PYTHONPATH": str(third_parties), "SKILLRUNNER_SANDBOX": "process"})
    return project


def record(project: Project, *more: str, code: int = 0) -> Any:
    done = project.skillrunner("run", "page", "--json", *more)
    assert done.code == code, done.out + done.err
    return done.json()


def test_a_run_publishes_by_two_outputs(ready: Project, tmp_path: Path) -> None:
    assert ready.skillrunner("validate").code == 0
    ran = record(ready)
    report = tmp_path / "reports/page.md"
    pull, url = f"local:{ready.origin}#1", report.as_uri()
    message = f"pull request created: {pull}; file report created: {url}"
    assert (ran["state"], ran["end"]["message"]) == ("succeeded", message)
    assert sorted((one["kind"], one["url"]) for one in ran["receipts"]) == [
        ("file_report", url),
        ("pull_request", pull),
    ]
    assert "I wrote **a page**" in report.read_text()
    assert f"See {pull}" in report.read_text()
    assert "@ada" not in report.read_text()
    shown = ready.skillrunner("show", ran["id"]).out
    assert "published   file_report created: file:" in shown
    assert "published   pull_request created: local:" in shown


def test_a_dry_run_and_the_schema_know_the_output(ready: Project, tmp_path: Path) -> None:
    plan = ready.skillrunner("run", "page", "--dry-run").out
    wanted = [f"report       {tmp_path}/reports/page.md", "branch       skillrunner/page/default"]
    assert [line for line in plan.splitlines() if line in wanted] == wanted[::-1]
    ready.write(
        {"skills/page/skill.yaml": skill_files("page", YAML)["skills/page/skill.yaml"] + "  none: {}\n"}
    )
    done = ready.skillrunner("validate")
    assert done.code != 0
    assert "names `none`, which publishes nothing, beside others" in done.out


def test_an_output_that_the_skill_does_not_name_is_refused(ready: Project, tmp_path: Path) -> None:
    text = YAML.replace('"kind": "file_report"', '"kind": "tweet"').replace(
        "FOLDER", str(tmp_path / "reports")
    )
    ready.commit(skill_files("page", text))
    ran = record(ready, code=4)
    assert (ran["state"], ran["end"]["reason"]) == ("blocked", "policy_refused")
    assert [one["rule"] for one in ran["refusals"]] == ["output_kind"]
    assert (ran["receipts"], ready.branches()) == ([], ["main"])
    assert not (tmp_path / "reports").exists()


def test_when_the_second_output_fails_the_first_stays_and_is_made_once(
    ready: Project, tmp_path: Path
) -> None:
    (tmp_path / "reports").write_text("This is no folder.")
    ran = record(ready, code=6)
    assert (ran["state"], ran["end"]["phase"]) == ("error", "publish")
    assert [(one["kind"], one["action"]) for one in ran["receipts"]] == [("pull_request", "created")]
    (tmp_path / "reports").unlink()
    again = record(ready)
    actions = {one["kind"]: one["action"] for one in again["receipts"]}
    assert actions == {"pull_request": "unchanged", "file_report": "created"}
    assert len(json.loads(ready.skillrunner("pr", "list", "--all", "--json").out)) == 1


def test_a_pull_request_that_a_person_closed_keeps_no_other_output_back(
    ready: Project, tmp_path: Path
) -> None:
    record(ready)
    assert ready.skillrunner("pr", "close", "1").code == 0
    (tmp_path / "reports/page.md").unlink()
    ran = record(ready)
    assert [one["kind"] for one in ran["receipts"]] == ["file_report"]
    assert (tmp_path / "reports/page.md").exists()
    assert ran["state"] == "succeeded"
    assert (
        f"; no pull request: local:{ready.origin}#1 proposed this and was closed unmerged"
        in ran["end"]["message"]
    )
    assert len(json.loads(ready.skillrunner("pr", "list", "--all", "--json").out)) == 1


def test_a_commit_of_a_person_keeps_no_other_output_back(ready: Project, tmp_path: Path) -> None:
    record(ready)
    ready.git("fetch", "-q", "origin", "skillrunner/page/default")
    ready.git("checkout", "-q", "-b", "theirs", "FETCH_HEAD")
    ready.write({"docs/theirs.md": "Theirs.\n"})
    ready.git("add", "-A")
    ready.git("commit", "-q", "-m", "Theirs")
    ready.git("push", "-q", "origin", "HEAD:skillrunner/page/default")
    ready.git("checkout", "-q", "main")
    (tmp_path / "reports/page.md").unlink()
    ran = record(ready)
    assert (ran["state"], [one["kind"] for one in ran["receipts"]]) == ("succeeded", ["file_report"])
    assert "no pull request: skillrunner/page/default has a commit by Ada" in ran["end"]["message"]


def test_a_pull_request_goes_to_another_forge(ready: Project) -> None:
    """It serves the origin, as a folder for pull requests lies beside that."""
    pulls = ready.origin.with_suffix(".pulls")
    pulls.mkdir()
    done = ready.skillrunner("run", "page")
    assert "pull requests go to JSON files, and JSON_FILES_TOKEN is not set" in done.err + done.out
    ready.variables["JSON_FILES_TOKEN"] = "a-token"
    ran = record(ready)
    urls = {one["kind"]: one["url"] for one in ran["receipts"]}
    assert urls["pull_request"] == f"{ready.origin.as_uri()}#1"
    (file,) = pulls.glob("*.json")
    kept = json.loads(file.read_text())
    assert (kept["title"], kept["state"], kept["branch"]) == (
        "docs: a page",
        "open",
        "skillrunner/page/default",
    )
    assert "A page." in kept["body"]
    assert ran["repository"] == "files/origin"
    done = ready.skillrunner("pr", "list")
    assert "the pull requests of files/origin are on json_files" in done.err + done.out
    local = record(ready, "--forge", "local")
    assert local["receipts"][1]["url"].startswith("local:")


def test_an_unknown_forge_is_named_with_those_that_there_are(ready: Project) -> None:
    done = ready.skillrunner("run", "page", "--forge", "nowhere")
    assert done.code != 0
    assert "there is no `nowhere` among the forges" in done.err + done.out
    assert "github, json_files, local" in done.err + done.out
