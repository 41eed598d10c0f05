"""`backfill`: slots of the past that had no run get one, once, beside what comes due now."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.model import Remote, RunState
from runner.scheduler.ledger import Ledger
from runner.store.alerts import AlertStore
from runner.triggers.schedule import Schedule
from runner.triggers.slots import slots
from runner.workspace.mirror import Mirror
from tests.parts.cli import Project
from tests.parts.github import repository
from tests.parts.racer import decision
from tests.parts.workers import Team, long_ago, made

NOTES = "grep -o 20..-..-.*:00+00:00 > {notes}/$(date +%s%N)"
NONE = "{{none: {{}}}}"
PROMPT = "{{ event.schedule.due }}\n"


def serve(team: Team, overlap: str, command: str = "true") -> tuple[str, str]:
    """A worker that has seen a skill with a slot in each hour; the span of the last three before this one."""
    team.commit(
        "docs",
        command,
        on="{schedule: [{cron: '0 * * * *', catch_up: 1s}]}",
        overlap=overlap,
        output=NONE,
        ago=timedelta(days=1),
    )
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return f"{hour - timedelta(hours=3):%Y-%m-%dT%H:%M}", f"{hour:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("place", ["team", "cluster"])
def test_missed_slots_get_their_runs_one_after_the_other(place: str, request: pytest.FixtureRequest) -> None:
    team: Team = request.getfixturevalue(place)
    team.settings = "silence: 60s"
    notes = team.project.home / "notes"
    notes.mkdir()
    start, end = serve(team, "skip", NOTES.format(notes=notes))
    team.project.write({"skills/docs/SKILL.md": f"---\nname: docs\ndescription: d\n---\n\n{PROMPT}"})
    team.push("prompt", timedelta(days=1))
    team.start()
    team.until(lambda: AlertStore(team.store).repositories("docs"))
    team.until(lambda: "missed" in team.why("docs") or team.runs())
    before = len(team.runs())
    span = ("--from", start, "--to", end)
    tried = team.skillrunner("backfill", "docs", *span, "--dry-run")
    assert tried.code == 0, tried.err
    assert tried.out.count("would be queued") == 3
    assert len(team.runs()) == before
    done = team.skillrunner("backfill", "docs", *span)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith(start.replace("T", " "))
    ids = [line.split()[-1] for line in lines]
    team.until(lambda: team.are_ended(before + 3))
    again = team.skillrunner("backfill", "docs", *span)
    assert [line.split()[-3:] for line in again.out.splitlines()] == [["had", "run", one] for one in ids]
    found = [run for run in team.runs() if run.id in ids]
    assert [run.state for run in found] == [RunState.NOTHING_TO_DO] * 3
    assert [run.id for run in sorted(found, key=lambda run: str(run.started_at))] == ids
    seen = [path.read_text().strip() for path in sorted(notes.iterdir())][-3:]
    assert seen[0].startswith(start)
    assert seen == sorted(seen)


def test_what_comes_due_now_neither_waits_for_it_nor_ends_it(team: Team) -> None:
    """The backfilled runs wait behind a run that goes on; a slot of now is started all the same."""
    go = team.project.home / "go"
    start, end = serve(team, "skip", f"until test -e {go}; do sleep 0.1; done")
    team.start()
    team.until(lambda: AlertStore(team.store).repositories("docs"))
    assert team.skillrunner("backfill", "docs", "--from", start, "--to", end).code == 0
    team.until(lambda: team.is_in(RunState.RUNNING, "docs"))
    filled = [run.id for run in team.runs() if run.trigger_key.startswith("backfill:")]
    assert len(filled) == 3
    for minutes, overlap in ((2, "skip"), (3, "cancel_running")):
        before = len(team.runs())
        on = f"{{schedule: [{long_ago(minutes)}]}}"
        team.commit("docs", f"until test -e {go}; do sleep 0.1; done", on=on, overlap=overlap, output=NONE)
        team.until(lambda before=before: len(team.runs()) > before)  # type: ignore[misc]
    assert [team.store.run(one).end for one in filled] == [None] * 3
    go.touch()
    team.until(lambda: team.are_ended(5))
    assert [team.store.run(one).state for one in filled] == [RunState.NOTHING_TO_DO] * 3


def test_what_cannot_be_filled_in_says_why(team: Team) -> None:
    start, end = serve(team, "skip")
    folder = team.project.home / "machine-"
    folder.mkdir()
    (folder / "skillrunner.yaml").write_text("image: python:3.12-slim\n")
    span = ("--from", start, "--to", end)

    def refused(*argv: str) -> str:
        done = team.skillrunner("backfill", "docs", *argv)
        assert done.code == 3, done
        return done.err

    assert "no repository that a worker serves has a skill docs" in refused(*span)
    assert "serves acme/web: nothing would be run" in refused(*span, "--repository", "acme/web")
    team.start()
    team.until(lambda: AlertStore(team.store).repositories("docs"))
    assert "--from 'soon' is no time" in refused("--from", "soon", "--to", end)
    assert "is not later than --from" in refused("--from", end, "--to", start)
    assert "lies in the future" in refused("--from", start, "--to", "2999-01-01")
    assert "more than 100 slots" in refused("--from", "2026-01-01", "--to", end)
    assert "more than 2 slots" in refused(*span, "--most", "2")
    assert team.project.skillrunner("worker", "pause", "docs").code == 0
    assert "docs is paused" in refused(*span)


@pytest.mark.emulator
@pytest.mark.git_http
def test_a_slot_that_actions_ran_had_its_run(github_project: Project) -> None:
    """On GitHub others decide as well: what they started is in the ledger that all share."""
    folder = github_project.home / "machine-"
    folder.mkdir()
    (folder / "skillrunner.yaml").write_text(
        f"sandbox: process\nworker: {{repositories: ['{repository(github_project)}'], poll: 1s}}\n"
    )
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with made(github_project) as team:
        start, end = serve(team, "skip")
        remote = Remote(url=str(github_project.origin))
        mirror = Mirror(github_project.home / "mirror", remote.url)
        mirror.fetch(remote)
        schedule = Schedule.model_validate({"cron": "0 * * * *"})
        first, *_ = slots(schedule, hour - timedelta(hours=3, minutes=1), hour)
        theirs = decision(first.key, "run-of-actions", due=first.due, at=first.due)
        Ledger(mirror, remote).decide(lambda _: [theirs], first.due)
        command = [sys.executable, "-m", "runner", "worker", "--once"]
        subprocess.run(command, cwd=folder, env=github_project.environment(), check=True, capture_output=True)
        done = team.skillrunner("backfill", "docs", "--from", start, "--to", end)
        assert done.code == 0, done.err
        results = [line[22:].split("  ")[0].strip() for line in done.out.splitlines()]
        assert results == ["had run", "queued", "queued"]
        assert done.out.splitlines()[0].endswith("run-of-actions")
