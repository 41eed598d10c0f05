"""Copies of the database and their way back, through the command line, with real files and processes."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.model import Run, RunState
from runner.store import Store, hold_lock
from tests.parts.cli import Done, Project

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def kept(project: Project) -> Project:
    """A project whose store knows the run 260304-first."""
    add(project, "260304-first")
    return project


def add(project: Project, run_id: str) -> None:
    store = Store(project.state)
    facts = {"repository": "a/b", "skill": "docs", "trigger": "manual", "trigger_key": run_id}
    more = {"base_sha": "0" * 40, "harness": "command", "created_at": NOW}
    store.create_run(Run(id=run_id, state=RunState.QUEUED, **facts, **more))  # type: ignore[arg-type]
    store.close()


def known(project: Project) -> set[str]:
    store = Store(project.state)
    found = {run.id for run in store.runs(limit=1000)}
    store.close()
    return found


def worker(project: Project, *args: str | Path) -> Done:
    return project.skillrunner("worker", *map(str, args))


def saved(project: Project) -> Path:
    file = project.home / "backup.db"
    done = worker(project, "backup", file)
    assert done.code == 0, done.err
    return file


def refused(done: Done, code: int, *words: str) -> None:
    assert done.code == code, done.out + done.err
    for word in words:
        assert word in done.err


@contextmanager
def program(project: Project, code: str) -> Iterator[None]:
    """Another process, for as long as the context lasts, that says when it is ready."""
    argv = [sys.executable, "-c", code, str(project.state)]
    with subprocess.Popen(
        argv, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        yield
        other.communicate()


def test_what_was_backed_up_comes_back(kept: Project) -> None:
    file = saved(kept)
    assert file.stat().st_mode & 0o777 == 0o600
    add(kept, "260304-second")
    done = worker(kept, "restore", file, "--force")
    assert done.code == 0, done.err
    assert known(kept) == {"260304-first"}
    aside = Path(done.out.strip().rsplit(" ", 1)[-1])
    with closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_a_lost_database_comes_back_into_an_empty_folder(kept: Project) -> None:
    file = saved(kept)
    for part in kept.state.glob("skillrunner.db*"):
        part.unlink()
    kept.state.rmdir()
    assert worker(kept, "restore", file).code == 0
    assert known(kept) == {"260304-first"}
    assert [path.name for path in kept.state.glob(".*")] == []


def test_a_damaged_database_is_replaced_and_kept(kept: Project) -> None:
    file = saved(kept)
    database = kept.state / "skillrunner.db"
    database.write_bytes(b"this is no database" * 500)
    refused(worker(kept, "status"), 6, "is damaged", "skillrunner worker restore")
    assert worker(kept, "restore", file, "--force").code == 0
    assert known(kept) == {"260304-first"}
    assert [path.read_bytes()[:4] for path in kept.state.glob("skillrunner.db.*Z")] == [b"this"]


def test_a_backup_is_whole_while_others_write(kept: Project) -> None:
    done = threading.Event()

    def write() -> None:
        for number in range(200):
            if done.is_set():
                return
            add(kept, f"260304-{number:08}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        file = saved(kept)
    finally:
        done.set()
        writer.join()
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert sorted(path.name for path in kept.home.glob("*backup*")) == ["backup.db"]


def test_nothing_is_overwritten_unasked(kept: Project) -> None:
    file = saved(kept)
    before = file.read_bytes()
    refused(worker(kept, "backup", file), 3, f"{file} is there already", "--force")
    refused(worker(kept, "restore", file), 3, "skillrunner.db is there already", "--force")
    assert file.read_bytes() == before
    assert worker(kept, "backup", file, "--force").code == 0


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("absent", 3, "nothing to restore"),
        ("text", 6, "is damaged"),
        ("cut", 6, "is damaged"),
        ("foreign", 3, "is no database of skillrunner"),
        ("newer", 6, "is of a newer skillrunner (revision 9999"),
    ],
)
def test_what_is_no_sound_backup_is_refused_and_nothing_changes(
    kept: Project, what: str, code: int, said: str
) -> None:
    file = saved(kept)
    if what == "absent":
        file.unlink()
    elif what == "text":
        file.write_bytes(b"this is no database" * 500)
    elif what == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif what == "foreign":
        file.unlink()
        with closing(sqlite3.connect(file)) as made:
            made.execute("CREATE TABLE songs (name TEXT)")
    else:
        with closing(sqlite3.connect(file)) as made:
            made.execute("UPDATE alembic_version SET version_num = '9999'")
            made.commit()
    refused(worker(kept, "restore", file, "--force"), code, said)
    assert known(kept) == {"260304-first"}
    assert list(kept.state.glob("skillrunner.db.*")) == []


@pytest.mark.parametrize("folder", ["workers/w-1", "runs/260304-first"])
def test_nothing_is_restored_while_somebody_works(kept: Project, folder: str) -> None:
    file = saved(kept)
    with hold_lock(kept.state / folder):
        refused(worker(kept, "restore", file, "--force"), 6, f"{folder.split('/')[1]} works with")
    assert worker(kept, "restore", file, "--force").code == 0


def test_nothing_is_restored_under_a_process_that_only_reads(kept: Project) -> None:
    file = saved(kept)
    reads = (
        "import sys; from pathlib import Path; from runner.store import Store\n"
        "store = Store(Path(sys.argv[1])); connection = store.engine.connect()\n"
        "connection.exec_driver_sql('SELECT 1 FROM runs'); connection.commit()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with program(kept, reads):
        refused(worker(kept, "restore", file, "--force"), 6, "some process uses", "fuser")
    assert worker(kept, "restore", file, "--force").code == 0


def test_there_must_be_something_to_back_up(project: Project) -> None:
    refused(worker(project, "backup", project.home / "x.db"), 3, "nothing to back up")
    assert not (project.home / "x.db").exists()


def test_a_server_has_its_own_tools(kept: Project) -> None:
    kept.variables["SKILLRUNNER_WORKER_DATABASE"] = "DATABASE_URL"
    refused(worker(kept, "backup", "x.db"), 6, 'pg_dump --format=custom --file FILE --dbname "$DATABASE_URL"')
    refused(worker(kept, "restore", "x.db"), 6, "pg_restore --clean --if-exists")
