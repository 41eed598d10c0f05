"""Runs only move forward, end once, and nothing stored is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Check, End, Phase, Reason, Refusal, Run, RunEvent, RunState, Usage
from runner.publish.forges import NewPullRequest
from runner.store import LocalPullRequests, Store, hold_lock, is_held, new_run_id
from tests.parts.plans import STORED

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DONE = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH, message="done")


@pytest.fixture(params=["sqlite", "postgres"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(tmp_path / "state", "" if request.param == "sqlite" else request.getfixturevalue("postgres"))
    yield made
    made.close()


def run(number: int = 1, **changes: object) -> Run:
    made = Run(
        id=f"run-{number:03}",
        repository="o/r",
        skill="docs",
        trigger="manual",
        trigger_key=f"manual:{number}",
        base_sha="b" * 40,
        state=RunState.QUEUED,
        created_at=NOW + timedelta(seconds=number // 2),
        worker=f"{os.uname().nodename}:1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_run_comes_back_as_it_was(store: Store) -> None:
    store.create_run(run(), STORED)
    assert store.run("run-001") == run()
    assert store.spec("run-001") == STORED
    store.set_state("run-001", RunState.PREPARING, NOW)
    store.set_facts("run-001", image_digest="sha256:x", attempt=2)
    store.add_event(RunEvent(run_id="run-001", at=NOW, phase=Phase.PLAN, message="m", data={"x": 1}))
    store.add_checks("run-001", [Check(command="c", exit_code=None, duration=1.5, output="o", ok=False)])
    store.add_refusals("run-001", [Refusal(rule="r", subject="s", message="m")] * 2)
    store.finish("run-001", replace(DONE, reason=Reason.UNCHANGED), NOW, Usage(tokens_in=3, cost_usd=0.5))
    found = store.run("run")
    assert (found.started_at, found.ended_at, found.attempt, found.cost_usd) == (NOW, NOW, 2, 0.5)
    assert found.end == replace(DONE, reason=Reason.UNCHANGED)
    ((seq, event),) = store.events("run-001")
    assert (event.message, event.data) == ("m", {"x": 1})
    assert store.events("run-001", after=seq) == []
    assert (len(store.checks("run-001")), len(store.refusals("run-001"))) == (1, 2)


def test_an_ended_run_never_changes(store: Store) -> None:
    store.create_run(run())
    store.finish("run-001", DONE, NOW, Usage())
    for change in (
        lambda: store.set_state("run-001", RunState.RUNNING, NOW),
        lambda: store.finish("run-001", DONE, NOW, Usage()),
        lambda: store.set_facts("run-001", attempt=3),
    ):
        with pytest.raises(RunnerError) as caught:
            change()
        assert caught.value.reason is Reason.WORKER_LOST


@pytest.mark.parametrize("name", ["latest", "nope", "run-"])
def test_a_name_must_mean_one_run(store: Store, name: str) -> None:
    if name == "run-":
        store.create_run(run(1))
        store.create_run(run(2))
    with pytest.raises(RunnerError) as caught:
        store.run(name)
    assert caught.value.reason is Reason.INVALID_INPUT


def test_pages_follow_each_other(store: Store) -> None:
    for number in range(9):
        store.create_run(run(number, skill="a" if number % 3 else "b"))
    store.finish("run-004", DONE, NOW, Usage())
    first = store.runs(limit=5)
    second = store.runs(limit=5, before=first[-1])
    assert [one.id for one in (*first, *second)] == [f"run-{n:03}" for n in reversed(range(9))]
    assert [one.id for one in store.runs(skill="b")] == ["run-006", "run-003", "run-000"]
    assert [one.id for one in store.runs(state=RunState.SUCCEEDED)] == ["run-004"]


def test_a_run_whose_process_died_is_lost(store: Store) -> None:
    script = (
        "import sys, pathlib, time\nfrom runner.store import hold_lock\n"
        "with hold_lock(pathlib.Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    )
    folder = store.run_folder("run-001")
    store.create_run(run())
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_held(folder)
        assert store.sweep_lost() == []
        process.kill()
    assert store.sweep_lost() == ["run-001"]
    end = store.run("run-001").end
    assert end is not None
    assert (end.state, end.reason, end.retryable) == (RunState.LOST, Reason.WORKER_LOST, True)


def test_a_lock_is_held_for_as_long_as_the_context(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "x")
    with hold_lock(tmp_path / "x"):
        assert is_held(tmp_path / "x")
    assert not is_held(tmp_path / "x")


def test_ids_sort_by_day_and_differ() -> None:
    ids = {new_run_id(NOW) for _ in range(200)}
    assert len(ids) == 200
    assert all(one.startswith("261121-") for one in ids)


def test_a_damaged_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "skillrunner.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(RunnerError) as caught:
        Store(tmp_path)
    assert caught.value.reason is Reason.STORE_FAILED
    assert str(path) in caught.value.message
    assert "recover" in caught.value.hint
    assert path.read_bytes() == b"this is no database" * 100


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunnerError) as caught:
        Store(tmp_path / "file" / "state")
    assert caught.value.reason is Reason.STORE_FAILED


def test_several_may_make_the_same_store_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store(tmp_path), range(4)))
    for number, one in enumerate(stores):
        one.create_run(run(number))
    assert len(stores[0].runs()) == 4
    for one in stores:
        one.close()


def test_one_open_pull_request_for_a_branch(store: Store) -> None:
    table = LocalPullRequests(store.engine, store.database, "here")
    new = NewPullRequest(branch="b", base="main", title="t", body="x", draft=True)
    first, created = table.insert(new, "bot")
    assert (first.number, created, first.draft, first.author) == (1, True, True, "bot")
    assert table.insert(new, "bot") == (first, False)
    assert LocalPullRequests(store.engine, store.database, "elsewhere").insert(new, "bot")[0].number == 1

    table.update(1, labels=["a"], title="new")
    assert (table.get(1).labels, table.get(1).title) == (("a",), "new")
    assert table.comment(1, "once", "m")
    assert not table.comment(1, "twice", "m")
    assert table.comments(1) == ["once"]

    table.update(1, state="closed")
    assert table.insert(new, "bot")[0].number == 2
    assert [pull.number for pull in table.find("b")] == [2, 1]
    assert [pull.number for pull in table.all("open")] == [2]
    with pytest.raises(KeyError):
        table.get(9)


def test_two_processes_number_pull_requests_without_a_clash(store: Store) -> None:
    script = (
        "import sys, pathlib\nfrom runner.publish.forges import NewPullRequest\n"
        "from runner.store import LocalPullRequests, Store\n"
        "store = Store(pathlib.Path(sys.argv[1]), sys.argv[3])\n"
        "table = LocalPullRequests(store.engine, store.database, 'here')\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for at in range(40):\n"
        " new = NewPullRequest(branch=f'{sys.argv[2]}/{at}', base='main', title='t', body='x')\n"
        " assert table.insert(new, 'bot')[1]\n"
    )
    server = "" if store.database.is_file else store.database.url
    several = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(store.folder), name, server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ},
        )
        for name in "ab"
    ]
    for process in several:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in several:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [process.wait(timeout=60) for process in several] == [0, 0]
    for process in several:
        process.communicate()
    numbers = [pull.number for pull in LocalPullRequests(store.engine, store.database, "here").all()]
    assert numbers == list(range(80, 0, -1))


def test_a_run_that_ends_while_it_is_looked_at_is_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_run(run(1))
    store.create_run(run(2))

    def ends_now(folder: Path) -> bool:
        if folder.name == "run-001":
            store.finish("run-001", DONE, NOW, Usage())
        return False

    monkeypatch.setattr("runner.store.runs.is_held", ends_now)
    assert store.sweep_lost() == ["run-002"]
    assert store.run("run-001").end == DONE
