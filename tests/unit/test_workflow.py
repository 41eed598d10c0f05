"""The workflow file: what the skills need, no more, and clean under the linters that people use."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from runner.action.preflight import dangers
from runner.errors import RunnerError
from runner.model import Reason
from runner.skill import Skill, load
from runner.skill.discover import discover
from runner.workflow import FILE, Use, render, settings
from tests.parts.cli import skill_files
from tests.parts.need import require

ROOT = Path(__file__).parent.parent.parent
USE = Use(action="acme/skillrunner@0123456789abcdef0123456789abcdef01234567 # v1.0.0")
PULL = "output: {pull_request: {title: t}}\n"
COMMAND = "harness: {kind: command, command: [x]}\n"


def skills(**yaml: str) -> Mapping[str, Skill]:
    files: dict[str, bytes] = {}
    for name, text in yaml.items():
        whole = text + ("" if "harness:" in text else COMMAND) + ("" if "output:" in text else PULL)
        made = skill_files(name.replace("_", "-"), whole)
        files.update({path: content.encode() for path, content in made.items()})
    loaded = load(files)
    assert loaded.faults == ()
    return loaded.skills


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


EVERYTHING = {
    "a_release": "on: {release: {types: [published, deleted]}}\noverlap: queue\n",
    "b_release": "on: {release: {types: [created]}, manual: {}}\noverlap: cancel_running\n",
    "issues": "on: {issues: {types: [labeled]}, issue_comment: {command: /docs}}\n",
    "pulls": "on: {pull_request: {branches: [main], paths: ['src/**']}}\noutput: {none: {}}\n",
    "pushes": "on: {push: {branches: ['release/**', main]}}\n",
    "tags": "on: {push: {tags: ['v*']}}\n",
    "runs": "on: {workflow_run: {workflows: ['CI: \"all\"', Test]}, check_run: {}}\n",
    "hook": "on: {webhook: {secret: HOOK}}\nenvironment: {secrets: [DEPLOY_KEY]}\n",
    "cron": "on: {schedule: [{cron: '30 9 * * 1', timezone: Europe/Berlin}, {cron: '*/2 * * * *'}]}\n",
    "claude": "on: {release: {}}\nharness: {kind: claude-code}\nlimits: {timeout: 90m, attempts: 2}\n",
    "follows": "on: {run_completed: {skill: issues}}\nharness: {kind: codex}\nenvironment: {secrets: [X]}\n",
    "off": "on: {discarded: {}}\n".replace("discarded", "release") + "enabled: false\n",
}


def test_the_triggers_are_the_union_of_what_the_skills_ask_for() -> None:
    on = read(render(skills(**EVERYTHING), USE))["on"]
    assert on["release"]["types"] == ["created", "deleted", "published"]
    assert on["issues"]["types"] == ["labeled"]
    assert on["issue_comment"]["types"] == ["created"]
    assert on["pull_request"]["types"] == ["opened", "reopened", "synchronize"]
    assert on["push"] == {"branches": ["main", "release/**"], "tags": ["v*"]}
    assert on["workflow_run"] == {"types": ["completed"], "workflows": ['CI: "all"', "Test"]}
    assert on["repository_dispatch"] == {"types": ["hook"]}
    assert [one["cron"] for one in on["schedule"]] == ["*/5 * * * *", "30 7-8 * * 1"]
    assert on["workflow_dispatch"]["inputs"]["skill"]["options"][:3] == ["", "a-release", "b-release"]


def test_each_job_has_what_its_skill_needs_and_nothing_of_another() -> None:
    jobs = read(render(skills(**EVERYTHING), USE))["jobs"]
    assert "off" not in jobs
    assert jobs["plan"]["permissions"] == {"contents": "write"}
    assert jobs["pulls"]["permissions"] == {"contents": "write"}
    assert jobs["claude"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    env = {name: list(job["steps"][-1].get("env", ())) for name, job in jobs.items()}
    assert env["claude"] == ["ANTHROPIC_API_KEY"]
    assert env["hook"] == ["DEPLOY_KEY"]
    assert env["issues"] == ["OPENAI_API_KEY", "X"], "what follows a run runs in its job"
    assert env["plan"] == env["a-release"] == []
    assert jobs["claude"]["timeout-minutes"] == 180 + 15
    assert jobs["a-release"]["concurrency"] == {
        "group": "skillrunner-a-release",
        "cancel-in-progress": False,
    }
    assert jobs["b-release"]["concurrency"]["cancel-in-progress"] is True
    assert "concurrency" not in jobs["hook"]


@pytest.mark.parametrize("push", ["{}", "{branches_ignore: [x]}", "{branches: ['v[0-9]']}", "{paths: [x]}"])
def test_a_push_that_github_cannot_filter_as_we_do_always_comes(push: str) -> None:
    text = render(skills(a=f"on: {{push: {push}}}\n", b="on: {push: {branches: [main]}}\n"), USE)
    assert read(text)["on"]["push"] is None


def test_the_settings_are_kept_in_the_file() -> None:
    use = Use(
        action="a/skillrunner@1",
        app=True,
        runs_on="self-hosted",
        sandbox="process",
        config="etc/skillrunner.yaml",
    )
    text = render(skills(a="on: {release: {}}\n"), use)
    assert settings(text) == use
    assert settings("name: CI\n") is None
    for job in read(text)["jobs"].values():
        assert job["runs-on"] == "self-hosted"
        (step,) = job["steps"]
        given = step["with"]
        assert given["app-private-key"] == "${{ secrets.SKILLRUNNER_APP_PRIVATE_KEY }}"
        assert (given["config"], given["sandbox"]) == ("etc/skillrunner.yaml", "process")


def test_what_github_cannot_serve_is_said() -> None:
    with pytest.raises(RunnerError) as caught:
        render(skills(a="on: {workflow_run: {}}\n"), USE)
    assert "skills/a/skill.yaml: `on.workflow_run` names no workflows" in caught.value.message
    with pytest.raises(RunnerError) as caught:
        render(skills(a="on: {release: {}}\nenabled: false\n"), USE)
    assert caught.value.reason is Reason.SKILL_NOT_FOUND


def tool(name: str) -> str:
    path = Path(sys.executable).parent / name
    require(path.exists(), name, "make setup")
    return str(path)


FILES = {
    "everything": lambda: render(skills(**EVERYTHING), USE),
    "shipped": lambda: render(load(discover(ROOT).files).skills, USE),
    "app": lambda: render(skills(**EVERYTHING), Use(action=USE.action, app=True, sandbox="docker")),
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_clean(name: str, tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_text(FILES[name]())
    for command in (
        [tool("actionlint"), "-shellcheck=", "-pyflakes=", str(path)],
        [tool("zizmor"), "--offline", "--no-progress", "--min-severity", "low", str(path)],
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    found = dangers(FILE, path.read_bytes(), "")
    assert {danger.rule for danger in found} <= {"default_token"}


def test_the_action_itself_is_clean() -> None:
    for command in (
        [tool("zizmor"), "--offline", "--no-progress", "--min-severity", "low", "action.yml"],
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-actions", "action.yml"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
