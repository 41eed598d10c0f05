"""Killed at any boundary between two steps and started again, a run ends in exactly one pull request."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.clients.docker import engine
from runner.workspace import overlayfs
from tests.parts.cli import Project, skill_files

KILLED = Path(__file__).parent.parent / "parts" / "killed.py"
YAML = """
description: Write a file
on: {release: {}}
harness: {kind: command, command: [sh, -c, "cat > docs/new.md"]}
verify: [test -f docs/new.md]
output:
  pull_request: {title: "docs: {{ event.release.tag_name }}", paths: ["docs/**"], labels: [documentation]}
"""
RELEASE = '{"action": "published", "release": {"id": 7, "tag_name": "v1.1.0"}, "sender": {"login": "ada"}}'

STEPS = [
    ("runner.store.runs:Store.create_run", "after"),
    ("runner.run.execute:resolve_image", "after"),
    ("runner.run.execute:drive_harness", "before"),
    ("runner.run.execute:drive_harness", "after"),
    ("runner.run.execute:harvest", "after"),
    ("runner.run.execute:judge", "after"),
    ("runner.run.execute:verify", "before"),
    ("runner.run.execute:verify", "after"),
    ("runner.workspace.changeset:Changeset.push", "before"),
    ("runner.workspace.changeset:Changeset.push", "after"),
    ("runner.publish.forges.local:LocalForge.create", "after"),
    ("runner.publish.forges.local:LocalForge.add_labels", "after"),
    ("runner.store.runs:Store.add_receipt", "before"),
    ("runner.store.runs:Store.add_receipt", "after"),
    ("runner.store.runs:Store.finish", "before"),
    ("runner.store.runs:Store.finish", "after"),
]


@pytest.mark.parametrize(("step", "when"), STEPS)
def test_killed_at_a_boundary_and_run_again(project: Project, step: str, when: str) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(skill_files("docs-new", YAML))
    (project.root / "release.json").write_text(RELEASE)
    arguments = ["run", "docs-new", "--event", "release.json"]

    killed = subprocess.run(
        [sys.executable, str(KILLED), step, when, *arguments],
        cwd=project.root,
        env={**project.environment(), "PYTHONPATH": str(KILLED.parent.parent.parent)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr

    again = project.skillrunner(*arguments)
    assert again.code == 0, again.err
    (pull,) = project.skillrunner("pr", "list", "--json").json()
    assert (pull["state"], pull["labels"]) == ("open", ["documentation"])
    assert project.branches() == ["main", "skillrunner/docs-new/v1.1.0"]
    commits = project.git("rev-list", "main..skillrunner/docs-new/v1.1.0", cwd=project.origin)
    assert len(commits.split()) == 1

    third = project.skillrunner(*arguments)
    assert third.code == 0, third.err
    states = [run["state"] for run in project.skillrunner("list", "--json").json()]
    assert states[0] == "nothing_to_do"
    assert states[-1] == ("succeeded" if step.endswith("finish") and when == "after" else "lost")
    assert not [path for path in (project.state / "workspaces").iterdir() if path.is_dir()]


@pytest.mark.docker
def test_the_container_of_a_killed_run_is_removed(project: Project, local_image: str) -> None:
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    slow = YAML.replace("cat > docs/new.md", "echo begun; sleep 300").replace("release: {}", "manual: {}")
    slow = slow.replace("docs: {{ event.release.tag_name }}", "docs")
    project.commit(skill_files("docs-new", slow))
    running = subprocess.Popen(
        project.command("run", "docs-new"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if b"begins" in line:
            break
    running.kill()
    running.wait()
    running.stderr.close()
    (run_folder,) = (project.state / "runs").iterdir()
    label = {"label": f"skillrunner.run={run_folder.name}"}
    assert engine.client().containers(filters=label)

    (run,) = project.skillrunner("list", "--json").json()
    assert run["state"] == "lost"
    assert engine.client().containers(all=True, filters=label) == []
    for tree in (project.state / "workspaces").glob("*/tree"):
        overlayfs.unmount(tree)  # the next run would; what is mounted cannot be cleared away
