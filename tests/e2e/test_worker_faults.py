"""Real worker processes, killed, stopped, starved and lied to: each cause has one effect, and all ends."""

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.apps.worker.lease import uptime
from runner.clients.docker import engine as docker
from runner.core.model import End, Phase, Reason, Run, RunState, Usage
from runner.store.pauses import resume
from runner.store.queue import RunQueue
from runner.store.tables import decisions
from runner.store.workers import WorkerStore
from tests.parts.cli import Project, make_project, skill_files
from tests.parts.engine import OwnEngine
from tests.parts.need import require
from tests.parts.postgres import Server, server
from tests.parts.workers import SILENCE, Team, Worker, long_ago, made, processes

QUIET = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"
NONE = "{{none: {{}}}}"
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder that commands leave traces in, under a name that is no other test's."""
    folder = tmp_path / f"scratch-{os.getpid()}"
    folder.mkdir()
    return folder


WORK = """
touch SCRATCH/begun-$$
for one in $(ls SCRATCH | grep begun); do
  test $one = begun-$$ || ! grep -qs . /proc/${one#begun-}/cmdline || touch SCRATCH/together
done
test $(ls SCRATCH | grep -c begun) -gt 1 || exec sleep HANG
cat > docs/NAME.md
"""


def first_hangs(scratch: Path, name: str) -> str:
    """A command whose first launch hangs, and whose others do their work at once; it notes who is with it."""
    text = WORK.replace("SCRATCH", str(scratch)).replace("NAME", name).replace("HANG", f"987{os.getpid()}")
    (scratch / "work.sh").write_text(text)
    return f"exec sh {scratch}/work.sh"


def hangs() -> list[int]:
    return processes(f"987{os.getpid()}")


def begun(scratch: Path) -> int:
    return len(list(scratch.glob("begun-*")))


def one_pull_request(team: Team, name: str) -> bool:
    """Whether exactly one was opened, with one commit."""
    branch = f"skillrunner/{name}/fixed"
    pulls = team.project.git(
        "for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=team.project.origin
    )
    return branch in pulls.split() and team.commits(branch) == 1


# --- R01: a worker is killed ------------------------------------------------------------------------


def test_the_run_of_a_killed_worker_is_lost(team: Team, scratch: Path) -> None:
    team.commit("slow", first_hangs(scratch, "slow"))
    worker = team.start()
    team.until(lambda: bool(hangs()))
    worker.kill()
    assert hangs(), "nobody has ended what it ran"
    assert team.states() == ["running"]
    listed = team.project.skillrunner("list", "--json").json()
    assert [run["state"] for run in listed] == ["running"], "whoever looks at it does not judge"
    next_one = team.start()
    team.until(lambda: team.states() == ["lost"])
    end = team.runs()[0].end
    assert end is not None
    assert (end.reason, end.retryable) == (Reason.WORKER_LOST, True)
    team.until(lambda: not hangs())
    next_one.signal(signal.SIGTERM)
    assert next_one.wait() == 0
    assert team.project.branches() == ["main"]
    assert [one.state for one in WorkerStore(team.store).all(NEVER)] == ["stopped", "lost"]


def test_it_is_tried_again_where_that_is_wanted(team: Team, scratch: Path) -> None:
    """And only after what the first attempt left is gone."""
    team.settings = "on_worker_lost: retry"
    team.commit("slow", first_hangs(scratch, "slow"))
    worker = team.start()
    team.until(lambda: bool(hangs()))
    worker.kill()
    team.start()
    team.until(lambda: team.is_in(RunState.SUCCEEDED))
    (run,) = team.runs()
    assert (run.attempt, begun(scratch)) == (2, 2)
    assert not (scratch / "together").exists()
    assert one_pull_request(team, "slow")
    assert team.project.skillrunner("logs", run.id).code == 0
    messages = [event.message for _, event in team.store.events(run.id)]
    assert any("is gone: it is tried again" in message for message in messages)
    assert not list((team.project.state / "workspaces").glob(f"{run.id}*"))


