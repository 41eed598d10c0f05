"""What people do to branches while a worker works: each has an end that says so, and the next run goes on."""

import signal
from pathlib import Path

import pytest

from runner.core.model import End, Reason, RunState
from tests.e2e.test_worker import commit, ended, until
from tests.e2e.test_worker_trouble import hourly, other, served, tick, working
from tests.parts.cli import Project
from tests.parts.github import GitHub, repository
from tests.parts.workers import Team

__all__ = ["other", "served"]
BRANCH = "skillrunner/docs/fixed"


# --- R23: the base branch ---------------------------------------------------------------------------


def rename(team: Team) -> None:
    team.project.git("branch", "-m", "main", "trunk", cwd=team.project.origin)
    team.project.git("branch", "-m", "main", "trunk")


def delete(team: Team) -> None:
    team.project.git("update-ref", "-d", "refs/heads/main", cwd=team.project.origin)


def force_push(team: Team) -> None:
    """Another history, in which nothing of the old one is."""
    team.project.git("checkout", "-q", "--orphan", "anew")
    team.project.git("commit", "-qm", "Begin anew")
    team.project.git("branch", "-qM", "main")
    team.project.git("push", "-qf", "origin", "main")


ENDS: dict[object, tuple[RunState, Reason | None]] = {
    rename: (RunState.SUPERSEDED, Reason.BASE_GONE),
    delete: (RunState.SUPERSEDED, Reason.BASE_GONE),
    force_push: (RunState.SUCCEEDED, None),  # the change still fits, and is proposed for what is there now
}


def waits(folder: Path) -> str:
    return f"touch {folder}/begun; while ! test -e {folder}/go; do sleep 0.1; done; cat > docs/slow.md"


def end_of(team: Team, skill: str) -> End:
    end = team.runs(skill)[0].end
    assert end is not None
    assert "bug" not in end.message
    return end


@pytest.mark.parametrize(
    ("disturb", "base"),
    [(rename, "trunk"), (delete, "main"), (force_push, "main")],
    ids=["renamed", "deleted", "force-pushed"],
)
def test_a_base_branch_that_changes_during_a_run(
    team: Team, tmp_path: Path, disturb: object, base: str
) -> None:
    team.commit("slow", waits(tmp_path))
    worker = team.start()
    team.until((tmp_path / "begun").exists)
    disturb(team)  # type: ignore[operator]
    (tmp_path / "go").touch()
    team.until(lambda: team.are_ended(1, "slow"))
    end = end_of(team, "slow")
    assert (end.state, end.reason) == ENDS[disturb]
    team.commit("next", "cat > docs/next.md")  # brings a deleted branch back
    team.until(lambda: team.are_ended(1, "next"))
    assert team.states("next") == ["succeeded"], worker.said()
    pulls = team.project.skillrunner("pr", "list", "--json").json()
    assert {pull["base"] for pull in pulls if pull["branch"] == "skillrunner/next/fixed"} == {base}
    assert base in team.project.branches()
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


# --- R24: a human is quicker ------------------------------------------------------------------------

HOOK = """#!/bin/sh
while read old new ref; do
  test $ref = refs/heads/BRANCH || continue
  unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
  git update-ref $ref HUMAN
done
"""


def human_commit(project: Project) -> str:
    """A commit on top of the bot's branch, which the origin has and no branch shows yet."""
    project.git("fetch", "-q", str(project.origin), BRANCH)
    project.git("checkout", "-q", "FETCH_HEAD")
    project.write({"docs/human.md": "mine"})
    project.git("add", "-A")
    project.git("commit", "-qm", "By hand")
    project.git("push", "-q", "origin", "HEAD:refs/other/human")
    sha = project.git("rev-parse", "HEAD")
    project.git("checkout", "-q", "main")
    return sha


@pytest.mark.emulator
@pytest.mark.git_http
def test_a_human_commit_between_the_last_look_and_the_push_stays(served: Project, github: GitHub) -> None:
    commit(served, "docs", hourly(), "date +%N > docs/x.md", ago=3600)
    head = lambda: served.git("rev-parse", BRANCH, cwd=served.origin)  # noqa: E731
    with working(served) as log:
        until(lambda: bool(ended(served, "docs")), log)
        human = human_commit(served)
        hook = served.origin / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(HOOK.replace("BRANCH", BRANCH).replace("HUMAN", human))
        hook.chmod(0o755)
        tick(served, 1)
        until(lambda: len(ended(served, "docs")) == 2, log)
        assert head() == human
        hook.unlink()
        for hours in (2, 3):
            tick(served, hours)
            until(lambda hours=hours: len(ended(served, "docs")) == hours + 1, log)  # type: ignore[misc]
    ends = [run["end"]["reason"] for run in ended(served, "docs")]
    assert ends == ["human_commit", "human_commit", "human_commit", None]
    assert head() == human
    (pull,) = github.api("GET", f"/repos/{repository(served)}/pulls?state=all")
    comments = github.api("GET", f"/repos/{repository(served)}/issues/{pull['number']}/comments")
    assert len(comments) == 1
