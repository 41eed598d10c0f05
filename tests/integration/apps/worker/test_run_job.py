"""A run that a worker has taken, and cannot read: it ends with the reason, and the worker goes on."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from runner.apps.worker import run_job as run_jobs
from runner.apps.worker.run_job import RunJob, _requeue_function, run_job
from runner.core.errors import RunnerError
from runner.core.model import Artifact, Phase, Proposal, Reason, RunState, Usage
from runner.store import Store, tables, work
from runner.store.queue import RunQueue
from runner.store.workers import WorkerStore
from tests.parts.plans import NOW, WORK
from tests.parts.racer import enqueue, run, worker


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
        skills={"docs": None},
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


def _job(store: Store, state: RunState) -> RunJob:
    """A run in this state that a worker has taken; its patch and what it was to publish are kept."""
    WorkerStore(store).register(worker("w"))
    enqueue(store, "run-1")
    RunQueue(store).admit("w", 1, lambda state: [one.run_id for one in state.waiting], NOW)
    (claim,) = RunQueue(store).runs_of("w")
    store.set_state("run-1", state, NOW)
    patch = b"the patch"
    proposal = Proposal(base_sha="b", tree_sha="t", patch_sha256=hashlib.sha256(patch).hexdigest())
    told = {"proposal": asdict(proposal), "usage": {}, "checks": []}
    for name, content in (("patch", patch), ("publication.json", json.dumps(told).encode())):
        file = store.folder / name
        file.write_bytes(content)
        made = Artifact(name=name, path=str(file), size=1, sha256="", media_type="x/y")
        store.add_artifact("run-1", made)
    anything: Any = None
    return RunJob(
        store=store,
        run=store.run("run-1"),
        claim=claim,
        repository=anything,
        stop_signals=anything,
        now=lambda: NOW,
    )


@pytest.mark.parametrize("reason", [Reason.FORGE_UNAVAILABLE, Reason.FORGE_RATE_LIMITED, Reason.WORKER_LOST])
@pytest.mark.parametrize(
    ("state", "attempt", "again"),
    [
        (RunState.PUBLISHING, 1, True),
        (RunState.PUBLISHING, 4, True),
        (RunState.PUBLISHING, 5, False),
        (RunState.RUNNING, 1, False),
    ],
)
def test_a_run_that_only_has_to_publish_is_tried_again_by_default(
    tmp_path: Path, reason: Reason, state: RunState, attempt: int, again: bool
) -> None:
    store = Store(tmp_path / "state")
    job = _job(store, state)
    end = RunnerError(Phase.PUBLISH, reason, "away", retryable=True).end
    assert _requeue_function(job)(end, attempt, 1, Usage()) is again
    assert store.run("run-1").state is (RunState.QUEUED if again else state)
    store.close()


def test_without_what_was_to_be_published_it_is_not_tried_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    job = _job(store, RunState.PUBLISHING)
    (store.folder / "patch").unlink()
    end = RunnerError(Phase.PUBLISH, Reason.WORKER_LOST, "away", retryable=True).end
    assert not _requeue_function(job)(end, 1, 1, Usage())
    store.close()


@pytest.mark.parametrize(
    ("key", "deleted"), [("run-1", True), ("retry:run-0:1", False)], ids=["decided", "asked for again"]
)
def test_a_deleted_skills_queued_run_ends_as_such(tmp_path: Path, key: str, deleted: bool) -> None:
    base = SimpleNamespace(ref="main", sha="a" * 40)
    repository: Any = SimpleNamespace(skills={}, skill_set=SimpleNamespace(faults=()), base=base)
    asked = replace(run("run-1"), trigger_key=key)
    if not deleted:
        run_jobs._check_that_skill_is_there(asked, repository)
        return
    with pytest.raises(RunnerError) as caught:
        run_jobs._check_that_skill_is_there(asked, repository)
    assert caught.value.reason is Reason.SKILL_NOT_FOUND
    told = "the skill docs was deleted from main (at aaaaaaaaaaaa) while this run waited"
    assert caught.value.message == told
    fault = SimpleNamespace(file="skills/docs/skill.yaml")
    repository.skill_set = SimpleNamespace(faults=(fault,))
    run_jobs._check_that_skill_is_there(asked, repository)  # it is there, and runs as it was decided
