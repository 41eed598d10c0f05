"""What no run has used for long is removed, and nothing else is."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.apps.worker.recovery import Recovery
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.run.stages import setup
from runner.sandboxes.docker import DockerKind


def kept(folder: Path, key: str, age: float) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{key}.list").touch()
    (folder / f"{key}.tar").touch()
    then = time.time() - age
    os.utime(folder / f"{key}.tar", (then, then))


def test_only_old_archives_go(tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    kept(folder, "old", setup.UNUSED_AFTER + 60)
    kept(folder, "young", setup.UNUSED_AFTER - 60)
    setup.prune(folder)
    assert {path.name for path in folder.iterdir()} == {"young.tar", "young.list"}


def test_there_need_not_be_any(tmp_path: Path) -> None:
    setup.prune(tmp_path / "prepared")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("away", [False, True])
def test_a_worker_clears_both_away(tmp_path: Path, away: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def prune(_: DockerKind) -> list[str]:
        asked.append(True)
        if away:
            raise RunnerError(Phase.SANDBOX, Reason.ENGINE_UNAVAILABLE, "no engine")
        return ["skillrunner/built:old"]

    monkeypatch.setattr(DockerKind, "prune", prune)
    kept(tmp_path / "prepared", "old", setup.UNUSED_AFTER + 60)
    worker: Any = SimpleNamespace(config=SimpleNamespace(state=tmp_path))
    Recovery.clear_unused(worker)
    assert list((tmp_path / "prepared").iterdir()) == []
    assert asked == [True]
