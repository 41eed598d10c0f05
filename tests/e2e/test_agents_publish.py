"""The whole way with a real agent: skill, container, gateway, model, proposal, verification, pull request."""

import json
from pathlib import Path

import pytest

from runner.harnesses import ModelAccess
from runner.run.environment.install import FOLDER
from tests.parts import agents
from tests.parts.cli import Project, skill_files
from tests.parts.model_server import ModelServer
from tests.parts.protocols.steps import Script
from tests.parts.sessions import AGENTS, OPTIONS

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

KEY = "sk-the-real-key-0123456789abcdef"
KINDS = {"claude": "claude-code", "codex": "codex", "gemini": "gemini", "opencode": "opencode"}
KINDS |= {"acp-gemini": "acp"}
INSTALLED = ("codex", "gemini")
"""Those that the runner shows to an image which holds Node.js at most; others are mounted, or in it."""
YAML = """
description: Write a page
on: {manual: {}}
environment: {skills: [house-style]}
harness: %s
verify: [test -s docs/page.md]
output: {pull_request: {title: "docs: a page", paths: ["docs/**"]}}
"""
STYLE = """---
name: house-style
description: Read this before you write a page, or the Duchess will frown.
---
Use few words.
"""

Made = tuple[Project, str, ModelAccess]


@pytest.fixture(params=["claude"])
def agent_project(request: pytest.FixtureRequest, project: Project, local_image: str) -> Made:
    """A project whose skill names a real agent; where the model is is not said yet."""
    agent = str(request.param)
    (harness, model), kind = AGENTS[agent], KINDS[agent]
    installed = agents.AGENTS[agent.removeprefix("acp-")]()
    options = OPTIONS.get(agent, {})
    access = harness.model_for(options)
    assert access is not None
    name = harness.program or options["command"][0]
    config = f"harnesses:\n  {kind}: {{binary: {installed.program}}}\n" if not installed.needs else ""
    image = agents.image_with(installed, name) if installed.needs else local_image
    if kind in INSTALLED:
        config, image = f"harnesses:\n  {kind}: {{version: tested}}\n", agents.image_for(installed)
        project.state.mkdir()
        (project.state / FOLDER).symlink_to(agents.CACHE)  # fetched already
    asked = json.dumps({"kind": kind, "model": model, **options})
    style = {"skills/house-style/SKILL.md": STYLE}
    project.commit({**skill_files("page", YAML % asked), **style, "skillrunner.yaml": config})
    project.variables.update({"SKILLRUNNER_IMAGE": image, access.key_variable: KEY})
    return project, agent, access


def play(made: Made, server: ModelServer, folder: Path, script: Script) -> Project:
    project, agent, access = made
    project.variables[access.upstream_variable] = server.url(f"publish-{agent}-{folder.name}", script)
    return project


@pytest.mark.parametrize("agent_project", KINDS, indirect=True)
def test_an_agent_opens_a_pull_request(
    agent_project: Made, model_server: ModelServer, tmp_path: Path
) -> None:
    write = {"write": {"path": "docs/page.md", "content": "# Page\n"}}
    script = [[{"say": "I will write it."}, write], [{"say": "Done: fixes #1, thanks @everyone."}]]
    project = play(agent_project, model_server, tmp_path, script)
    done = project.skillrunner("run", "page", "--json")
    assert done.code == 0, done.err
    record = done.json()
    assert (record["state"], record["checks"][0]["ok"]) == ("succeeded", True)
    assert record["tokens_in"] > 0
    page = project.git("show", "skillrunner/page/default:docs/page.md", cwd=project.origin)
    assert page == "# Page"
    (pull,) = project.skillrunner("pr", "list", "--json").json()
    assert "Done" in pull["body"]
    assert "fixes #1" not in pull["body"]
    assert "@everyone" not in pull["body"]
    asked = model_server.asked(f"publish-{agent_project[1]}-{tmp_path.name}")
    assert any("the Duchess will frown" in json.dumps(one.body) for one in asked), "it knows the other skill"
    log = project.skillrunner("logs", "latest").out
    assert "I will write it." in log
    assert KEY not in json.dumps(record) + pull["body"] + log
    for path in project.state.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("script", "state", "reason"),
    [
        ([[{"say": "All is well, nothing was done."}]], "failed", "no_evidence"),
        ([[{"error": 401, "message": "wrong key"}]], "failed", "provider_error"),
        ([[{"shell": "true"}], [{"say": "Nothing needs to change."}]], "nothing_to_do", "no_changes"),
    ],
)
def test_an_agent_that_does_nothing_opens_none(
    agent_project: Made,
    model_server: ModelServer,
    tmp_path: Path,
    script: Script,
    state: str,
    reason: str,
) -> None:
    project = play(agent_project, model_server, tmp_path, script)
    done = project.skillrunner("run", "page", "--json")
    record = done.json()
    assert (record["state"], record["end"]["reason"]) == (state, reason), record["end"]
    assert project.branches() == ["main"]


def test_a_missing_key_is_named(agent_project: Made) -> None:
    project, _, access = agent_project
    del project.variables[access.key_variable]
    done = project.skillrunner("run", "page")
    assert done.code == 3
    assert access.key_variable in done.out
