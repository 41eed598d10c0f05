"""One pass of a worker: what keeps it from its work is told, and the pass is no success."""

from collections.abc import Iterator

import pytest

from runner.apps.worker import recovery
from runner.apps.worker.credentials import Credentials
from runner.apps.worker.daemon import Daemon
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.plugins import PluginError
from runner.sandboxes import SANDBOXES
from runner.store import Store
from runner.store.troubles import TroubleStore
from tests.parts.cli import Project, skill_files

VALID = "on: {manual: {}}\nharness: {kind: command, command: [x]}\noutput: {none: {}}\n"


class Pass:
    """A project, and a worker that looks at it once."""

    def __init__(self, project: Project) -> None:
        self.project, self.settings = project, "free_disk: 1m"
        self.store = Store(project.state)

    def daemon(self) -> Daemon:
        text = f"sandbox: process\nworker: {{repositories: ['{self.project.origin}'], {self.settings}}}\n"
        flags = {"state_dir": str(self.project.state)}
        config = load_config(self.project.home, read=lambda _: text.encode(), flags=flags)
        return Daemon(
            config=config,
            store=self.store,
            repository_list=RepositoryList(config, Credentials(config), ErrorLog()),
        )

    def faults(self) -> list[str]:
        daemon = self.daemon()
        daemon.run(once=True)
        return daemon.faults

    def states(self) -> list[str]:
        with self.store.engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT state FROM workers ORDER BY started_at")
            return list(found.scalars())


@pytest.fixture
def once(project: Project) -> Iterator[Pass]:
    project.commit(skill_files("docs", VALID))
    made = Pass(project)
    yield made
    made.store.close()


def test_a_pass_in_which_all_is_well_has_no_fault(once: Pass) -> None:
    assert once.faults() == []
    assert TroubleStore(once.store).names() == ["docs"]


def test_a_pass_that_reads_no_repository_is_no_success(once: Pass) -> None:
    once.project.origin.rename(once.project.home / "gone")
    (fault, *_) = once.faults()
    assert str(once.project.origin) in fault


def test_a_pass_without_room_on_the_disk_is_no_success(once: Pass) -> None:
    once.settings = "free_disk: 999999g"
    assert any("bytes are free: nothing is started" in one for one in once.faults())
    assert once.states() == ["stopped"]


def test_a_pass_with_an_invalid_skill_is_no_success(once: Pass) -> None:
    once.project.commit(skill_files("broken", "nonsense: true\n"))
    (fault,) = [one for one in once.faults() if "is not valid" in one]
    assert f"{once.project.origin} broken is not valid: skills/broken/skill.yaml:" in fault
    assert TroubleStore(once.store).names() == ["broken", "docs"]


def test_a_pass_without_its_sandbox_engine_is_no_success(once: Pass, monkeypatch: pytest.MonkeyPatch) -> None:
    away = RunnerError(Phase.SANDBOX, Reason.ENGINE_UNAVAILABLE, "the engine does not answer", retryable=True)

    def sweep(*_: object) -> list[str]:
        raise away

    monkeypatch.setattr(SANDBOXES.get("process"), "sweep", sweep)
    assert any("cannot be used: the engine does not answer" in one for one in once.faults())


@pytest.mark.parametrize(
    "error", [PluginError(Phase.LOAD, Reason.INVALID_CONFIG, "a plugin breaks"), OSError("broken")]
)
def test_a_worker_that_ends_by_an_error_is_no_living_or_lost_one(
    once: Pass, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def clear(_: recovery.Recovery) -> None:
        raise error

    monkeypatch.setattr(recovery.Recovery, "clear_sandboxes", clear)
    with pytest.raises(type(error)):
        once.daemon().run(once=True)
    assert once.states() == ["stopped"]
