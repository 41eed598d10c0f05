"""People who watch a run and talk to its agent, on a terminal or through a pipe."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_steer import MESSAGE, YAML, running, steered, wait
from tests.parts.cli import Project, skill_files
from tests.parts.model_server import ModelServer

__all__ = ["steered"]

SCRIPT = """
echo "I have begun."
touch {folder}/begun
until [ -e {folder}/go ]; do sleep 0.1; done
echo "I have ended."
exit 3
"""


@pytest.fixture
def waiting(project: Project, tmp_path: Path) -> Project:
    """A project whose agent waits until somebody lets it go, and then fails."""
    asked = json.dumps({"kind": "command", "command": ["sh", "-c", SCRIPT.format(folder=tmp_path)]})
    project.commit(skill_files("page", YAML % asked))
    return project


@contextmanager
def attached(project: Project) -> Iterator["subprocess.Popen[str]"]:
    """`skillrunner attach`, beside the test."""
    with subprocess.Popen(
        project.command("attach", "latest"),
        cwd=project.root,
        env=project.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline()


def test_what_is_typed_is_sent_and_the_end_is_that_of_the_run(waiting: Project, tmp_path: Path) -> None:
    with running(waiting, "page", "--sandbox", "process") as run:
        wait((tmp_path / "begun").exists, run)
        with attached(waiting) as process:
            assert first_line(process) == "I have begun.\n"
            assert process.stdin
            process.stdin.write("Hello?\n\n  \nAnd")
            process.stdin.close()
            wait(lambda: len(sent(waiting)) == 2, run)
            (tmp_path / "go").touch()
            assert process.wait(timeout=90) == 1
            assert process.stdout
            assert process.stdout.read().startswith("I have ended.\n-- failed: ")
        out, _ = run.communicate(timeout=90)
    record = json.loads(out)
    assert run.returncode == 1
    told = [event["message"] for event in record["events"]]
    assert "the agent was not told, it is too late: Hello?" in told
    assert "the agent was not told, it is too late: And" in told


def sent(project: Project) -> list[str]:
    """What was left for the agent of the last run."""
    from runner.store import Store, messages

    store = Store(project.state)
    try:
        return [letter.text for letter in messages.undelivered(store, store.run("latest").id)]
    finally:
        store.close()


def test_ctrl_c_leaves_the_run_alone(waiting: Project, tmp_path: Path) -> None:
    with running(waiting, "page", "--sandbox", "process") as run:
        wait((tmp_path / "begun").exists, run)
        with attached(waiting) as process:
            assert first_line(process) == "I have begun.\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=90) == 0
            assert process.stderr
            assert "detached: run " in process.stderr.read()
        assert run.poll() is None
        (tmp_path / "go").touch()
        out, _ = run.communicate(timeout=90)
    assert json.loads(out)["state"] == "failed"


def test_a_run_that_has_ended_is_shown(waiting: Project, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    assert waiting.skillrunner("run", "page", "--sandbox", "process").code == 1
    done = waiting.skillrunner("attach", "latest")
    assert done.code == 1
    assert done.out.splitlines()[:2] == ["I have begun.", "I have ended."]


@pytest.mark.docker
@pytest.mark.real_cli
@pytest.mark.parametrize("steered", ["claude"], indirect=True)
def test_an_agent_hears_what_is_typed(steered: tuple[Project, str], model_server: ModelServer) -> None:
    project, name = steered
    with running(project, "page") as run:
        wait(lambda: len(model_server.asked(name)) >= 2, run)
        done = project.skillrunner("attach", "latest", stdin=f"{MESSAGE}\n")
        out, _ = run.communicate(timeout=90)
    assert (done.code, json.loads(out)["state"]) == (0, "succeeded")
    assert MESSAGE in done.out
    assert "-- succeeded: " in done.out
