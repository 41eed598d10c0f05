"""Runs without a session: what they changed is handed over, and gone on from, all the same."""

import json
from pathlib import Path

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
description: Write a page
on: {manual: {}}
environment: {sandbox: process}
harness: %s
limits: {timeout: 8s}
output: {pull_request: {title: "docs: a page", paths: ["docs/**"]}}
"""
SLOW = """
cat > "$OUT/prompt"
if [ -e docs/new.md ]; then echo again >> docs/new.md; ls docs > "$OUT/saw"; exit 0; fi
echo "I have begun."
echo new > docs/new.md; rm docs/guide.md; chmod +x README.md
sleep 300
"""


@pytest.fixture
def slow(project: Project, tmp_path: Path) -> Project:
    """A project with a run that was stopped by its time limit."""
    script = f"OUT={tmp_path}\n{SLOW}"
    asked = json.dumps({"kind": "command", "command": ["sh", "-c", script]})
    yaml = (YAML % asked).replace('["docs/**"]', '["**"], mode_changes: true')
    project.commit(skill_files("page", yaml, "Write the page.\n"))
    ran = project.skillrunner("run", "page", "--json").json()
    assert (ran["state"], ran["end"]["reason"]) == ("timed_out", "wall_clock"), ran["end"]
    return project


def test_a_run_that_ran_out_of_time_is_handed_over(slow: Project, tmp_path: Path) -> None:
    done = slow.skillrunner("handoff", "latest", "--to", str(tmp_path / "here"))
    assert done.code == 0, done.err
    assert "session     none: a session of command cannot be taken elsewhere" in done.out
    here = tmp_path / "here"
    assert slow.git("diff", "--cached", "--name-status", cwd=here).split() == [
        *("M", "README.md", "D", "docs/guide.md", "A", "docs/new.md")
    ]
    assert slow.git("remote", "get-url", "origin", cwd=here) == str(slow.origin)
    assert slow.git("status", "--porcelain", cwd=slow.root) == ""
    assert "I have begun." in (here / ".git/skillrunner/transcript.jsonl").read_text()
    assert "Write the page." in (here / ".git/skillrunner/prompt.md").read_text()


def test_a_run_that_ran_out_of_time_goes_on(slow: Project, tmp_path: Path) -> None:
    done = slow.skillrunner("continue", "latest", "Make haste, please.", "--json")
    record = done.json()
    assert record["state"] == "succeeded", (record["end"], done.err)
    assert (tmp_path / "saw").read_text().split() == ["new.md"]
    prompt = (tmp_path / "prompt").read_text()
    assert "Write the page." in prompt
    assert "ended so: timed_out" in prompt
    assert "I have begun." in prompt
    assert prompt.rstrip().endswith("Make haste, please.")
    branch = "skillrunner/page/default"
    assert slow.git("show", f"{branch}:docs/new.md", cwd=slow.origin) == "new\nagain"
    names = slow.git("diff", "--summary", f"main...{branch}", cwd=slow.origin)
    assert "delete mode 100644 docs/guide.md" in names
    assert "mode change 100644 => 100755 README.md" in names


def test_one_that_succeeded_goes_on_in_the_same_pull_request(slow: Project) -> None:
    first = slow.skillrunner("continue", "latest", "Make haste, please.", "--json").json()
    second = slow.skillrunner("continue", "latest", "Once more, please.", "--json").json()
    actions = [(one["receipts"][0]["action"], one["receipts"][0]["number"]) for one in (first, second)]
    assert actions == [("created", 1), ("updated", 1)]
    shown = slow.git("show", "skillrunner/page/default:docs/new.md", cwd=slow.origin)
    assert shown == "new\nagain\nagain"


def test_a_place_that_is_taken_is_left_alone(slow: Project, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").write_text("mine")
    refused = slow.skillrunner("handoff", "latest", "--to", str(tmp_path / "taken"))
    assert refused.code != 0
    assert "is there already" in refused.err
    assert (tmp_path / "taken/file").read_text() == "mine"
    inside = slow.skillrunner("handoff", "latest", "--to", str(slow.root / "docs/below"))
    assert "is inside of your own checkout" in inside.err
    assert not (slow.root / "docs/below").exists()


def test_what_makes_no_sense_is_said(slow: Project) -> None:
    assert slow.skillrunner("continue", "latest", " ").code == 2
    unknown = slow.skillrunner("continue", "nothing", "Go on.")
    assert "there is no run 'nothing'" in unknown.err


FIXES = """
cat > "$OUT/prompt"
if [ -e secrets.txt ]; then rm secrets.txt; exit 0; fi
echo new > docs/new.md; echo x > secrets.txt
"""


def test_what_the_policy_refused_can_be_put_right(project: Project, tmp_path: Path) -> None:
    asked = json.dumps({"kind": "command", "command": ["sh", "-c", f"OUT={tmp_path}\n{FIXES}"]})
    project.commit(skill_files("page", YAML % asked))
    first = project.skillrunner("run", "page", "--json").json()
    assert first["state"] == "blocked", first["end"]
    handed = project.skillrunner("handoff", "latest", "--to", str(tmp_path / "handed"))
    (told,) = [line for line in handed.out.splitlines() if line.startswith("refused")]
    assert "secrets.txt" in told
    assert "look at it before you run anything there" in told
    second = project.skillrunner("continue", "latest", "Leave secrets.txt out.", "--json").json()
    assert second["state"] == "succeeded", second["end"]
    branch = second["receipts"][0]["branch"]
    assert project.git("diff", "--name-only", f"main...{branch}", cwd=project.origin) == "docs/new.md"
