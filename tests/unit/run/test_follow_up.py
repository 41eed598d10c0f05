"""The end of a run is told once, and what follows from it is decided; a chain of runs has an end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.model import End, Phase, Receipt, Run, RunState
from runner.core.model.decision import Cause, Decision, Event, Facts, History, Verdict
from runner.run.follow_up import MAX_CHAIN, FollowUps, chain_length, report_end
from runner.scheduler.ledger import DecideFunction
from runner.skills import Skill, load
from runner.store import Store
from tests.parts.cli import skill_files

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DONE = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)
REST = "harness: {kind: command, command: [x]}\noutput: {none: {}}\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state")
    yield made
    made.close()


@dataclass(slots=True)
class Log:
    """Keeps ends, as the ledger does."""

    ends: list[tuple[str, End, str]] = field(default_factory=list)

    def add_end(self, decision: Decision, end: End, url: str, now: datetime) -> None:
        self.ends.append((decision.run_id, end, url))


def as_they_are(_: Event, facts: Facts) -> Facts:
    return facts


def skills(**listening: str) -> dict[str, Skill]:
    files = [skill_files(name, f"on: {on}\n{REST}") for name, on in listening.items()]
    return dict(load({path: text.encode() for one in files for path, text in one.items()}).skills)


def run(store: Store, run_id: str, after: str = "") -> Run:
    made = Run(
        id=run_id,
        repository="o/r",
        skill="first",
        trigger="run_completed" if after else "release",
        trigger_key=f"run_completed:{after}" if after else "release:1",
        subject=after or "v1",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=NOW,
    )
    store.create_run(made)
    return made


def chain(store: Store, length: int) -> Run:
    """The last of so many runs, each of which followed the one before."""
    made = run(store, "r-0")
    for number in range(1, length + 1):
        made = run(store, f"r-{number}", f"r-{number - 1}")
    return made


def started_by(made: Run) -> Decision:
    facts = {"key": made.trigger_key, "skill": made.skill, "trigger": made.trigger, "run_id": made.id}
    return Decision(verdict=Verdict.STARTED, message="m", at=NOW, **facts)


def report(
    store: Store, made: Run, log: Log, listening: dict[str, Skill], by_hand: bool = False
) -> FollowUps:
    def decide(event: Event, decide: DecideFunction) -> Sequence[Decision]:
        return decide(History())

    decision = None if by_hand else started_by(made)
    return report_end(store, made, DONE, decision, log, listening, decide, NOW, as_they_are)


def test_the_log_is_told_and_those_who_listen_start(store: Store) -> None:
    made, log = run(store, "r-0"), Log()
    store.add_receipt("r-0", Receipt(kind="pull_request", key="k", action="created", url="https://x/1"))
    found = report(store, made, log, skills(second="{run_completed: {skill: first}}", other="{issues: {}}"))
    assert log.ends == [("r-0", DONE, "https://x/1")]
    told = {"id": "r-0", "skill": "first", "state": "succeeded", "url": "https://x/1"}
    assert (found.event.kind, found.event.key) == ("run_completed", "run_completed:r-0")
    assert (found.event.payload, found.event.subject, found.event.at) == ({"run": told}, "r-0", NOW)
    ((skill, verdict),) = [(one.skill, one.verdict) for one in found.decisions]
    assert (skill, verdict) == ("second", Verdict.STARTED)


def test_nobody_decides_where_nobody_listens(store: Store) -> None:
    def decide(*_: object) -> Sequence[Decision]:
        raise AssertionError

    made, log = run(store, "r-0"), Log()
    listening = skills(other="{issues: {}}")
    assert not report_end(
        store, made, DONE, started_by(made), log, listening, decide, NOW, as_they_are
    ).decisions
    assert len(log.ends) == 1


def test_no_log_is_told_of_a_run_that_no_decision_started(store: Store) -> None:
    log = Log()
    found = report(
        store, run(store, "r-0"), log, skills(second="{run_completed: {skill: first}}"), by_hand=True
    )
    assert (log.ends, len(found.decisions)) == ([], 1)


@pytest.mark.parametrize("length", range(MAX_CHAIN + 3))
def test_a_chain_ends_and_says_so(store: Store, length: int) -> None:
    made = chain(store, length)
    assert chain_length(store, made) == min(length, MAX_CHAIN)
    listening = skills(first="{run_completed: {skill: first}}", second="{run_completed: {skill: third}}")
    first, second = report(store, made, Log(), listening).decisions
    assert (second.verdict, second.cause) == (Verdict.SKIPPED, Cause.FILTER)
    if length < MAX_CHAIN:
        assert first.verdict is Verdict.STARTED
        return
    assert (first.verdict, first.cause, first.expires) == (Verdict.SKIPPED, Cause.LIMIT, None)
    assert first.message == f"run {made.id} is the last of a chain: at most 3 runs follow one another"


def test_what_was_removed_counts_as_one(store: Store) -> None:
    made = run(store, "r-9", after="r-8")
    assert chain_length(store, made) == 1
    assert chain_length(store, replace(made, trigger="manual")) == 0
