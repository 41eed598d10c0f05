"""What an agent does to its worker: it prints without end, leaves children behind, or does not end itself."""

import os
import signal
from pathlib import Path

import pytest

from runner.core.model import Reason, RunState
from tests.parts.workers import Team, Worker, processes

MIB = 1024**2
LINES = "yes 'a line of an agent' | head -n 1000000"
NO_LINE = f"head -c {300 * MIB} /dev/zero | tr '\\0' x"


def most_memory(worker: Worker) -> int:
    """The most that a process ever had, in bytes."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def left(mark: str) -> list[int]:
    return processes(mark)


# --- R15: it prints without end ---------------------------------------------------------------------


@pytest.mark.parametrize("prints", [LINES, NO_LINE], ids=["a million lines", "one line of 300 MB"])
def test_what_an_agent_prints_takes_no_memory(team: Team, prints: str) -> None:
    """The worker that hears it needs hardly more than for an agent that says nothing; the log is cut."""
    worker = team.start()
    team.commit("quiet", "cat > docs/quiet.md")
    team.until(lambda: team.are_ended(1, "quiet"))
    before = most_memory(worker)
    team.commit("loud", f"{prints}; cat > docs/loud.md")
    team.until(lambda: team.are_ended(1, "loud"), 300)
    assert team.states("loud") == ["succeeded"]
    assert most_memory(worker) - before < 64 * MIB
    kept = sum(path.stat().st_size for path in team.store.run_folder(team.runs("loud")[0].id).rglob("*"))
    assert kept < 100 * MIB
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_an_agent_that_prints_too_much_is_stopped_and_has_a_cause(team: Team) -> None:
    team.commit("endless", "cat docs/guide.md > docs/x.md; exec cat /dev/zero", limits="output: 50m")
    team.start()
    team.until(lambda: team.are_ended())
    end = team.runs()[0].end
    assert end is not None
    assert end.reason is Reason.OUTPUT_LIMIT
    assert team.project.branches() == ["main"]


# --- R16: it leaves children behind -----------------------------------------------------------------


def test_children_that_ignore_a_polite_request_do_not_survive_the_run(team: Team) -> None:
    mark = f"98{os.getpid()}"
    child = f"(trap '' TERM; sleep {mark}; sleep {mark}) >/dev/null 2>&1 &"
    team.commit("leaves", f"{child} cat > docs/x.md")
    worker = team.start()
    team.until(lambda: team.are_ended())
    assert team.states() == ["succeeded"]
    team.until(lambda: not left(mark))
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


@pytest.mark.docker
def test_a_daemon_that_left_its_group_ends_with_the_container(team: Team, local_image: str) -> None:
    mark = f"97{os.getpid()}"
    team.project.variables["SKILLRUNNER_IMAGE"] = local_image
    team.project.write({"daemon.sh": f"trap '' TERM; sleep {mark}; sleep {mark}\n"})
    team.commit("leaves", "setsid sh daemon.sh >/dev/null 2>&1 & cat > docs/x.md")
    worker = team.start(sandbox="docker")
    team.until(lambda: team.are_ended())
    assert team.states() == ["succeeded"]
    team.until(lambda: not left(mark))
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


# --- R17: it does not end ---------------------------------------------------------------------------


def test_each_limit_in_time_has_an_end_of_its_own_and_publishes_nothing(team: Team) -> None:
    mark = f"96{os.getpid()}"
    work = "echo begun; cat > docs/x.md; trap '' TERM;"
    team.settings = "concurrency: {worker: 2}"
    team.commit("timeout", f"{work} while :; do echo again; sleep 0.2; done; : {mark}", limits="timeout: 3s")
    team.commit("idle", f"{work} sleep {mark}; sleep {mark}", limits="idle: 2s")
    worker = team.start()
    team.until(lambda: team.are_ended(1, "timeout") and team.are_ended(1, "idle"))
    ends = {run.skill: (run.end.state, run.end.reason) for run in team.runs() if run.end}
    assert ends == {
        "timeout": (RunState.TIMED_OUT, Reason.WALL_CLOCK),
        "idle": (RunState.TIMED_OUT, Reason.IDLE),
    }
    team.until(lambda: not left(mark))
    assert team.project.branches() == ["main"]
    for run in team.runs():
        folder = team.store.run_folder(run.id)
        assert any(b"begun" in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
