"""A third party's trigger in the real `act`: installed, heard and run; and what the run left is kept."""

import json
from pathlib import Path

import pytest

from tests.parts.act import Act
from tests.parts.cli import skill_files
from tests.parts.github import OWNER, repository
from tests.parts.plugins import FOLDER, wheel

pytestmark = [pytest.mark.emulator, pytest.mark.git_http]

SKILL = """
on: {milestone: {titles: ["v*"]}}
harness: {kind: command, command: [sh, -c, "cat > docs/planned.md"]}
output: {pull_request: {title: "docs: {{ event.milestone.title }}", paths: ["docs/**"]}}
"""


def test_a_third_partys_trigger_is_heard_in_the_action(act: Act, tmp_path: Path) -> None:
    act.project.commit(skill_files("planned", SKILL))
    happened = {
        "action": "created",
        "milestone": {"id": 5, "number": 1, "title": "v2", "updated_at": "2026-11-21T12:00:00Z"},
        "repository": {"full_name": repository(act.project)},
        "sender": {"login": OWNER, "type": "User"},
    }
    package = wheel(tmp_path, FOLDER / "milestone_trigger.py", ("triggers",), "1.0")
    done = act("milestone", happened, plugins=f"# ours\n{package}\n")
    assert done.code == 0, done.log
    assert done.verdicts == {"planned": "started"}, done.log
    assert (done.outputs["state"], done.outputs["pull-request-number"]) == ("succeeded", "1")

    run_id, name = done.outputs["run-id"], done.outputs["artifact"]
    assert name == f"skillrunner-{run_id}"
    left = done.left / "artifacts" / name / run_id
    assert {"record.json", "prompt.md", "patch"} <= {one.name for one in left.iterdir()}
    record = json.loads((left / "record.json").read_text())
    assert (record["id"], record["state"], record["skill"]) == (run_id, "succeeded", "planned")
    assert "docs/planned.md" in (left / "patch").read_text()

    without = act("milestone", happened, artifacts="false")
    assert without.code == 0, without.log
    assert without.said("skills/planned/skill.yaml")  # nobody knows the trigger there
    assert not (without.left / "artifacts").exists()
