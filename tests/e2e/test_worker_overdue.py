"""The dead-man alert: what is due and not decided is told, by workers that live, and by the store alone."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.store.alerts import AlertStore, ReadResult
from tests.parts.listener import Listener
from tests.parts.workers import Team


def test_anybody_can_ask_the_store_when_no_worker_lives(team: Team, tmp_path: Path) -> None:
    """The first worker's clock is an hour behind: what it expects next is overdue for everybody else."""
    clock = tmp_path / "clock"
    clock.write_text("-3600")
    team.settings = "grace: 1s"
    schedule = "{schedule: [{cron: '* * * * *'}]}"
    team.commit("often", "true", on=schedule, output="{{none: {{}}}}", ago=timedelta(hours=2))
    first = team.start("-m", "tests.parts.worker_driver", "--clock", str(clock))
    team.until(lambda: AlertStore(team.store).repositories("often"))
    first.kill()
    team.until(lambda: "overdue" in team.skillrunner("worker", "status", "--healthy").out)
    asked = team.skillrunner("worker", "status", "--healthy", "--anywhere")
    assert asked.code == 1
    assert f"overdue: {team.project.origin} often: the slot of " in asked.out
    (found,) = team.skillrunner("worker", "status", "--json").json()["troubles"]
    assert (found["kind"], found["skill"]) == ("overdue", "often")
    assert "overdue: " in team.skillrunner("worker", "status").out
    team.start()
    team.until(
        lambda: (
            team.skillrunner("worker", "status", "--healthy").code == 0
            or "overdue" not in team.skillrunner("worker", "status", "--healthy").out
        )
    )
    assert team.skillrunner("worker", "status", "--alive").code == 0


def test_a_worker_tells_a_url_what_is_wrong_and_when_it_is_over(team: Team, listener: Listener) -> None:
    team.project.variables["HOOK"] = listener.url
    team.settings = "grace: 1s, alert: HOOK, circuit: 1"
    team.commit("fails", "exit 1")
    team.start()
    team.until(lambda: ("circuit", "began", "fails") in listener.facts())
    due = {"docs": datetime.now(UTC) - timedelta(hours=1)}
    AlertStore(team.store).note_read("gone", {"acme/other": ReadResult()}, datetime.now(UTC))
    AlertStore(team.store).set_expected("acme/other", due, decided=True)
    team.until(lambda: ("overdue", "began", "docs") in listener.facts())
    host = os.uname().nodename
    asked = team.skillrunner("worker", "status", "--healthy")
    assert asked.code == 1
    assert asked.out.startswith(f"healthy: {host}-")
    assert "overdue: acme/other docs: the slot of" in asked.out
    aside = team.project.origin.rename(team.project.origin.with_suffix(".aside"))
    team.until(lambda: ("unread", "began", "") in listener.facts())
    (line,) = [
        one for one in team.skillrunner("worker", "status").out.splitlines() if one.startswith("unread: ")
    ]
    assert f"unread: {team.project.origin} for " in line
    assert "; next try " in line
    aside.rename(team.project.origin)
    AlertStore(team.store).set_expected("acme/other", {}, decided=True)
    resumed = team.project.skillrunner("worker", "resume", "fails")
    assert resumed.code == 0, resumed.err
    over = {("unread", "over", ""), ("overdue", "over", "docs"), ("circuit", "over", "fails")}
    team.until(lambda: over <= set(listener.facts()))
    assert len(listener.facts()) == 6
    assert listener.url not in team.workers[0].said()


def test_an_alert_without_its_variable_ends_the_worker_at_once(team: Team) -> None:
    team.settings = "alert: HOOK"
    team.commit("never", "true", on="{manual: {}}")
    one = team.start()
    assert one.wait() == 3
    assert "worker.alert names HOOK" in one.said()
