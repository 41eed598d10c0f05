"""Chores of a team, end to end with a real agent in a container: what it declares is what is published."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.store import LocalItems, Store
from tests.parts import agents
from tests.parts.cli import Project, skill_files
from tests.parts.model_server import ModelServer
from tests.parts.sessions import KEY

pytestmark = [pytest.mark.docker, pytest.mark.real_cli]

TRIAGE = """
description: Look at new issues
on: {issues: {types: [opened], actor: {permission: none}}}
harness: {kind: claude-code, model: claude-sonnet-4-5}
tools: [declare_output]
output:
  comment: {}
  issue: {max: 2, title_prefix: "[follow-up] ", allowed_labels: [bug]}
"""


def declare(kind: str, **fields: Any) -> dict[str, Any]:
    return {"tool": "skillrunner/declare_output", "with": {"kind": kind, "fields": fields}}


def play(project: Project, image: str, url: str, name: str, yaml: str) -> None:
    config = f"harnesses:\n  claude-code: {{binary: {agents.claude()}}}\n"
    project.commit({**skill_files(name, yaml), "skillrunner.yaml": config})
    project.variables.update(
        {"SKILLRUNNER_IMAGE": image, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": url}
    )


def run_on(project: Project, name: str, trigger: str, event: dict[str, Any], folder: Path) -> Any:
    file = folder / "event.json"
    file.write_text(json.dumps(event))
    done = project.skillrunner("run", name, "--trigger", trigger, "--event", str(file), "--json")
    assert done.code == 0, (done.out, done.err)
    return done.json()


def items(project: Project, kind: str, **new: Any) -> Sequence[Any]:
    """Those of a kind on the local forge; with `new`, one that somebody makes first."""
    store = Store(project.state)
    try:
        kept = LocalItems(store.engine, store.database, str(project.origin))
        if new:
            kept.insert(kind, new, numbered=kind == "issue")
        return kept.find(kind)
    finally:
        store.close()


def test_an_issue_is_triaged(
    project: Project, local_image: str, model_server: ModelServer, tmp_path: Path
) -> None:
    script = [
        [{"shell": "cat README.md"}],
        [declare("comment", body="It is #id:crash.", colour="red")],  # and is told what is wrong
        [declare("issue", id="crash", title="Crash", body="Thanks @ada, fixes #1", labels=["bug"])],
        [declare("comment", body="It is #id:crash.", rationale="The log says so.", confidence="high")],
        [{"say": "Triaged."}],
    ]
    name = f"triage-{tmp_path.name}"
    play(project, local_image, model_server.url(name, script), "triage", TRIAGE)
    (about,) = items(project, "issue", title="It crashes", body="x", state="open", author="ada")
    issue = {"number": about.number, "title": "It crashes", "body": "x", "user": {"login": "ada"}}
    record = run_on(project, "triage", "issues", {"action": "opened", "issue": issue}, tmp_path)
    assert record["state"] == "succeeded", record["end"]
    assert [(one["kind"], one["action"]) for one in record["receipts"]] == [
        ("comment", "created"),
        ("issue", "created"),
    ]
    told = json.dumps([one.body for one in model_server.asked(name)])
    assert "colour" in told.partition("Declared: issue")[0], "the agent was told and could correct itself"
    (comment,) = items(project, "comment")
    assert (comment.parent, "It is #2." in comment.data["body"]) == ("1", True)
    assert "**Why:** The log says so." in comment.data["body"]
    made = items(project, "issue")[1]
    assert made.data["title"] == "[follow-up] Crash"
    assert made.data["labels"] == ["bug"]
    assert "@ada" not in made.data["body"]
    assert "fixes #1" not in made.data["body"]
