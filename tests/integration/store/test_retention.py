"""What is kept of old runs: their files have a limit of size, and the database gives room back."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from runner.core.model import End, Phase, RunState, Usage
from runner.store import Store, retention
from tests.parts.racer import NOW, run

HOUR = timedelta(hours=1)
DONE = End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)


def keep(store: Store, run_id: str, hours: int, size: int, *, ended: bool = True) -> None:
    at = NOW + hours * HOUR
    store.create_run(replace(run(run_id), created_at=at))
    folder = store.run_folder(run_id, 2)
    folder.mkdir(parents=True)
    (folder / "transcript.jsonl").write_bytes(b"x" * size)
    if ended:
        store.finish(run_id, DONE, at, Usage())


def test_the_oldest_ended_runs_go_until_the_files_fit(tmp_path: Path) -> None:
    store, size = Store(tmp_path / "state"), 1024**2
    for hours in range(5):
        keep(store, f"run-{hours}", hours, size)
    keep(store, "active", 0, size, ended=False)
    now = NOW + 9 * HOUR
    assert retention.runs_over_size(store, 6 * size + 65536, now, "here") == {}
    assert list(retention.runs_over_size(store, 4 * size + 65536, now, "here")) == ["run-0", "run-1"]
    found = list(retention.runs_over_size(store, 0, now, "here"))
    assert found == ["run-0", "run-1", "run-2", "run-3"], "the newest, and one that goes on, stay"
    assert retention.runs_over_size(Store(tmp_path / "other"), 0, now, "here") == {}
    store.close()


def test_the_file_of_the_database_shrinks_when_much_of_it_is_unused(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    ids = [f"run-{number:03}" for number in range(40)]
    for run_id in ids:
        store.create_run(replace(run(run_id), subject="x" * 1024**2))
    assert retention.shrink(store) == 0, "all of it is used"
    full = store.path.stat().st_size
    retention.remove(store, ids[1:])
    assert store.path.stat().st_size == full
    assert retention.shrink(store) > 30 * 1024**2
    assert store.path.stat().st_size < full / 4
    assert [one.id for one in store.runs()] == ["run-000"]
    assert retention.shrink(store) == 0
    store.close()