def test_a_run_that_kills_its_workers_is_not_tried_for_ever(team: Team, scratch: Path) -> None:
    team.settings = "on_worker_lost: retry"
    team.commit("deadly", f"touch {scratch}/begun-$$; exec sleep 987{os.getpid()}")
    for attempt in (1, 2):
        worker = team.start()
        team.until(lambda attempt=attempt: begun(scratch) == attempt)  # type: ignore[misc]
        worker.kill()
    team.start()
    team.until(lambda: team.states() == ["lost"])
    assert begun(scratch) == 2
    team.until(lambda: not hangs())


# --- R02: a worker is stopped, and wakes up when its run is somebody else's -------------------------


def test_a_worker_that_wakes_up_late_publishes_nothing(cluster: Team, scratch: Path) -> None:
    cluster.settings += ", on_worker_lost: retry"
    cluster.commit("slow", first_hangs(scratch, "slow"))
    sleeper = cluster.start(machine="a")
    cluster.until(lambda: begun(scratch))
    sleeper.signal(signal.SIGSTOP)
    cluster.start(machine="b")
    cluster.until(lambda: cluster.is_in(RunState.SUCCEEDED))
    (run,) = cluster.runs()
    events = cluster.store.events(run.id)
    sleeper.signal(signal.SIGCONT)
    assert sleeper.wait() == 6
    assert "others took it for dead" in sleeper.said()
    assert not hangs()
    assert (cluster.runs(), cluster.store.events(run.id)) == ([run], events)
    assert run.attempt == 2
    assert one_pull_request(cluster, "slow")


def test_a_worker_that_slept_too_long_stops_what_it_runs(cluster: Team, scratch: Path) -> None:
    """It knows by itself, before anybody has told it; who comes next finds what it left."""
    cluster.commit("slow", first_hangs(scratch, "slow"))
    sleeper = cluster.start(machine="a")
    cluster.until(lambda: begun(scratch))
    sleeper.signal(signal.SIGSTOP)
    time.sleep(1)
    assert hangs()
    until = uptime() + SILENCE + 0.5
    cluster.until(lambda: uptime() > until)
    sleeper.signal(signal.SIGCONT)
    assert sleeper.wait() == 6
    assert not hangs()
    assert cluster.states() == ["lost"]
    assert cluster.project.branches() == ["main"]


def test_a_worker_that_wakes_up_while_it_publishes_leaves_that_to_others(
    cluster: Team, scratch: Path
) -> None:
    """It is stopped with its work done, and nothing left to do but to publish it."""
    cluster.settings += ", on_worker_lost: retry"
    go = (
        f"touch {scratch}/begun-$$; while ! test -e {scratch}/go; do sleep 0.1; done; date +%N > docs/slow.md"
    )
    cluster.commit("slow", go)
    sleeper = cluster.start(machine="a")
    cluster.until(lambda: begun(scratch))
    sleeper.signal(signal.SIGSTOP)
    (scratch / "go").touch()
    cluster.start(machine="b")
    cluster.until(lambda: cluster.is_in(RunState.SUCCEEDED))
    (run,) = cluster.runs()
    head = cluster.project.git("rev-parse", "skillrunner/slow/fixed", cwd=cluster.project.origin)
    sleeper.signal(signal.SIGCONT)
    assert sleeper.wait() == 6
    assert cluster.runs() == [run]
    assert cluster.project.git("rev-parse", "skillrunner/slow/fixed", cwd=cluster.project.origin) == head
    assert one_pull_request(cluster, "slow")


# --- R03: a thousand slots, and workers that die all the time ---------------------------------------

COUNT = 1000


