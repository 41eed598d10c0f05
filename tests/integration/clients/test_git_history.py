"""When skills' present versions came to a branch: one walk of its history, whatever the number of skills."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.clients.git import Git, history, last_changes
from tests.parts.cli import Project, clean_environment, make_project


def commit(project: Project, at: int, files: dict[str, str], *more: str) -> None:
    project.write(files)
    project.git("add", "-A")
    when = {"GIT_COMMITTER_DATE": f"@{at} +0000"}
    subprocess.run(
        ["git", *(more or ("commit", "-qm", "change"))],
        cwd=project.root,
        env=clean_environment(project.home) | when,
        check=True,
    )


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def grown(tmp_path: Path) -> Project:
    """A history with a merge, a deleted file, a name that begins like another, and an odd name."""
    project = make_project(tmp_path, {"README.md": "x"})
    commit(project, 1000, {"skills/a/skill.yaml": "1", "skills/ab/skill.yaml": "1", "other/x": "1"})
    commit(project, 2000, {"skills/ab/\nnew line": "1"})
    project.git("switch", "-qc", "side")
    commit(project, 2500, {"skills/side/skill.yaml": "1"})
    project.git("switch", "-q", "main")
    commit(project, 3000, {"other/y": "1"})
    commit(project, 4000, {}, "merge", "-q", "--no-ff", "-m", "merge", "side")
    (project.root / "skills/a/skill.yaml").unlink()
    commit(project, 5000, {"skills/a/SKILL.md": "1"})
    commit(project, 6000, {"README.md": "2"})
    return project


def test_each_folder_has_the_date_of_the_last_commit_or_merge_that_changed_it(grown: Project) -> None:
    folders = ["skills/a", "skills/ab", "skills/side", "skills", "other", "none", "."]
    assert last_changes(Git(grown.root), "HEAD", folders) == {
        "skills/a": at(5000),
        "skills/ab": at(2000),
        "skills/side": at(4000),
        "skills": at(5000),
        "other": at(3000),
        "none": at(0),
        ".": at(6000),
    }
    assert last_changes(Git(grown.root), "HEAD", []) == {}


def test_one_walk_says_what_a_walk_for_each_folder_says(
    grown: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    git, calls = Git(grown.root), []
    folders = ["skills/a", "skills/ab", "skills/side", "other"]
    each = {
        one: git.output("log", "-1", "--first-parent", "--format=%ct", "HEAD", "--", one) for one in folders
    }
    run = Git.run
    monkeypatch.setattr(history.Git, "run", lambda *args, **more: (calls.append(args), run(*args, **more))[1])
    assert last_changes(git, "HEAD", folders) == {one: at(int(told)) for one, told in each.items()}
    assert len(calls) == 1
