"""Why a run is not running, in one place: each cause, and which of several is named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.core.model.decision import Budget, Cause, Decision, Verdict
from runner.scheduler.admission import AdmissionLimits, QueueState, RunningRun, WaitingRun
from runner.scheduler.obstacles import (
    ObstacleKind,
    Pause,
    QueuedRun,
    QueueFacts,
    SkillFacts,
    Surroundings,
    why_held,
    why_idle,
    why_queued,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RUN = QueuedRun(run_id="r", repository="o/r", skill="docs")
WELL = Surroundings(has_worker=True, served={"o/r"})
SKILL = SkillFacts(repository="o/r", skill="docs", triggers=("schedule",), next_due=NOW + 60 * MINUTE)


def facts(around: Surroundings = WELL, *, running: int = 0, **more: Any) -> QueueFacts:
    waiting = WaitingRun(run_id="r", repository="o/r", skill="docs", priority=5, since=NOW)
    state = QueueState(
        waiting=[waiting],
        running=[RunningRun(repository="o/r", skill="docs")] * running,
        starts=[],
        now=NOW,
    )
    return QueueFacts(surroundings=around, state=state, limits=AdmissionLimits(), **more)


@pytest.mark.parametrize(
    ("run", "given", "kind", "words"),
    [
        (RUN, facts(replace(WELL, has_worker=False)), ObstacleKind.NO_WORKER, "skillrunner worker"),
        (RUN, facts(replace(WELL, served={"o/other"})), ObstacleKind.UNSERVED, "o/r"),
        (RUN, facts(replace(WELL, served=())), ObstacleKind.TURN, "place is free"),
        (RUN, facts(replace(WELL, disk="full")), ObstacleKind.DISK, "full"),
        (RUN, facts(replace(WELL, engine="gone")), ObstacleKind.ENGINE, "gone"),
        (replace(RUN, not_before=NOW + MINUTE), facts(), ObstacleKind.JITTER, "12:01:00 UTC"),
        (replace(RUN, not_before=NOW + MINUTE, is_retry=True), facts(), ObstacleKind.BACKOFF, "12:01:00 UTC"),
        (replace(RUN, not_before=NOW), facts(), ObstacleKind.TURN, "place is free"),
        (RUN, facts(running=1), ObstacleKind.LIMIT, "1 may at a time"),
        (RUN, facts(budgets={"o/r": Budget(daily=1, spent=2)}), ObstacleKind.BUDGET, "$2.00"),
        (RUN, facts(), ObstacleKind.TURN, "place is free"),
        (RUN, facts(replace(WELL, has_worker=False, disk="full")), ObstacleKind.NO_WORKER, "no worker"),
        (replace(RUN, not_before=NOW + MINUTE), facts(replace(WELL, disk="full")), ObstacleKind.DISK, "full"),
        (RUN, facts(running=1, budgets={"o/r": Budget(daily=1, spent=2)}), ObstacleKind.BUDGET, "$2.00"),
    ],
)
def test_why_a_queued_run_is_not_running(
    run: QueuedRun, given: QueueFacts, kind: ObstacleKind, words: str
) -> None:
    found = why_queued([run], given)["r"]
    assert (found.kind, words in found.message) == (kind, True), found
    assert found.until == (run.not_before if kind in (ObstacleKind.JITTER, ObstacleKind.BACKOFF) else None)


HELD = Pause(repository="", skill="docs", reason="release week", at=NOW, who="ada@box")
OPEN = Pause(repository="o/r", skill="docs", reason="it failed 5 times", at=NOW, circuit=True)
AT = "2026-11-21 12:00 UTC"


@pytest.mark.parametrize(
    ("pause", "message"),
    [
        (HELD, f"ada@box paused it at {AT}: release week; `skillrunner worker resume docs` goes on"),
        (
            replace(HELD, reason="", who=""),
            f"somebody paused it at {AT}, and gave no reason; `skillrunner worker resume docs` goes on",
        ),
        (
            replace(HELD, skill=""),
            f"ada@box paused everything at {AT}: release week; `skillrunner worker resume` goes on",
        ),
        (
            replace(HELD, skill="", repository="o/r"),
            (
                f"ada@box paused the repository at {AT}: release week; "
                "`skillrunner worker resume --repository o/r` goes on"
            ),
        ),
        (
            OPEN,
            (
                f"its circuit is open since {AT}: it failed 5 times; "
                "`skillrunner worker resume docs --repository o/r` closes it"
            ),
        ),
    ],
)
def test_a_pause_names_who_when_why_and_the_way_back(pause: Pause, message: str) -> None:
    assert pause.message == message
    found = why_idle(replace(SKILL, pauses=[pause]), WELL, NOW)
    assert found.message == message
    assert found.kind is (ObstacleKind.CIRCUIT if pause.circuit else ObstacleKind.PAUSED)


@pytest.mark.parametrize(
    ("skill", "around", "kind", "words"),
    [
        (SKILL, WELL, ObstacleKind.NOT_DUE, "not due before 2026-11-21 13:00 UTC"),
        (replace(SKILL, next_due=NOW - MINUTE), WELL, ObstacleKind.OVERDUE, "11:59 UTC has no decision"),
        (replace(SKILL, next_due=None, triggers=("release",)), WELL, ObstacleKind.NOT_DUE, "by release"),
        (replace(SKILL, next_due=None, triggers=()), WELL, ObstacleKind.NOT_DUE, "by nothing"),
        (replace(SKILL, fault="skill.yaml:3:1: x"), WELL, ObstacleKind.INVALID, "skill.yaml:3:1: x"),
        (replace(SKILL, enabled=False), WELL, ObstacleKind.DISABLED, "`enabled: false`"),
        (SKILL, replace(WELL, has_worker=False), ObstacleKind.NO_WORKER, "no worker runs"),
        (
            replace(SKILL, next_due=NOW - MINUTE),
            replace(WELL, has_worker=False),
            ObstacleKind.NO_WORKER,
            "11:59 UTC has no decision: no worker runs",
        ),
        (SKILL, replace(WELL, unread={"o/r": "timed out"}), ObstacleKind.UNREAD, "cannot be read: timed out"),
        (SKILL, replace(WELL, disk="full"), ObstacleKind.DISK, "full"),
    ],
)
def test_why_a_skill_has_no_run(
    skill: SkillFacts, around: Surroundings, kind: ObstacleKind, words: str
) -> None:
    found = why_idle(skill, around, NOW)
    assert (found.kind, words in found.message) == (kind, True), found


@pytest.mark.parametrize("cause", list(Cause))
def test_what_a_held_decision_waits_for(cause: Cause) -> None:
    held = {Cause.PAUSED, Cause.BUDGET, Cause.LIMIT, Cause.APPROVAL, Cause.CONDITION}
    made = Decision(
        key="k", skill="docs", trigger="schedule", verdict=Verdict.HELD, cause=cause, message="m", at=NOW
    )
    found = why_held(made)
    assert (found is not None) == (cause in held)
    assert found is None or (found.kind.value, found.message) == (cause.value, "m")
