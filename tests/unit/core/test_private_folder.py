"""What runs leave behind is nobody else's to read."""

import os
import stat
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.core.private_folder import make_private
from runner.store import Store
from tests.parts.cli import Project


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


@pytest.mark.parametrize("before", [0o755, 0o750, 0o777, 0o701, 0o700])
@pytest.mark.parametrize("inside", ["", "skillrunner.db", "runs"])
def test_a_folder_that_others_may_read_is_tightened(tmp_path: Path, before: int, inside: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    if inside:
        (folder / inside).touch()
    folder.chmod(before)
    make_private(folder)
    assert mode(folder) == 0o700


def test_a_new_one_is_private_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "a/state")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a/state") == 0o700


def test_a_folder_of_other_things_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """A home, or /tmp, would be shut to everybody else."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / "letters").touch()
    with pytest.raises(RunnerError) as caught:
        make_private(folder)
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert caught.value.message == (
        f"the state folder {folder} can be read by others (mode 0755), and holds what is not ours"
    )
    assert f"chmod 700 {folder}" in caught.value.hint
    assert mode(folder) == 0o755
    folder.chmod(0o700)
    make_private(folder)  # as the hint says


def test_somebody_elses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(RunnerError, match="belongs to user"):
        make_private(folder)


def test_a_volume_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes gives a pod its volume with a group's rights, and as root's."""
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o775)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == folder)
    make_private(folder)
    assert mode(folder) == 0o775


def test_the_store_and_the_command_line_see_to_it(project: Project, tmp_path: Path) -> None:
    project.state.mkdir(parents=True, exist_ok=True)
    project.state.chmod(0o755)
    assert project.skillrunner("list").code == 0
    assert mode(project.state) == 0o700
    (tmp_path / "used").mkdir()
    (tmp_path / "used").chmod(0o755)
    (tmp_path / "used/other").touch()
    done = project.skillrunner("--state-dir", str(tmp_path / "used"), "list")
    assert done.code == 3
    assert "can be read by others" in done.err
    Store(tmp_path / "new").close()
    assert mode(tmp_path / "new") == 0o700
