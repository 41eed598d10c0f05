"""A worker process: what is committed is run when it is due, once, and what became of it can be told."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.workspace import overlayfs
from tests.parts.cli import Project, clean_environment, skill_files

pytestmark = pytest.mark.measured

YAML = """
on: {on}
harness: {{kind: command, command: [sh, -c, "{command}"]}}
output: {{pull_request: {{title: "docs: {name}", paths: ["docs/**"], key: fixed}}}}
"""
PATIENCE = 90.0


def until(condition: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@pytest.fixture
def served(project: Project) -> Project:
    """A project that a worker serves, with no checkout of its own."""
    folder = project.home / "worker"
    folder.mkdir()
    (folder / "skillrunner.yaml").write_text(
        f"sandbox: process\nworker: {{repositories: ['{project.origin}'], poll: 1s, drain: 20s}}\n"
    )
    return project


def commit(project: Project, name: str, on: str, command: str = "cat > docs/{name}.md", ago: int = 0) -> None:
    text = YAML.format(on=on, name=name, command=command.replace("{name}", name))
    commit_files(project, name, skill_files(name, text), ago)


def commit_files(project: Project, name: str, files: Mapping[str, str], ago: int) -> None:
    """As if that had been `ago` seconds ago: slots before it are none of its own."""
    project.write(files)
    project.git("add", "-A")
    when = {"GIT_COMMITTER_DATE": (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()}
    subprocess.run(
        ["git", "commit", "-qm", name],
        cwd=project.root,
        env={**clean_environment(project.home), **when},
        check=True,
    )
    project.git("push", "-q", "origin", "HEAD")


@contextmanager
def worker(project: Project) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    log = project.home / "worker.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "runner", "worker"],
            cwd=project.home / "worker",
            env=project.environment(),
            stdout=out,
            stderr=out,
        )
    try:
        yield process, log
    finally:
        for _ in range(2):  # asked twice, it stops what it runs, and clears up
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for tree in (project.state / "workspaces").glob("*/tree"):
            overlayfs.unmount(tree)


def runs(project: Project) -> list[dict[str, object]]:
    done = project.skillrunner("list", "--all", "--json")
    assert done.code == 0, done.err
    found: list[dict[str, object]] = json.loads(done.out)
    return found


def ended(project: Project, skill: str) -> list[dict[str, object]]:
    return [run for run in runs(project) if run["skill"] == skill and run["end"]]


def test_a_committed_schedule_runs_and_opens_its_pull_request(served: Project) -> None:
    commit(served, "often", "{schedule: [{cron: '* * * * *'}]}", ago=90)
    with worker(served) as (process, log):
        until(lambda: bool(ended(served, "often")), log)
        assert "skillrunner/often/fixed" in served.branches()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0, log.read_text()
    first = ended(served, "often")[0]
    assert first["end"]["state"] == "succeeded"  # type: ignore[index]
    for verb in ("list", "show", "logs", "diff"):
        told = served.skillrunner("-C", str(served.home / "worker"), verb)
        assert told.code == 0, told.err


def test_the_skills_are_those_of_the_last_look(served: Project) -> None:
    """An edited skill takes effect, a deleted one stops, a broken one is told and the others run."""
    commit(served, "first", "{schedule: [{cron: '* * * * *'}]}", ago=90)
    commit(served, "broken", "{schedule: [{cron: 'whenever'}]}", ago=90)
    with worker(served) as (_, log):
        until(lambda: bool(ended(served, "first")), log)
        assert "skills/broken/skill.yaml" in log.read_text()
        served.git("rm", "-rqf", "skills/first", "skills/broken")
        commit(served, "second", "{schedule: [{cron: '0 0 1 1 *'}]}", ago=90)
        seen = f"1 skills at {served.git('rev-parse', 'HEAD')[:12]}"
        until(lambda: seen in log.read_text(), log)
        before = len([run for run in runs(served) if run["skill"] == "first"])
        commit(served, "second", "{schedule: [{cron: '* * * * *'}]}", command="cp README.md docs/", ago=90)
        until(lambda: bool(ended(served, "second")), log)
    assert len([run for run in runs(served) if run["skill"] == "first"]) == before
    why = served.skillrunner("why", "second")
    assert why.code == 0, why.err
    # A minute may have passed while it ran.
    assert "second: started: the slot of" in why.out or "second: skipped: overlap" in why.out


def test_a_worker_that_is_killed_leaves_a_lost_run_and_a_new_one_goes_on(served: Project) -> None:
    commit(served, "slow", "{schedule: [{cron: '* * * * *'}]}", command="touch docs/begun; sleep 600", ago=90)
    with worker(served) as (process, log):
        until(lambda: any(run["state"] == "running" for run in runs(served)), log)
        process.kill()
        process.wait()
    with worker(served) as (process, log):
        until(lambda: any(run["state"] == "lost" for run in runs(served)), log)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    assert "skillrunner/slow/fixed" not in served.branches()


def test_a_run_can_be_cancelled_and_a_skill_paused(served: Project) -> None:
    commit(served, "slow", "{schedule: [{cron: '* * * * *'}]}", command="touch docs/begun; sleep 600", ago=90)
    with worker(served) as (_, log):
        until(lambda: any(run["state"] == "running" for run in runs(served)), log)
        cancelled = served.skillrunner("cancel", "latest", "--reason", "not today")
        assert cancelled.code == 0, cancelled.err
        until(lambda: bool(ended(served, "slow")), log)
        assert ended(served, "slow")[0]["state"] == "cancelled"
        assert served.skillrunner("worker", "pause", "slow", "--reason", "holidays").code == 0
        said = served.skillrunner("worker", "status").out
        assert "holidays; `skillrunner worker resume slow` goes on" in said
        commit(served, "slow", "{schedule: [{cron: '*/1 * * * *'}]}", ago=90)
        until(lambda: "held" in served.skillrunner("why", "slow").out, log)
        assert served.skillrunner("worker", "resume", "slow").code == 0
        assert served.skillrunner("worker", "resume", "slow").code == 3


def test_a_file_serves_one_worker(served: Project) -> None:
    commit(served, "never", "{schedule: [{cron: '0 0 1 1 *'}]}")
    with worker(served) as (_, log):
        until(lambda: "1 skills" in log.read_text(), log)
        second = subprocess.run(
            served.command("worker"),
            cwd=served.home / "worker",
            env=served.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert second.returncode == 6
    assert "another worker uses" in second.stderr
    assert "PostgreSQL" in second.stderr


def test_once_does_what_is_due_and_ends(served: Project) -> None:
    commit(served, "often", "{schedule: [{cron: '* * * * *'}]}", ago=90)
    done = subprocess.run(
        served.command("worker", "--once"),
        cwd=served.home / "worker",
        env=served.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert len(ended(served, "often")) >= 1


def test_a_run_is_done_again(served: Project) -> None:
    commit(served, "once", "{schedule: [{cron: '0 * * * *', catch_up: 2h}]}", ago=3600)
    with worker(served) as (_, log):
        until(lambda: len(ended(served, "once")) == 1, log)
        again = served.skillrunner("retry", "latest")
        assert again.code == 0, again.err
        until(lambda: len(ended(served, "once")) == 2, log)
        assert served.skillrunner("retry", "latest", "--current").code == 0
        until(lambda: len(ended(served, "once")) == 3, log)
    keys = [str(run["trigger_key"]) for run in runs(served)]
    assert [key.split(":")[0] for key in keys] == ["retry", "retry", "schedule"]
    assert "somebody asked for run" in served.skillrunner("why", "once").out


def test_what_was_started_by_hand_no_worker_does_again(project: Project) -> None:
    project.commit(skill_files("s", YAML.format(on="{manual: {}}", name="s", command="touch docs/x")))
    assert project.skillrunner("run", "s", "--sandbox", "process").code == 0
    refused = project.skillrunner("retry", "latest")
    assert refused.code == 3
    assert "skillrunner run --from-run" in refused.err
