"""What a run is to do, as the store keeps it: JSON with a version, of this program and of older ones."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from runner.core.errors import RunnerError
from runner.core.model import OutputSpec, Reason, Run, RunState
from runner.store import Store, specs, tables, work
from runner.store.queue import RunQueue
from runner.store.work import Work
from tests.parts.plans import NOW, SPEC, STORED, WORK
from tests.parts.racer import enqueue

OLD_SPECS = sorted((Path(__file__).parents[2] / "migration" / "specs").glob("*.json"))
OLD_WORK = {
    "commit": "c" * 40,
    "path": "skills/docs",
    "key": "issues:7",
    "kind": "issues",
    "at": "2026-11-21T12:00:00+00:00",
    "due": None,
    "subject": "issue 7",
    "event": {"action": "opened"},
    "inputs": {"deep": True},
}
"""As the first worker wrote it, which continued no run."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state")
    yield made
    made.close()


# --- the work in the queue --------------------------------------------------------------------------


def test_work_comes_back_as_it_was() -> None:
    full = replace(
        WORK,
        subject="issue 7",
        event={"a": [1, {"b": None}]},
        inputs={"x": 1.5},
        continues="r-0",
        at=NOW + timedelta(microseconds=7),
    )
    defaults = Work(commit="", path="", kind="", key="", at=datetime.min.replace(tzinfo=UTC))
    same = {one.name for one in fields(Work) if getattr(full, one.name) == getattr(defaults, one.name)}
    assert same == {"version"}  # every other field is tried here
    text = work.dump(full)
    assert json.loads(text)["version"] == work.VERSION
    assert work.load("r-1", text) == full


@pytest.mark.parametrize("continues", [{}, {"continues": ""}, {"continues": "r-0"}])
def test_work_of_a_program_that_stated_no_version_is_read(continues: dict[str, str]) -> None:
    assert work.load("r-1", json.dumps(OLD_WORK | continues)) == Work(
        commit="c" * 40,
        path="skills/docs",
        kind="issues",
        key="issues:7",
        at=NOW,
        subject="issue 7",
        event={"action": "opened"},
        inputs={"deep": True},
        continues=continues.get("continues", ""),
    )


def error_of(text: str) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        work.load("r-1", text)
    assert caught.value.reason is Reason.STORE_FAILED
    return caught.value


@pytest.mark.parametrize("version", [2, 0, "1", None, 1.5])
def test_work_of_an_unknown_version_is_refused(version: Any) -> None:
    error = error_of(json.dumps(OLD_WORK | {"version": version}))
    assert error.message == (
        f"run r-1: its work in the queue has version {version!r}, and this skillrunner knows version 1"
    )
    assert "upgrade skillrunner" in error.hint


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (json.dumps({name: value for name, value in OLD_WORK.items() if name != "path"}), "it has no 'path'"),
        (json.dumps(OLD_WORK | {"at": "yesterday"}), "Invalid isoformat string: 'yesterday'"),
        ("{", "Expecting property name"),
        ("[]", "has no attribute"),
    ],
)
def test_damaged_work_is_named_as_such(text: str, fault: str) -> None:
    error = error_of(text)
    assert error.message.startswith("run r-1: its work in the queue is damaged: ")
    assert fault in error.message


def test_the_queue_refuses_work_of_a_newer_program(store: Store) -> None:
    enqueue(store, "run-1")
    assert RunQueue(store).work("run-1") == WORK
    newer = json.dumps(json.loads(work.dump(WORK)) | {"version": 9})
    with store.engine.begin() as connection:
        connection.execute(update(tables.queue).values(work=newer))
    with pytest.raises(RunnerError, match="run run-1: its work in the queue has version 9"):
        RunQueue(store).work("run-1")


# --- the spec of a run ------------------------------------------------------------------------------


def test_a_spec_comes_back_without_its_prompt_and_its_event() -> None:
    full = replace(SPEC, prompt="Do it.", trigger=replace(SPEC.trigger, event={"secret": 1}))
    document = json.loads(json.dumps(specs.dump(replace(STORED, spec=full)), default=str))
    assert (document["version"], document["continues"]) == (specs.VERSION, "run-0")
    assert specs.load("r-1", document) == STORED
    assert "continues" not in specs.dump(replace(STORED, continues=""))


@pytest.mark.parametrize("file", OLD_SPECS, ids=lambda file: file.stem)
def test_the_spec_of_a_program_that_stated_no_version_is_read(file: Path) -> None:
    """Each was written by `skillrunner run` of the commit that it is named after."""
    stored = specs.load("r-1", json.loads(file.read_text()))
    assert stored is not None
    assert stored.version == specs.VERSION
    spec = stored.spec
    assert (spec.skill.name, spec.trigger.subject, spec.trigger.actor) == ("docs", "v1.1.0", "ada")
    assert (spec.limits.attempts, spec.verify) == (2, ("test -f docs/new.md",))
    assert (spec.environment.setup, spec.environment.variables) == (("true",), {"LANG": "C"})
    assert spec.harness.options == {"command": ["sh", "-c", "cat > docs/new.md"]}
    (output,) = spec.outputs
    assert (output.kind, output.options["title"]) == ("pull_request", "docs: v1.1.0")
    assert output.options["labels"] == ["documentation"]
    assert len(OLD_SPECS) == 3


def test_a_run_that_was_never_planned_has_no_spec(store: Store) -> None:
    run = Run(
        id="run-1",
        repository="o/r",
        skill="docs",
        trigger="manual",
        trigger_key="m",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=NOW,
    )
    store.create_run(run)
    assert store.spec("run-1") is None
    store.plan_run("run-1", STORED)
    assert store.spec("run-1") == STORED
    assert (store.run("run-1").base_sha, store.run("run-1").harness) == ("a" * 40, "command")


def test_a_spec_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(RunnerError) as caught:
        specs.load("r-1", {**specs.dump(STORED), "version": 3})
    assert caught.value.message == (
        "run r-1: its stored spec has version 3, and this skillrunner knows the versions 1 to 2"
    )
    assert (caught.value.reason, "upgrade" in caught.value.hint) == (Reason.STORE_FAILED, True)


def test_a_damaged_spec_is_named_as_such() -> None:
    document = {name: value for name, value in specs.dump(STORED).items() if name != "base_sha"}
    with pytest.raises(RunnerError, match=r"(?s)run r-1: its stored spec is damaged: .*base_sha"):
        specs.load("r-1", document)


def test_version_two_never_reads_the_one_output_of_version_one() -> None:
    document = dict(specs.dump(STORED)) | {"output": {"kind": "other"}}
    found = specs.load("r-1", document)
    assert found is not None
    assert found.spec.outputs[1] == OutputSpec(kind="none")
