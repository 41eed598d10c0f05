"""`why` and `worker status` say why nothing runs, from the store alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.core.model.decision import Cause, Decision, Verdict
from runner.scheduler.overdue import AlertKind
from runner.store import Store
from runner.store.alerts import AlertStore, ReadResult
from runner.store.decisions import DecisionStore
from runner.store.troubles import KnownSkill, TroubleScope, TroubleStore
from runner.store.workers import WorkerStore
from tests.parts.cli import Project
from tests.parts.racer import enqueue, worker

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    made = Store(project.state)
    WorkerStore(made).register(worker("w", started_at=NOW, seen_at=NOW, silence=1e6))
    AlertStore(made).note_read("w", {"o/r": ReadResult()}, NOW)
    skills = [KnownSkill(name=name, triggers=("schedule",), enabled=True) for name in ("docs", "tidy")]
    TroubleStore(made).set_known("o/r", skills)
    yield made
    made.close()


def decided(skill: str, key: str, due: datetime | None = None, **more: Any) -> Decision:
    given = {
        "verdict": Verdict.SKIPPED,
        "cause": Cause.OVERLAP,
        "message": "a run goes on",
        "at": NOW,
        **more,
    }
    return Decision(key=key, skill=skill, trigger="schedule" if due else "release", due=due, **given)


def keep(store: Store, *made: Decision) -> None:
    DecisionStore(store, "o/r").decide(lambda _: made, lambda _: pytest.fail("nothing is queued"))


def test_unknown_invalid_and_not_due_yet_are_three_answers(project: Project, store: Store) -> None:
    invalid = TroubleScope(kind=AlertKind.INVALID_SKILL, repository="o/r")
    TroubleStore(store).replace(invalid, {"broken": "o/r broken is not valid: skill.yaml:1:1: x"}, NOW)
    AlertStore(store).set_expected("o/r", {"docs": NOW + HOUR}, decided=True)
    unknown = project.skillrunner("why", "dosc")
    assert (unknown.code, "no worker has seen a skill dosc" in unknown.err) == (3, True)
    assert "did you mean `docs`?" in unknown.err
    broken = project.skillrunner("why", "broken")
    assert (broken.code, "broken: invalid skill: " in broken.out) == (0, True), broken
    later = project.skillrunner("why", "docs", "--json").json()
    assert (later["skill"], later["waits"]["kind"]) == ("docs", "not due")
    assert later["waits"]["until"].startswith(f"{NOW + HOUR:%Y-%m-%dT%H:%M}")


def test_a_slot_without_a_decision_is_not_answered_with_an_earlier_one(
    project: Project, store: Store
) -> None:
    keep(store, decided("docs", "schedule:x:1", NOW - 3 * HOUR))
    AlertStore(store).set_expected("o/r", {"docs": NOW - 2 * HOUR}, decided=True)
    WorkerStore(store).mark_ended("w", NOW)
    asked = project.skillrunner("why", "docs", "--at", (NOW - HOUR).isoformat()).out
    assert f"the slot of {NOW - 2 * HOUR:%Y-%m-%d %H:%M} UTC has no decision: no worker runs" in asked
    earlier = project.skillrunner("why", "docs", "--at", (NOW - 2.5 * HOUR).isoformat()).out
    assert "docs: skipped: overlap: a run goes on" in earlier
    last = project.skillrunner("why", "docs").out
    assert "docs: skipped: overlap" in last
    assert "it waits    no worker: the slot of" in last
    before = project.skillrunner("why", "docs", "--at", (NOW - 9 * HOUR).isoformat()).out
    assert "docs: not due: nothing was due at that time" in before


def test_an_event_is_found_by_its_subject_and_the_whole_word_first(project: Project, store: Store) -> None:
    for tag, number, at in (("v3", 12, NOW - HOUR), ("v30", 112, NOW)):
        message = f"release {tag} by ada"
        keep(store, decided("docs", f"release:{number}:published", message=message, at=at))
    for asked, key in (("v3", "12"), ("v30", "112"), ("12", "12"), ("release:112:published", "112")):
        found = project.skillrunner("why", "docs", "--event", asked, "--json").json()
        assert found["key"] == f"release:{key}:published", asked
    absent = project.skillrunner("why", "docs", "--event", "v9")
    assert (absent.code, "no event v9 was decided for docs" in absent.err) == (3, True)


def test_a_pause_is_told_with_its_reason_and_its_author_and_a_circuit_as_one(
    project: Project, store: Store
) -> None:
    project.variables["USER"] = "ada"
    AlertStore(store).set_expected("o/r", {"docs": NOW + HOUR}, decided=True)
    assert project.skillrunner("worker", "pause", "docs", "--reason", "release week").code == 0
    for told in (project.skillrunner("why", "docs").out, project.skillrunner("worker", "status").out):
        assert "ada@" in told
        assert "release week; `skillrunner worker resume docs` goes on" in told
    assert project.skillrunner("worker", "resume", "docs").code == 0
    assert "release week" not in project.skillrunner("why", "docs").out


def test_why_a_queued_run_waits_is_told_alike_everywhere(project: Project, store: Store) -> None:
    enqueue(store, "first")
    disk = TroubleScope(kind=AlertKind.DISK, place="here", host="box")
    TroubleStore(store).replace(disk, {"": "the disk of box is full: nothing is started"}, NOW)
    (waiting,) = project.skillrunner("worker", "status", "--json").json()["waiting"]
    why = project.skillrunner("why", "docs", "--json").json()
    assert waiting["kind"] == why["waits"]["kind"] == "disk"
    assert waiting["why"] == why["waits"]["why"] == "the disk of box is full: nothing is started"
    assert "it waits    disk: the disk of box is full" in project.skillrunner("why", "docs").out
    healthy = project.skillrunner("worker", "status", "--healthy", "--anywhere")
    assert (healthy.code, "disk: the disk of box is full" in healthy.out) == (1, True)
    TroubleStore(store).replace(disk, {}, NOW)
    assert project.skillrunner("worker", "status", "--healthy", "--anywhere").code == 0
