"""A run that a worker has taken, and cannot read: it ends with the reason, and the worker goes on."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from runner.apps.worker.run_job import RunJob, run_job
from runner.core.model import Phase, Reason, RunState
from runner.store import Store, tables, work
from runner.store.queue import RunQueue
from runner.store.workers import WorkerStore
from tests.parts.plans import NOW, WORK
from tests.parts.racer import enqueue, worker


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(json.loads(work.dump(WORK)) | {"version": 2}), "its work in the queue has version 2"),
        ("{}", "its work in the queue is damaged: it has no 'commit'"),
    ],
)
def test_work_that_cannot_be_read_ends_its_run_with_the_reason(
    tmp_path: Path, text: str, message: str
) -> None:
    store = Store(tmp_path / "state")
    WorkerStore(store).register(worker("w"))
    enqueue(store, "run-1")
    with store.engine.begin() as connection:
        connection.execute(update(tables.queue).values(work=text))
    RunQueue(store).admit("w", 1, lambda state: [one.run_id for one in state.waiting], NOW)
    (claim,) = RunQueue(store).runs_of("w")
    repository: Any = SimpleNamespace(
        host=lambda store: None,
        skill_source=None,
        place=SimpleNamespace(config=SimpleNamespace(sandbox="process")),
    )
    stop_signals: Any = None
    job = RunJob(
        store=store,
        run=store.run("run-1"),
        claim=claim,
        repository=repository,
        stop_signals=stop_signals,
        now=lambda: NOW,
    )
    end = run_job(job)
    assert (end.state, end.phase, end.reason) == (RunState.ERROR, Phase.STORE, Reason.STORE_FAILED)
    assert f"run run-1: {message}" in end.message
    assert store.run("run-1").end == end
    store.close()
