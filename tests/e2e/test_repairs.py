"""A real agent is told what failed in verification, and repairs it in the same session."""

import json
from pathlib import Path

import pytest

from tests.parts import agents
from tests.parts.cli import Project, skill_files
from tests.parts.model_server import ModelServer

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

YAML = """
description: Write a page
on: {manual: {}}
environment: {setup: ["test ! -e docs/page.md"]}
harness: {kind: claude-code, model: claude-sonnet-4-5}
limits: {cost_usd: 1}
verify: ["grep -q Right docs/page.md || { echo the page must say Right; exit 3; }"]
output: {pull_request: {title: "docs: a page", paths: ["docs/**"]}}
"""


def test_claude_repairs_what_failed_in_its_own_session(
    project: Project, model_server: ModelServer, tmp_path: Path, local_image: str
) -> None:
    name = f"repairs-{tmp_path.name}"
    script = [
        [{"say": "I begin."}, {"shell": "mkdir -p docs; echo Wrong > docs/page.md"}],
        [{"say": "The page is there."}],
        [{"say": "I see what failed."}, {"shell": "test -e docs/page.md && echo Right >> docs/page.md"}],
        [{"say": "Now it says so."}],
    ]
    config = f"harnesses:\n  claude-code: {{binary: {agents.claude()}}}\n"
    project.commit({**skill_files("page", YAML), "skillrunner.yaml": config})
    key, url = "sk-the-real-key-0123456789", model_server.url(name, script)
    project.variables.update(
        {"SKILLRUNNER_IMAGE": local_image, "ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": url}
    )

    done = project.skillrunner("run", "page", "--json")

    record = done.json()
    assert done.code == 0, (record["end"], done.err)
    assert "repair 1 of 1: the agent is told what failed" in done.err
    page = project.git("show", "skillrunner/page/default:docs/page.md", cwd=project.origin)
    assert page == "Wrong\nRight"
    work = [one.body for one in model_server.asked(name) if one.body.get("tools")]
    last = json.dumps(work[-1])
    assert "ended with exit code 3 and printed" in last
    assert "the page must say Right" in last
    assert "The page is there." in last, "it is the same session"
    assert record["cost_usd"] == pytest.approx(len(work) * 0.00411)
    log = project.skillrunner("logs", "latest").out
    assert log.index("The page is there.") < log.index("Now it says so.")
