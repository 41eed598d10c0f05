"""Runs that have ended, and are gone on with: by hand with the agent's own program, and by another run."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.parts import agents
from tests.parts.cli import Done, Project, clean_environment, skill_files
from tests.parts.model_server import ModelServer
from tests.parts.sessions import AGENTS

KEY = "sk-the-real-key-0123456789abcdef"
SECRET = "s3cr3t-value-1234567890"
TASK = "Write the page about herons, please."
YAML = """
description: Write a page
on: {manual: {}}
environment: {secrets: [DOCS_TOKEN]}
harness: %s
%s
output: {pull_request: {title: "docs: a page", paths: ["docs/**"]}}
"""
KINDS = {"claude": "claude-code", "codex": "codex", "gemini": "gemini", "qwen": "qwen"}
CODEX = """
model_provider = "own"
[model_providers.own]
name = "own"
base_url = "%s"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
"""


def write(name: str) -> dict[str, Any]:
    return {"write": {"path": f"docs/{name}.md", "content": f"# {name}\n"}}


SCRIPT = [
    [{"say": "I will write it."}, write("page")],
    # Qwen Code loses what a program prints that ends at once: "Output: (empty)", on a busy machine.
    [{"shell": "echo The token is $DOCS_TOKEN.; sleep 1"}],
    [{"say": "The page is done."}],
    [{"say": "I go on."}, {"shell": "echo More. > docs/more.md"}],
    [{"say": "All is done now."}],
]


def prepared(
    agent: str, project: Project, image: str, server: ModelServer, script: Any, name: str, limits: str = ""
) -> agents.Agent:
    """A project whose skill `page` is done by an agent whose model follows the script `name`."""
    kind, (harness, model), installed = KINDS[agent], AGENTS[agent], agents.AGENTS[agent]()
    asked = json.dumps({"kind": kind, "model": model})
    config = f"harnesses:\n  {kind}: {{binary: {installed.program}}}\n" if not installed.needs else ""
    files = skill_files("page", YAML % (asked, limits), f"{TASK}\n")
    project.commit({**files, "skillrunner.yaml": config})
    access = harness.model_for({})
    assert access is not None
    project.variables.update(
        {
            "SKILLRUNNER_IMAGE": agents.image_with(installed, harness.program) if installed.needs else image,
            "DOCS_TOKEN": SECRET,
            access.key_variable: KEY,
            access.upstream_variable: server.url(name, script),
        }
    )
    return installed


def by_hand(
    agent: str, given: Mapping[str, Any], installed: agents.Agent, project: Project, folder: Path
) -> Done:
    """What a person types, who is asked nothing."""
    folder.mkdir()
    (folder / agent).symlink_to(installed.program)
    typed = str(given["command"])
    home = Path(given["folder"]) / ".git/skillrunner/home"
    if agent == "claude":
        typed += " -p 'Go on, by hand.' --dangerously-skip-permissions"
    elif agent == "codex":
        (home / ".codex/config.toml").write_text(CODEX % project.variables["OPENAI_BASE_URL"])
        flags = "--dangerously-bypass-approvals-and-sandbox --skip-git-repo-check"
        typed = typed.replace("codex resume ", f"codex exec resume {flags} ") + " 'Go on, by hand.'"
    elif agent == "qwen":
        typed += " -p 'Go on, by hand.' --yolo --auth-type openai"
    else:
        chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
        (home / ".gemini/settings.json").write_text(json.dumps(chosen))
        typed += " -p 'Go on, by hand.' --yolo --skip-trust"
    variables = {**clean_environment(project.home), **project.variables, "IS_SANDBOX": "1"}
    variables["PATH"] = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", typed],
        env={name: value for name, value in variables.items() if name != "HOME"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.docker
@pytest.mark.real_cli
@pytest.mark.parametrize("agent", KINDS)
def test_a_person_goes_on_with_the_agents_session(
    agent: str, project: Project, local_image: str, model_server: ModelServer, tmp_path: Path
) -> None:
    name = f"handoff-{agent}-{tmp_path.name}"
    installed = prepared(agent, project, local_image, model_server, SCRIPT, name)
    ran = project.skillrunner("run", "page", "--json")
    assert ran.json()["state"] == "succeeded", ran.out
    asked = len(model_server.asked(name))

    done = project.skillrunner("handoff", "latest", "--json")
    assert done.code == 0, done.err
    given = done.json()
    folder = Path(given["folder"])
    assert folder == project.root.parent / f"page-{ran.json()['id']}"
    assert project.git("diff", "--cached", "--name-only", cwd=folder) == "docs/page.md"
    assert project.git("status", "--porcelain", cwd=project.root) == ""
    for kept in (folder, project.state / "runs"):
        files = [path.read_bytes() for path in kept.rglob("*") if path.is_file()]
        assert not any(hidden.encode() in file for file in files for hidden in (KEY, SECRET))

    went = by_hand(agent, given, installed, project, tmp_path / "bin")
    assert went.code == 0, (went, given)
    said = json.dumps(model_server.asked(name)[asked].body)
    assert TASK in said
    assert "The token is ***." in said
    assert "The page is done." in said
    assert "Go on, by hand." in said
    assert (folder / "docs/more.md").exists()


MORE = "Now write about storks as well."
ALSO = {"shell": "echo Storks. > docs/more.md", "heard": MORE}
STUCK = [
    [{"say": "I will write it."}, write("page")],
    [{"delay": 90, "unheard": MORE}, ALSO, {"say": "Going on."}],
    [ALSO, {"say": "Going on."}],  # some take the broken answer for a turn
    [{"say": "All is done now."}],
]


@pytest.mark.docker
@pytest.mark.real_cli
@pytest.mark.parametrize("agent", KINDS)
def test_a_run_goes_on_where_another_was_interrupted(
    agent: str, project: Project, local_image: str, model_server: ModelServer, tmp_path: Path
) -> None:
    name = f"continue-{agent}-{tmp_path.name}"
    prepared(agent, project, local_image, model_server, STUCK, name)
    interrupted = interrupt(project, lambda: len(model_server.asked(name)) >= 2)
    assert interrupted["state"] == "cancelled", interrupted["end"]
    kept = {artifact["name"] for artifact in interrupted["artifacts"]}
    assert {"patch", "session.tar"} <= kept
    asked = len(model_server.asked(name))

    went = project.skillrunner("continue", "latest", MORE, "--json")
    record = went.json()
    assert record["state"] == "succeeded", (record["end"], went.err)
    assert record["spec"]["continues"] == interrupted["id"]
    said = json.dumps(model_server.asked(name)[asked].body)
    assert TASK in said
    assert MORE in said
    pages = project.git("ls-tree", "--name-only", "skillrunner/page/default:docs", cwd=project.origin)
    assert {"page.md", "more.md"} <= set(pages.split())
    assert f"goes on     from run {interrupted['id']}" in project.skillrunner("show", "latest").out


def interrupt(project: Project, ready: Callable[[], bool]) -> Any:
    """The record of a run that somebody ends with Ctrl-C."""
    process = subprocess.Popen(
        project.command("run", "page", "--json"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 90
        while not ready():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.1)
        process.terminate()  # a shell in the background has its programs ignore Ctrl-C
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert out, err
    return json.loads(out)
