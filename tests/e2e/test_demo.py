"""`make demo` as a newcomer types it: a pull request the first time, nothing the second."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the demo needs of this repository, in a place of its own."""
    for name in ("demo", "skills", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


def demo(checkout: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG") or "COV" in name}
    return subprocess.run(
        [sys.executable, str(checkout / "demo" / "demo.py")],
        cwd=checkout,
        env={**kept, "HOME": str(checkout), "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("docker", [pytest.param(True, marks=pytest.mark.docker), False])
def test_demo_twice(checkout: Path, docker: bool, request: pytest.FixtureRequest) -> None:
    if docker:
        request.getfixturevalue("engine")
    variables = {} if docker else {"DOCKER_HOST": "unix:///nonexistent.sock"}
    first = demo(checkout, **variables)
    assert first.returncode == 0, first.stdout + first.stderr
    expected = "in a container of" if docker else "isolates NOTHING"
    assert expected in first.stdout
    for text in (
        "succeeded: pull request created",
        "check_docs.py` (exit 0",
        "`--shout` is now `--loud`",
        "docs/guide.md | +4 -4",
        "skillrunner show latest",
    ):
        assert text in first.stdout
    for state in ("preparing", "running", "verifying", "publishing"):
        assert state in first.stderr

    second = demo(checkout, **variables)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "nothing_to_do: the pull request holds this already" in second.stdout


@pytest.mark.parametrize(
    ("variables", "words"),
    [({"HARNESS": "claude-code"}, "ANTHROPIC_API_KEY"), ({"HARNESS": "other"}, "claude-code, codex")],
)
def test_a_harness_without_its_key_is_explained(
    checkout: Path, variables: dict[str, str], words: str
) -> None:
    done = demo(checkout, **variables)
    assert done.returncode == 2
    assert words in done.stdout
