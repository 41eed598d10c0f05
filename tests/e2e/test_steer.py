"""Agents that are told something while they work: real ones in containers, and one that hears nothing."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts import agents
from tests.parts.cli import Project, skill_files
from tests.parts.model_server import ModelServer
from tests.parts.sessions import AGENTS, OPTIONS

KEY = "sk-the-real-key-0123456789abcdef"
MESSAGE = "Rather write other.md, please."
YAML = """
description: Write a page
on: {manual: {}}
harness: %s
output: {pull_request: {title: "docs: a page", paths: ["docs/**"]}}
"""
KINDS = {"claude": "claude-code", "acp-gemini": "acp"}
RESUMING = {"codex": "codex", "gemini": "gemini", "opencode": "opencode"}


def write(name: str) -> dict[str, Any]:
    return {"write": {"path": f"docs/{name}.md", "content": f"# {name}\n"}}


SLOWLY = [
    [{"say": "I will."}, write("page")],
    [{"delay": 6}, {"say": "Done."}],
    [{**write("other"), "heard": MESSAGE}, {"say": "More."}],
    [{"say": "All done."}],
]
SCRIPT = [
    [{"say": "I will."}, write("page")],
    [{"delay": 90, "unheard": MESSAGE}, {**write("other"), "heard": MESSAGE}, {"say": "Done."}],
    [{"say": "All done."}],
]


@contextmanager
def running(project: Project, *args: str) -> Iterator["subprocess.Popen[str]"]:
    """`skillrunner run`, beside the test."""
    process = subprocess.Popen(
        project.command("run", *args, "--json"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait(ready: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 90
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(params=KINDS)
def steered(
    request: pytest.FixtureRequest,
    project: Project,
    local_image: str,
    model_server: ModelServer,
    tmp_path: Path,
) -> tuple[Project, str]:
    """A project whose agent waits for its model in its second call; and where it asks that."""
    agent = str(request.param)
    kind = {**KINDS, **RESUMING}[agent]
    (harness, model), options = AGENTS[agent], OPTIONS.get(agent, {})
    installed = agents.AGENTS[agent.removeprefix("acp-")]()
    access = harness.model_for(options)
    assert access is not None
    asked = json.dumps({"kind": kind, "model": model, **options})
    config = f"harnesses:\n  {kind}: {{binary: {installed.program}}}\n" if not installed.needs else ""
    project.commit({**skill_files("page", YAML % asked), "skillrunner.yaml": config})
    program = harness.program or options["command"][0]
    image = agents.image_with(installed, program) if installed.needs else local_image
    name = f"steer-{agent}-{tmp_path.name}"
    project.variables.update({"SKILLRUNNER_IMAGE": image, access.key_variable: KEY})
    project.variables[access.upstream_variable] = model_server.url(
        name, SLOWLY if agent in RESUMING else SCRIPT
    )
    return project, name


@pytest.mark.docker
@pytest.mark.real_cli
def test_a_message_changes_what_comes_out(steered: tuple[Project, str], model_server: ModelServer) -> None:
    project, name = steered
    with running(project, "page") as process:
        wait(lambda: len(model_server.asked(name)) >= 2, process)
        sent = project.skillrunner("steer", "latest", MESSAGE)
        assert sent.code == 0, sent.err
        out, err = process.communicate(timeout=120)
    record = json.loads(out)
    assert record["state"] == "succeeded", (record["end"], err)
    pages = project.git("ls-tree", "--name-only", "skillrunner/page/default:docs", cwd=project.origin)
    assert {"page.md", "other.md"} <= set(pages.split())
    assert any(event["message"] == f"the agent was told: {MESSAGE}" for event in record["events"])
    assert MESSAGE in json.dumps(model_server.asked(name)[-1].body)
    assert not any(MESSAGE in json.dumps(one.body) for one in model_server.asked(name)[:2])


@pytest.mark.docker
@pytest.mark.real_cli
def test_an_agent_that_is_stopped_leaves_what_it_has(
    steered: tuple[Project, str], model_server: ModelServer
) -> None:
    project, name = steered
    with running(project, "page") as process:
        wait(lambda: len(model_server.asked(name)) >= 2, process)
        assert project.skillrunner("steer", "latest", "--stop", "It is the wrong page.").code == 0
        out, err = process.communicate(timeout=120)
    record = json.loads(out)
    assert (record["state"], record["end"]["reason"]) == ("cancelled", "cancelled"), (record["end"], err)
    assert "It is the wrong page." in record["end"]["message"]
    assert project.branches() == ["main"]
    assert "+# page" in project.skillrunner("diff", "latest").out


@pytest.mark.docker
@pytest.mark.real_cli
@pytest.mark.parametrize("steered", RESUMING, indirect=True)
def test_one_that_hears_nothing_goes_on_after_its_turn(
    steered: tuple[Project, str], model_server: ModelServer
) -> None:
    project, name = steered
    with running(project, "page") as process:
        wait(lambda: len(model_server.asked(name)) >= 2, process)
        assert project.skillrunner("steer", "latest", MESSAGE).code == 0
        out, err = process.communicate(timeout=120)
    record = json.loads(out)
    assert record["state"] == "succeeded", (record["end"], err)
    pages = project.git("ls-tree", "--name-only", "skillrunner/page/default:docs", cwd=project.origin)
    assert {"page.md", "other.md"} <= set(pages.split())
    assert any(event["message"] == f"the agent was told: {MESSAGE}" for event in record["events"])


def test_what_hears_nothing_is_ended(project: Project, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    script = f"echo new >> docs/guide.md; touch {begun}; sleep 300"
    asked = json.dumps({"kind": "command", "command": ["sh", "-c", script]})
    project.commit(skill_files("page", YAML % asked))
    with running(project, "page", "--sandbox", "process") as process:
        wait(begun.exists, process)
        assert project.skillrunner("steer", "latest", "Hello?").code == 0
        assert project.skillrunner("steer", "latest", "--stop").code == 0
        out, err = process.communicate(timeout=120)
    record = json.loads(out)
    assert (record["state"], record["end"]["reason"]) == ("cancelled", "cancelled"), (record["end"], err)
    told = [event["message"] for event in record["events"]]
    assert "the agent was asked to stop: somebody stopped it" in told
    assert "the agent was not told, it is too late: Hello?" in told
    assert "+new" in project.skillrunner("diff", "latest").out


def test_a_run_that_has_ended_hears_nothing(project: Project) -> None:
    asked = json.dumps({"kind": "command", "command": ["sh", "-c", "echo new >> docs/guide.md"]})
    project.commit(skill_files("page", YAML % asked))
    assert project.skillrunner("run", "page", "--sandbox", "process").code == 0
    done = project.skillrunner("steer", "latest", "Hello?")
    assert done.code != 0
    assert "has ended" in done.out + done.err
    assert project.skillrunner("steer", "latest").code == 2


@pytest.mark.docker
def test_a_pause_stops_the_agent_and_the_clocks(project: Project, local_image: str) -> None:
    """Its time limit is long over when it goes on."""
    script = "until [ -e go ]; do echo .; sleep 0.2; done; rm go; echo new >> docs/guide.md"
    asked = json.dumps({"kind": "command", "command": ["sh", "-c", script]})
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    project.commit(skill_files("page", (YAML % asked) + "limits: {timeout: 20s}\n"))
    with running(project, "page") as process:
        wait(lambda: '"running"' in project.skillrunner("list", "--json").out, process)
        over = time.monotonic() + 21
        assert project.skillrunner("steer", "latest", "--pause").code == 0
        wait(lambda: "paused      " in project.skillrunner("show", "latest").out, process)
        wait(lambda: time.monotonic() > over, process)
        (trees(project) / "go").touch()
        assert project.skillrunner("steer", "latest", "--resume").code == 0
        out, err = process.communicate(timeout=120)
    record = json.loads(out)
    assert record["state"] == "succeeded", (record["end"], err)
    told = [event["message"] for event in record["events"]]
    assert "the agent stands still: somebody paused it" in told
    assert "the agent goes on: somebody let it go on" in told
    assert "paused      " not in project.skillrunner("show", "latest").out


def trees(project: Project) -> Path:
    """The workspace of the only run that goes on."""
    (found,) = (project.state / "workspaces").glob("*/tree")
    return found


def test_one_that_is_paused_can_be_stopped(project: Project, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    asked = json.dumps({"kind": "command", "command": ["sh", "-c", f"touch {begun}; sleep 300"]})
    project.commit(skill_files("page", YAML % asked))
    with running(project, "page", "--sandbox", "process") as process:
        wait(begun.exists, process)
        assert project.skillrunner("steer", "latest", "--pause", "Lunch.").code == 0
        wait(lambda: "paused      " in project.skillrunner("show", "latest").out, process)
        assert project.skillrunner("steer", "latest", "--stop").code == 0
        out, _ = process.communicate(timeout=120)
    assert json.loads(out)["state"] == "cancelled"
