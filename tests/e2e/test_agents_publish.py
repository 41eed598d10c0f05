"""The whole way with a real agent: skill, container, gateway, model, proposal, verification, pull request."""

import json
from pathlib import Path

import pytest

from tests.parts.cli import Project, skill_files
from tests.parts.model_server import ModelServer
from tests.parts.sessions import AGENTS

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

KEY = "sk-the-real-key-0123456789abcdef"
KINDS = {"claude": ("claude-code", "ANTHROPIC"), "codex": ("codex", "OPENAI")}
YAML = """
description: Write a page
on: {manual: {}}
harness: {kind: %s, model: %s}
verify: [test -s docs/page.md]
output: {pull_request: {title: "docs: a page", paths: ["docs/**"]}}
"""


@pytest.fixture(params=KINDS)
def agent_project(
    request: pytest.FixtureRequest, project: Project, local_image: str
) -> tuple[Project, str, str]:
    """A project whose skill names a real agent; the model is not said yet."""
    kind, prefix = KINDS[request.param]
    binary = request.getfixturevalue(f"{request.param}_binary")
    config = f"harnesses:\n  {kind}: {{binary: {binary}}}\n"
    files = skill_files("page", YAML % (kind, AGENTS[request.param][1]))
    project.commit({**files, "skillrunner.yaml": config})
    project.variables.update({"SKILLRUNNER_IMAGE": local_image, f"{prefix}_API_KEY": KEY})
    return project, request.param, prefix


def play(
    made: tuple[Project, str, str], server: ModelServer, folder: Path, script: list[list[dict[str, object]]]
) -> Project:
    project, agent, prefix = made
    project.variables[f"{prefix}_BASE_URL"] = server.url(f"publish-{agent}-{folder.name}", script)
    return project


def test_an_agent_opens_a_pull_request(
    agent_project: tuple[Project, str, str], model_server: ModelServer, tmp_path: Path
) -> None:
    write = {"write": {"path": "docs/page.md", "content": "# Page\n"}}
    script = [[{"say": "I will write it."}, write], [{"say": "Done: fixes #1, thanks @everyone."}]]
    project = play(agent_project, model_server, tmp_path, script)
    done = project.skillrunner("run", "page", "--json", timeout=200)
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
    agent_project: tuple[Project, str, str],
    model_server: ModelServer,
    tmp_path: Path,
    script: list[list[dict[str, object]]],
    state: str,
    reason: str,
) -> None:
    project = play(agent_project, model_server, tmp_path, script)
    done = project.skillrunner("run", "page", "--json", timeout=200)
    record = done.json()
    assert (record["state"], record["end"]["reason"]) == (state, reason), record["end"]
    assert project.branches() == ["main"]


def test_a_missing_key_is_named(agent_project: tuple[Project, str, str]) -> None:
    project, _, prefix = agent_project
    del project.variables[f"{prefix}_API_KEY"]
    done = project.skillrunner("run", "page")
    assert done.code == 1
    assert f"{prefix}_API_KEY" in done.out
