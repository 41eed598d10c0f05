"""Which paths a push changed, also where the commit that it pushed over is gone."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.core.model import Remote
from runner.core.model.decision import History, Verdict
from runner.scheduler.decide import decide_event
from runner.scheduler.facts import FactSources, look_up_facts
from runner.scheduler.loop_guard import OwnIdentity
from runner.skills import load
from runner.triggers import TRIGGERS
from runner.workspace.mirror import Mirror
from tests.parts.cli import Project, skill_files

NOW = datetime(2026, 11, 21, tzinfo=UTC)
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


class Writers:
    def permission(self, login: str) -> str:
        return "write" if login else "none"


def verdicts(project: Project, payload: dict[str, Any], folder: Path) -> dict[str, Verdict]:
    """What skills on two folders do with a push, by somebody who has never seen the repository before."""
    files: dict[str, bytes] = {}
    for name in ("docs", "src"):
        made = skill_files(name, f"on: {{push: {{paths: ['{name}/**']}}}}\n{REST}")
        files |= {path: text.encode() for path, text in made.items()}
    found, remote = load(files).skills, Remote(url=project.origin.as_uri())
    sources = FactSources(
        forge=Writers(),
        mirror=Mirror(folder, remote.url),
        remote=remote,
        repository="acme/lib",
        default_branch="main",
        identity=OwnIdentity(login="", email="bot@example.com"),
    )
    sources.mirror.fetch(remote)
    event = TRIGGERS.get("push").event({**payload, "sender": {"login": "ada", "type": "User"}}, NOW)
    decisions = decide_event(found, event, look_up_facts(found, event, sources), History(), NOW)
    return {one.skill: one.verdict for one in decisions}


def forced(project: Project, branch: str) -> dict[str, Any]:
    """A branch whose one commit, of `src/a`, is replaced by one of `docs/b` that is pushed over it."""
    project.git("checkout", "-q", "-B", branch)
    before = project.commit({"src/a": "a\n"}, "Before")
    project.git("reset", "-q", "--hard", "HEAD~1")
    project.write({"docs/b": "b\n"})
    project.git("add", "-A")
    project.git("commit", "-qm", "After")
    project.git("push", "-q", "--force", "origin", branch)
    after = project.git("rev-parse", "HEAD")
    project.git("gc", "-q", "--prune=now", cwd=project.origin)
    return {"ref": f"refs/heads/{branch}", "before": before, "after": after, "forced": True}


def test_a_force_push_to_a_branch_changed_what_the_branch_changes(project: Project, tmp_path: Path) -> None:
    payload = forced(project, "feature")
    assert verdicts(project, payload, tmp_path / "new") == {"docs": Verdict.STARTED, "src": Verdict.SKIPPED}


def test_of_a_force_push_to_the_default_branch_anything_in_it_may_be_new(
    project: Project, tmp_path: Path
) -> None:
    payload = forced(project, "main")
    assert verdicts(project, payload, tmp_path / "new") == {"docs": Verdict.STARTED, "src": Verdict.SKIPPED}


def test_a_force_push_whose_earlier_commit_is_there_changed_what_differs(
    project: Project, tmp_path: Path
) -> None:
    payload = forced(project, "feature")
    project.git("push", "-q", "origin", f"{payload['before']}:refs/heads/kept")
    assert verdicts(project, payload, tmp_path / "new") == dict.fromkeys(("docs", "src"), Verdict.STARTED)


@pytest.mark.parametrize("branch", ["feature", "orphan"])
def test_a_branch_without_a_common_commit_changed_all_that_is_in_it(
    project: Project, tmp_path: Path, branch: str
) -> None:
    project.git("checkout", "-q", "--orphan", branch)
    project.git("rm", "-qrf", ".")
    after = project.commit({"docs/only": "b\n"}, "Orphan")
    payload = {"ref": f"refs/heads/{branch}", "before": "a" * 40, "after": after, "forced": True}
    assert verdicts(project, payload, tmp_path / "new") == {"docs": Verdict.STARTED, "src": Verdict.SKIPPED}