def many(team: Team, skills: int = 100) -> None:
    """So many schedules, due once each."""
    lines = ", ".join(long_ago(minutes) for minutes in range(2, 2 + COUNT // skills))
    on = f"on: {{schedule: [{lines}]}}\noverlap: queue\nharness: {{kind: command, command: ['true']}}\n"
    for at in range(skills):
        team.project.write(skill_files(f"s{at:03}", f"{on}output: {{none: {{}}}}\n"))
    team.push("Many skills")


TAKEN_FOR_DEAD = 6  # a worker's exit code: one that a busy machine left without its turn ends like this too


def carry_on(team: Team, machines: int, kills: int, effects: Path) -> None:
    """Let workers work until all is done, and kill one of them at random, again and again."""
    chance = random.Random(1)
    names = [f"m{at}" if team.server else "" for at in range(machines)]
    workers: dict[str, Worker] = {}

    def are_up() -> bool:
        """As a supervisor does it: who has ended is started again."""
        for name in names:
            if name not in workers or workers[name].process.poll() is not None:
                assert name not in workers or workers[name].wait() == TAKEN_FOR_DEAD, workers[name].said()
                workers[name] = team.driver("--effects", str(effects), machine=name)
        return True

    for at in range(1, kills + 1):
        team.until(lambda at=at: are_up() and done(effects) > COUNT * at // (kills + 2), 300)  # type: ignore[misc]
        workers.pop(chance.choice(names)).kill()
    team.until(lambda: are_up() and team.are_ended(COUNT), 300)
    for worker in workers.values():
        worker.signal(signal.SIGTERM)
        assert worker.wait() in (0, TAKEN_FOR_DEAD), worker.said()


def done(effects: Path) -> int:
    return len(effects.read_text().splitlines()) if effects.exists() else 0


def check_a_thousand(team: Team, effects: Path, killed: int) -> None:
    runs = team.runs()
    assert len({run.trigger_key + run.skill for run in runs}) == len(runs) == COUNT
    with team.store.engine.connect() as connection:
        slots = connection.execute(decisions.select().where(decisions.c.due.is_not(None))).all()
    assert Counter(row.verdict for row in slots) == {"started": COUNT}
    states = Counter(run.state.value for run in runs)
    assert set(states) <= {"succeeded", "lost"}
    carried = Counter(effects.read_text().splitlines())
    assert set(carried.values()) == {1}, "an attempt was made twice"
    assert len({line.split()[0] for line in carried}) >= states["succeeded"]
    team.until(lambda: killed <= sum(one.state == "lost" for one in WorkerStore(team.store).all(NEVER)))


def test_a_thousand_slots_and_three_workers_that_die(cluster: Team, scratch: Path) -> None:
    cluster.settings += ", on_worker_lost: retry, concurrency: {worker: 6, skill: 10}"
    many(cluster)
    carry_on(cluster, 3, 6, scratch / "effects")
    check_a_thousand(cluster, scratch / "effects", 6)
    assert {run.attempt for run in cluster.runs()} <= {1, 2}


def test_a_thousand_slots_and_one_worker_that_dies(team: Team, scratch: Path) -> None:
    team.settings = "concurrency: {worker: 6, skill: 10}"
    many(team)
    carry_on(team, 1, 3, scratch / "effects")
    check_a_thousand(team, scratch / "effects", 3)
    again = [run.id for run in team.runs() if run.attempt > 1]
    for run_id in again:  # only what was publishing goes on, and no agent works again
        assert any("goes on with that" in event.message for _, event in team.store.events(run_id))


# --- R04, R05: killed between two steps of publishing -----------------------------------------------


@pytest.mark.parametrize(
    ("step", "when"),
    [
        ("runner.workspace.changeset:Changeset.push", "after"),
        ("runner.publish.forges.local:LocalForge.create", "after"),
        ("runner.store.runs:Store.add_receipt", "after"),
    ],
)
def test_killed_while_it_publishes(team: Team, scratch: Path, step: str, when: str) -> None:
    """By default too: nothing is left half published, and no agent works twice for that."""
    team.commit("docs", f"touch {scratch}/begun-$$; cat > docs/docs.md")
    assert team.killed_at(step, when).wait() == -signal.SIGKILL
    team.start()
    team.until(lambda: team.are_ended())
    (run,) = team.runs()
    assert (run.attempt, run.state) == (2, RunState.SUCCEEDED)
    assert one_pull_request(team, "docs")
    assert len(team.project.skillrunner("pr", "list", "--json").json()) == 1
    assert len(team.store.receipts(run.id)) == 1
    assert begun(scratch) == 1


@pytest.mark.parametrize(
    ("step", "when", "attempt"),
    [
        ("runner.store.decisions:DecisionStore.decide", "before", 1),
        ("runner.store.decisions:DecisionStore.decide", "after", 1),
        ("runner.store.queue:RunQueue.admit", "after", 1),
        ("runner.store.engine:Engine.enqueue", "after", 1),
        ("runner.store.runs:Store.finish", "after", 1),
        ("runner.store.queue:RunQueue.mark_reported", "before", 1),
    ],
)
def test_killed_between_a_decision_and_its_end(team: Team, step: str, when: str, attempt: int) -> None:
    """What had not begun costs no attempt, and what has ended is told."""
    team.commit("docs", "cat > docs/docs.md")
    team.commit("after", "cat > docs/after.md", on="{run_completed: {skill: docs}}")
    assert team.killed_at(step, when).wait() == -signal.SIGKILL
    team.start()
    team.until(lambda: team.are_ended(1, "after") and team.are_ended(1, "docs"))
    team.until(lambda: not RunQueue(team.store).unreported_ends("nobody"))
    found = {run.skill: (run.state, run.attempt) for run in team.runs()}
    assert found == dict.fromkeys(("docs", "after"), (RunState.SUCCEEDED, attempt))
    assert len(team.runs()) == 2
    assert one_pull_request(team, "docs")


# --- R10: asked to end ------------------------------------------------------------------------------


def waits(scratch: Path) -> str:
    return f"touch {scratch}/begun-$$; while ! test -e {scratch}/go; do sleep 0.1; done; cat > docs/x.md"


def test_asked_once_it_finishes_what_runs_and_takes_nothing_more(team: Team, scratch: Path) -> None:
    team.settings = "concurrency: {worker: 1}"
    team.commit("first", waits(scratch))
    team.commit("second", waits(scratch))
    worker = team.start()
    team.until(lambda: begun(scratch))
    worker.signal(signal.SIGTERM)
    team.until(lambda: WorkerStore(team.store).list_living()[0].state == "draining")
    (scratch / "go").touch()
    assert worker.wait() == 0
    states = {run.skill: run.state for run in team.runs()}
    assert sorted(states.values()) == [RunState.QUEUED, RunState.SUCCEEDED], "one of them had begun"
    team.start()
    team.until(lambda: set(team.states()) == {"succeeded"})


@pytest.mark.parametrize("asked", [1, 2])
def test_what_does_not_end_in_time_is_stopped(team: Team, scratch: Path, asked: int) -> None:
    team.settings = f"drain: {1 if asked == 1 else 600}s"
    team.commit("slow", first_hangs(scratch, "slow"))
    worker = team.start()
    team.until(lambda: begun(scratch))
    worker.signal(signal.SIGTERM)
    if asked == 2:  # signals that come before the first was taken in are one
        team.until(lambda: WorkerStore(team.store).list_living()[0].state == "draining")
        worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    end = team.runs()[0].end
    assert end is not None
    assert (end.state, end.reason) == (RunState.CANCELLED, Reason.CANCELLED)
    assert ("twice" in end.message) == (asked == 2)
    assert not hangs()


# --- R14: no room on the disk -----------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    is_there = os.getuid() == 0 and subprocess.run(mounted, check=False).returncode == 0
    require(is_there, "a small disk", "run this as root, who may mount one")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_nothing_else(team: Team, scratch: Path) -> None:
    team.settings = "free_disk: 4m"
    team.commit("greedy", f"touch {scratch}/begun-$$; cat /dev/zero > docs/greedy; sleep 0.5; exit 1")
    with small_disk(team.project.state, "40m"):
        worker = team.start()
        team.until(lambda: team.are_ended(1, "greedy"))
        assert team.runs("greedy")[0].state in (RunState.FAILED, RunState.ERROR)
        (team.project.state / "ballast").write_bytes(b"x" * (free(team) - 2 * 1024**2))
        team.commit("modest", "cat > docs/modest.md")
        team.until(lambda: "bytes are free: nothing is started" in worker.said())
        team.until(lambda: team.states("modest") == ["queued"])
        (team.project.state / "ballast").unlink()
        team.until(lambda: team.states("modest") == ["succeeded"])
        check = team.store.engine.raw_connection()
        assert check.cursor().execute("PRAGMA integrity_check").fetchone() == ("ok",)
        check.close()
        team.close()


def free(team: Team) -> int:
    found = os.statvfs(team.project.state)
    return found.f_bavail * found.f_frsize


# --- R18: the clock is set --------------------------------------------------------------------------


def test_a_clock_that_jumps_doubles_and_loses_nothing(team: Team, scratch: Path) -> None:
    clock, effects = scratch / "clock", scratch / "effects"
    clock.write_text("0")

    def set_to(hours: float) -> None:
        aside = scratch / "aside"
        aside.write_text(str(hours * 3600))
        aside.rename(clock)

    half_past = (datetime.now(UTC) - timedelta(minutes=30)).minute
    team.commit("hourly", "true", on=f"{{schedule: [{{cron: '{half_past} * * * *'}}]}}", output=NONE)
    worker = team.driver("--clock", str(clock), "--effects", str(effects))
    team.until(lambda: done(effects) == 1)
    set_to(2)  # two slots have come: one run stands for both
    team.until(lambda: done(effects) == 2)
    set_to(0)  # what was decided stays so
    team.commit("other", "true", output=NONE)
    team.until(lambda: team.are_ended(1, "other"))
    assert done(effects) == 3
    set_to(10)  # eight hours asleep
    team.until(lambda: done(effects) == 4)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    told = Counter(row.cause or row.verdict for row in slots(team, "hourly"))
    assert told == {"started": 3, "duplicate": 6, "window": 2}
    assert len({row.due for row in slots(team, "hourly")}) == 11
    assert {run.state.value for run in team.runs()} == {"succeeded"}


def slots(team: Team, skill: str) -> list[Any]:
    with team.store.engine.connect() as connection:
        query = decisions.select().where(decisions.c.skill == skill, decisions.c.due.is_not(None))
        return list(connection.execute(query).all())


# --- R20: longer than its interval ------------------------------------------------------------------


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel_running"])
def test_a_run_longer_than_its_interval(team: Team, scratch: Path, overlap: str) -> None:
    clock = scratch / "clock"
    clock.write_text("0")
    half_past = (datetime.now(UTC) - timedelta(minutes=30)).minute
    team.commit(
        "hourly", waits(scratch), on=f"{{schedule: [{{cron: '{half_past} * * * *'}}]}}", overlap=overlap
    )
    team.driver("--clock", str(clock))
    team.until(lambda: begun(scratch) == 1)
    clock.write_text("3600")
    team.until(lambda: len(slots(team, "hourly")) == 2)
    verdicts = sorted((row.verdict, row.cause) for row in slots(team, "hourly"))
    second = ("skipped", "overlap") if overlap == "skip" else ("started", None)
    assert verdicts == sorted([("started", None), second], key=str)
    if overlap == "queue":
        assert sorted(team.states()) == ["queued", "running"]
    if overlap == "cancel_running":
        team.until(lambda: team.is_in(RunState.CANCELLED) and begun(scratch) == 2)
    (scratch / "go").touch()
    ends = {"skip": ["succeeded"], "queue": ["nothing_to_do", "succeeded"]}
    team.until(lambda: sorted(team.states()) == ends.get(overlap, ["cancelled", "succeeded"]))


# --- R22: a skill breaks ----------------------------------------------------------------------------


def test_a_skill_that_breaks_is_off_and_told_and_the_others_run(team: Team, scratch: Path) -> None:
    team.commit("breaks", f"touch {scratch}/begun-$$", on="{schedule: [{cron: '* * * * *'}]}", output=NONE)
    worker = team.start()
    team.until(lambda: team.are_ended(1, "breaks"))
    team.project.write({"skills/breaks/skill.yaml": "version: 1\non: {schedule: [{cron: whenever}]}\n"})
    team.commit("fine", "cat > docs/fine.md")
    team.until(lambda: team.are_ended(1, "fine"))
    assert "skills/breaks/skill.yaml" in worker.said()
    assert "cron" in worker.said()
    assert team.states("fine") == ["succeeded"]
    decided = len(slots(team, "breaks"))
    team.until(lambda: "1 skills at" in worker.said())
    assert len(slots(team, "breaks")) == decided, "the last good one is not used in its place"


# --- R25: a skill that fails again and again --------------------------------------------------------


def test_a_circuit_breaks_and_a_human_closes_it(team: Team, scratch: Path) -> None:
    clock = scratch / "clock"
    clock.write_text("0")
    team.settings = "circuit: 2"
    half_past = (datetime.now(UTC) - timedelta(minutes=30)).minute
    team.commit("fails", "exit 3", on=f"{{schedule: [{{cron: '{half_past} * * * *'}}]}}")
    team.driver("--clock", str(clock))
    for hours in (1, 2):
        team.until(lambda hours=hours: team.are_ended(hours, "fails"))  # type: ignore[misc]
        clock.write_text(str(hours * 3600))
    team.until(lambda: team.why("fails").startswith("held paused"))
    assert team.states() == ["failed"] * 2
    status = team.project.skillrunner("worker", "status").out
    assert "it failed 2 times in a row, the last time: " in status
    resume(team.store, "", "fails", datetime.now(UTC) + timedelta(hours=2))
    clock.write_text(str(3 * 3600))
    team.until(lambda: team.are_ended(3, "fails"))
    clock.write_text(str(4 * 3600))
    team.until(lambda: team.are_ended(4, "fails"))
    assert len(team.states()) == 4, "one failure after it went on is no reason to hold it again"


def test_success_without_work_is_none(team: Team) -> None:
    team.commit("idle", "true")
    team.start()
    team.until(lambda: team.are_ended())
    assert team.states() == ["nothing_to_do"]
    assert team.project.branches() == ["main"]


# --- the database is away ---------------------------------------------------------------------------


@pytest.fixture
def outage(project: Project, request: pytest.FixtureRequest) -> Iterator[tuple[Team, Server]]:
    with server() as its_own, made(project, its_own.database("workers"), request.param) as one:
        yield one, its_own


@pytest.mark.parametrize("outage", ["silence: 20s"], indirect=True)
def test_a_run_outlives_a_database_that_is_away_for_a_moment(
    outage: tuple[Team, Server], scratch: Path
) -> None:
    team, database = outage
    team.commit("slow", waits(scratch))
    worker = team.start(machine="a")
    team.until(lambda: begun(scratch))
    (scratch / "go").touch()
    database.stop()
    team.until(lambda: "the database does not answer, and is waited for" in worker.said())
    database.start()
    team.until(lambda: team.are_ended())
    assert team.states() == ["succeeded"]
    team.until(lambda: "the database answers again" in worker.said())
    team.commit("later", "cat > docs/later.md")
    team.until(lambda: team.are_ended(1, "later"))
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert set(team.states()) == {"succeeded"}


@pytest.mark.parametrize("outage", ["silence: 5s"], indirect=True)
def test_a_worker_that_is_cut_off_for_too_long_gives_up_what_it_runs(
    outage: tuple[Team, Server], scratch: Path
) -> None:
    team, database = outage
    team.settings += ", on_worker_lost: retry"
    team.commit("slow", first_hangs(scratch, "slow"))
    worker = team.start(machine="a")
    team.until(lambda: begun(scratch))
    database.stop()
    team.until(lambda: "goes on under a new name when its database answers" in worker.said())
    assert not hangs()
    database.start()
    assert team.states() == ["running"], "nobody could write down what became of it"
    team.until(lambda: team.are_ended())
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert worker.said().count("the database does not answer") == 1
    assert "Traceback" not in worker.said()
    assert [(run.state, run.attempt) for run in team.runs()] == [(RunState.SUCCEEDED, 2)]
    assert one_pull_request(team, "slow")
    assert not (scratch / "together").exists()


@pytest.mark.parametrize("outage", ["silence: 20s"], indirect=True)
def test_a_database_that_starts_later_than_its_worker_is_waited_for(outage: tuple[Team, Server]) -> None:
    team, database = outage
    team.commit("docs", "cat > docs/new.md")
    database.stop()
    worker = team.start(machine="a")
    team.until(lambda: "the database does not answer, and is waited for" in worker.said())
    database.start()
    team.until(lambda: team.are_ended())
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    lines = worker.said().splitlines()
    assert sum("the database does not answer" in line for line in lines) == 1
    assert [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \S+ [A-Z]+ ", line)] == []


# --- the configuration ------------------------------------------------------------------------------


def test_a_worker_that_is_hung_up_reads_its_configuration_again_and_its_runs_go_on(
    team: Team, scratch: Path
) -> None:
    team.commit("slow", waits(scratch))
    worker = team.start()
    file = team.folder / "skillrunner.yaml"
    team.until(lambda: begun(scratch))
    before = file.read_text()
    file.write_text("nonsense: true\n")
    worker.signal(signal.SIGHUP)
    team.until(lambda: "the configuration stays as it was: " in worker.said())
    other = make_project(scratch / "other", skill_files("tidy", "on: {manual: {}}\n" + QUIET))
    file.write_text(
        before.replace(f"['{team.project.origin}']", f"['{team.project.origin}', '{other.origin}']")
    )
    worker.signal(signal.SIGHUP)
    team.until(lambda: f"{other.origin}: 1 skills at" in worker.said())
    (scratch / "go").touch()
    team.until(lambda: team.are_ended())
    assert team.states() == ["succeeded"]
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


# --- containers -------------------------------------------------------------------------------------


def containers(**labels: str) -> list[str]:
    wanted = [f"skillrunner.{name}={value}" for name, value in labels.items()]
    return [one["Id"] for one in docker.client().containers(all=True, filters={"label": wanted})]


def begin_in_container(team: Team, image: str) -> Worker:
    team.project.variables["SKILLRUNNER_IMAGE"] = image
    team.commit("slow", "exec sleep 300")
    worker = team.start(sandbox="docker", machine="a" if team.server else "")
    team.until(lambda: team.is_in(RunState.RUNNING) and containers(run=team.runs()[0].id))
    return worker


@pytest.mark.docker
def test_a_restart_removes_what_its_dead_left_and_nothing_else(team: Team, local_image: str) -> None:
    begin_in_container(team, local_image).kill()
    (run,) = team.runs()
    engine, mark = docker.client(), f"test-{os.getpid()}"
    others = {"run-of-another-store": {"skillrunner.worker": "w"}, f"by-hand-{mark}": {}}
    kept = [
        engine.create_container(
            local_image, ["sleep", "60"], labels={"skillrunner.run": name, "test": mark, **labels}
        )["Id"]
        for name, labels in others.items()
    ]
    kept.append(engine.create_container(local_image, ["sleep", "60"], labels={"test": mark})["Id"])
    try:
        worker = team.start(sandbox="docker")
        team.until(lambda: team.states() == ["lost"])
        team.until(lambda: not containers(run=run.id))
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        found = {one["Id"] for one in engine.containers(all=True, filters={"label": [f"test={mark}"]})}
        assert found == set(kept)
    finally:
        for one in kept:
            docker.remove(one)


@pytest.mark.docker
def test_a_worker_that_slept_too_long_removes_its_container(cluster: Team, local_image: str) -> None:
    sleeper = begin_in_container(cluster, local_image)
    (run,) = cluster.runs()
    sleeper.signal(signal.SIGSTOP)
    until = uptime() + SILENCE + 1
    cluster.until(lambda: uptime() > until)
    assert containers(run=run.id)
    sleeper.signal(signal.SIGCONT)
    assert sleeper.wait() == 6
    assert containers(run=run.id) == []
    assert cluster.states() == ["lost"]


@pytest.mark.docker
def test_an_engine_that_restarts_is_no_failure_of_the_skill(
    team: Team, scratch: Path, own_engine: OwnEngine
) -> None:
    """The run that it broke has an error, one that finds no engine waits for it, and the worker goes on."""
    clock = scratch / "clock"
    clock.write_text("0")
    team.project.variables.update(SKILLRUNNER_IMAGE=own_engine.image(), DOCKER_HOST=own_engine.host)
    team.commit("slow", "exec sleep 300")
    worker = team.start("-m", "tests.parts.worker_driver", "--clock", str(clock), sandbox="docker")
    team.until(lambda: team.is_in(RunState.RUNNING))
    time.sleep(0.5)
    own_engine.stop()
    team.until(lambda: team.are_ended())
    end = team.runs()[0].end
    assert end is not None
    assert (end.state, end.retryable) == (RunState.ERROR, True), end
    assert end.reason in (Reason.ENGINE_FAILED, Reason.ENGINE_UNAVAILABLE)
    team.commit("next", "cat > docs/next.md")
    team.until(lambda: team.runs("next") and team.runs("next")[0].attempt == 2)
    assert team.states("next") != ["succeeded"]
    own_engine.start()
    clock.write_text("7200")  # past its next turn, however long this took
    team.until(lambda: team.states("next") == ["succeeded"])
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


# --- money and age ----------------------------------------------------------------------------------


def record(team: Team, run_id: str, ended: datetime, cost: float | None = None) -> None:
    """A run of old, with a file."""
    made = Run(
        id=run_id,
        repository=str(team.project.origin),
        skill="docs",
        trigger="manual",
        trigger_key=f"manual:{run_id}",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=ended,
    )
    team.store.create_run(made)
    done = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)
    team.store.finish(run_id, done, ended, Usage(cost_usd=cost))
    folder = team.store.run_folder(run_id)
    folder.mkdir(parents=True)
    (folder / "patch").write_text("x")


def test_what_is_due_when_the_money_is_spent_is_held(team: Team) -> None:
    team.settings = "budget: {daily_usd: 3, skill_daily_usd: 2.5}"
    record(team, "dear", datetime.now(UTC), 2.75)
    team.commit("docs", "cat > docs/docs.md")
    team.commit("cheap", "cat > docs/cheap.md")
    team.start()
    team.until(lambda: team.why("docs") and team.are_ended(1, "cheap"))
    assert team.why("docs") == "held budget: today (UTC) docs has spent $2.75, and a skill may spend $2.50"
    assert team.states("cheap") == ["succeeded"]
    record(team, "dearer", datetime.now(UTC), 0.25)
    team.commit("late", "cat > docs/late.md")
    team.until(lambda: team.why("late"))
    assert team.why("late") == "held budget: today (UTC) $3.00 are spent, and all skills may spend $3.00"


def test_what_waits_when_the_money_is_spent_begins_the_next_day(team: Team, scratch: Path) -> None:
    clock = scratch / "clock"
    clock.write_text("0")
    team.settings = "budget: {daily_usd: 3}, concurrency: {worker: 1}"
    team.commit("first", waits(scratch))
    team.commit("second", waits(scratch))
    worker = team.driver("--clock", str(clock))
    team.until(lambda: begun(scratch))
    record(team, "dear", datetime.now(UTC), 5)
    (scratch / "go").touch()
    team.until(lambda: sorted(team.states()) == ["queued", "succeeded", "succeeded"])
    team.commit("due", "cat > docs/due.md")
    team.until(lambda: team.why("due").startswith("held budget"))
    assert team.is_in(RunState.QUEUED)
    clock.write_text("86400")
    team.until(lambda: team.are_ended())
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_old_runs_go_with_their_files(team: Team) -> None:
    team.settings = "retention: 7d"
    now = datetime.now(UTC)
    for at in range(3):
        record(team, f"old-{at}", now - timedelta(days=30 - at))
    team.commit("docs", "cat > docs/docs.md")
    team.start()
    team.until(lambda: not any(run.id.startswith("old-") for run in team.runs()))
    team.until(lambda: len(team.runs()) == 1 and team.are_ended())
    (run,) = team.runs()
    folders = team.project.state / "runs"
    team.until(lambda: [path.name for path in folders.iterdir()] == [run.id])
    assert team.project.skillrunner("why", "docs").code == 0
