"""A worker polls a repository that fails less and less often, and the others as ever."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest

from runner.apps.worker.controller import Controller
from runner.apps.worker.credentials import Credentials
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.config.settings import load_config
from runner.scheduler import backoff
from runner.store import Store
from runner.store.alerts import AlertStore
from tests.parts.cli import make_project, skill_files

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MANUAL = "on: {manual: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"


class Watch:
    """A controller of two repositories, its store and its calendar; it polls every minute."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = NOW
        self.projects = [make_project(tmp_path / name, skill_files("docs", MANUAL)) for name in "ab"]
        self.names = [str(one.origin) for one in self.projects]
        text = f"worker: {{poll: 1m, repositories: {self.names}}}\n".encode()
        config = load_config(tmp_path, read=lambda _: text, flags={"state_dir": str(tmp_path / "state")})
        self.store, self.errors, self._woken = Store(config.state), ErrorLog(), SimpleQueue[None]()
        self.store.worker = "w"
        listed = RepositoryList(config, Credentials(config), self.errors)
        self.controller = Controller(
            config, self.store, listed, lambda: self.now, lambda: self._woken.put(None), self.errors
        )
        self.pool = ThreadPoolExecutor(2)

    def collect(self) -> None:
        while not self.controller.collect_polls(self.pool):
            self._woken.get(timeout=60)
        self.controller.alerts.save()

    def poll(self) -> None:
        self.controller.start_polls(self.pool)
        self.collect()

    def unread(self) -> dict[str, datetime | None]:
        return {one.repository: one.next_try for one in AlertStore(self.store).unreadable()}


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(backoff, "chance", lambda _: 1.0)
    made = Watch(tmp_path)
    yield made
    made.pool.shutdown()
    made.store.close()


def break_mirror(watch: Watch) -> Path:
    """The first repository is gone; where it is now."""
    origin = watch.projects[0].origin
    return origin.rename(origin.with_suffix(".aside"))


def test_a_repository_that_fails_is_polled_less_often_and_the_other_as_ever(watch: Watch) -> None:
    watch.poll()
    assert set(watch.controller.snapshots) == set(watch.names)
    aside, (broken, well), tries = break_mirror(watch), watch.names, []
    for minute in range(1, 64):
        watch.now = NOW + minute * MINUTE
        before = watch.unread().get(broken)
        watch.poll()
        if (after := watch.unread()[broken]) != before:
            assert after is not None
            tries.append((minute, (after - NOW) // MINUTE))
    assert tries == [(1, 3), (3, 7), (7, 15), (15, 31), (31, 63), (63, 123)]
    assert well not in watch.unread()
    read = watch.controller.snapshots[well].base.sha
    watch.projects[1].write({"docs/new.md": "new\n"})
    watch.projects[1].git("add", "-A")
    watch.projects[1].git("commit", "-qm", "new")
    watch.projects[1].git("push", "-q", "origin", "HEAD")
    watch.now += MINUTE
    watch.poll()
    assert watch.controller.snapshots[well].base.sha != read
    assert len(tries) == 6
    aside.rename(watch.projects[0].origin)
    for minute, expected in ((122, {broken: NOW + 123 * MINUTE}), (123, {})):
        watch.now = NOW + minute * MINUTE
        watch.collect()  # it is tried when its time has come, and not with the next poll
        assert watch.unread() == expected
    break_mirror(watch)
    watch.now += MINUTE
    watch.poll()
    assert watch.unread() == {broken: watch.now + 2 * MINUTE}


def test_what_the_next_push_may_mend_is_polled_as_ever(watch: Watch) -> None:
    project, name = watch.projects[0], watch.names[0]
    project.write({"skillrunner.yaml": "nothing: known\n"})
    project.git("add", "-A")
    project.git("commit", "-qm", "wrong")
    project.git("push", "-q", "origin", "HEAD")
    watch.poll()
    assert watch.unread() == {name: None}
    project.git("revert", "--no-edit", "HEAD")
    project.git("push", "-q", "origin", "HEAD")
    watch.poll()
    assert watch.unread() == {}
