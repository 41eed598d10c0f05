"""A row that something else than skillrunner changed is named, with what to do; it is no bug of ours."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from runner.core.model import End, Phase, RunState, Usage
from runner.publish.forges import NewPullRequest
from runner.store import LocalPullRequests, Store
from runner.store.workers import WorkerStore
from tests.parts.cli import Project
from tests.parts.racer import enqueue, event, run, worker

RUN = "261121-aaaaaaaa"
NEW = NewPullRequest(branch="b", base="main", title="t", body="b", draft=False)
RUNS = ("list", "--all"), ("show", RUN), ("list", "--all", "--json")


@pytest.fixture
def store(project: Project) -> Store:
    made = Store(project.state)
    made.create_run(replace(run(RUN), repository=str(project.origin), state=RunState.RUNNING))
    made.add_event(event(RUN))
    enqueue(made, "queued")
    WorkerStore(made).register(worker("w", seen_at=datetime.now(UTC)))
    LocalPullRequests(made.engine, made.database, str(project.origin)).insert(NEW, "bot")
    return made


@pytest.mark.parametrize(
    ("table", "column", "value", "commands"),
    [
        ("runs", "state", "'dancing'", RUNS),
        ("runs", "created_at", "'yesterday'", RUNS),
        ("runs", "started_at", "'x'", RUNS),
        ("runs", "attempt", "'many'", RUNS),
        ("runs", "cost_usd", "'dear'", RUNS),
        ("runs", "spec", "'{'", (("show", RUN), ("show", RUN, "--json"))),
        ("runs", "spec", "'[]'", (("show", RUN),)),
        ("events", "data", "'{'", (("show", RUN),)),
        ("events", "data", "'3'", (("show", RUN),)),
        ("events", "at", "'x'", (("show", RUN),)),
        ("events", "phase", "'x'", (("show", RUN, "--json"),)),
        ("pull_requests", "labels", "'{'", (("pr", "list"), ("pr", "show", "1"))),
        ("pull_requests", "labels", "'[1]'", (("pr", "list"),)),
        ("pull_requests", "labels", "'null'", (("pr", "list", "--json"),)),
        ("decisions", "verdict", "'perhaps'", (("why", "docs"),)),
        ("decisions", "at", "'x'", (("why", "docs", "--json"),)),
        ("workers", "seen_at", "'x'", (("worker", "status"),)),
        ("queue", "not_before", "'x'", (("worker", "status"),)),
    ],
)
def test_a_damaged_row_is_named_with_a_next_step(
    project: Project, store: Store, table: str, column: str, value: str, commands: tuple[tuple[str, ...], ...]
) -> None:
    with store.engine.begin() as connection:
        connection.execute(text(f"UPDATE {table} SET {column} = {value}"))
    store.close()
    for command in commands:
        told = project.skillrunner(*command)
        assert told.code == 6, f"{command}: {told.out} {told.err}"
        assert f"a row of the table {table} is damaged (" in told.err
        assert "hint: go back to a backup" in told.err
        assert f"DELETE FROM {table} WHERE " in told.err


def test_a_run_that_never_began_is_shown_and_its_next_step_leads_on(project: Project) -> None:
    made = Store(project.state)
    made.create_run(replace(run(RUN), state=RunState.RUNNING))
    hint = f"skillrunner show {RUN}; then run it again"
    end = End(state=RunState.ERROR, phase=Phase.STORE, message="m", hint=hint)
    made.finish(RUN, end, datetime.now(UTC), Usage())
    made.close()
    shown = project.skillrunner("show", RUN)
    assert shown.code == 0, shown.err
    assert f"next: skillrunner logs {RUN}; then run it again" in shown.out
