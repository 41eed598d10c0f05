"""The Action's own installation: quick, once for each version, and from nothing but a checkout."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.parts.act import ROOT

SCRIPT = ROOT / "scripts/action_install.sh"


def install(source: Path, folder: Path, version: str = "", more: Mapping[str, str] = {}) -> Path:
    """Run the script as a step of a workflow does; return the Python that it names."""
    output = folder / "output"
    output.write_text("")
    done = subprocess.run(
        ["bash", str(SCRIPT)],
        env={
            **os.environ,
            "SKILLRUNNER_SOURCE": str(source),
            "SKILLRUNNER_VERSION": version,
            "RUNNER_TOOL_CACHE": str(folder / "tools"),
            "GITHUB_OUTPUT": str(output),
            **more,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(output.read_text().strip().removeprefix("python="))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What GitHub's runner checks out of us: no environment in it."""
    subprocess.run(["git", "clone", "-q", "--shared", str(ROOT), str(tmp_path / "source")], check=True)
    return tmp_path / "source"


def test_it_installs_once_and_again_when_the_code_is_another(checkout: Path, tmp_path: Path) -> None:
    python = install(checkout, tmp_path)
    told = subprocess.run([str(python), "-I", "-m", "runner", "--version"], capture_output=True, check=True)
    assert told.stdout.startswith(b"skillrunner, version")
    assert install(checkout, tmp_path, more={"PATH": "/usr/bin:/bin"}) == python, "it is there already"
    (checkout / "runner/__init__.py").write_text('__version__ = "9.9.9"\n')
    other = install(checkout, tmp_path)
    assert other != python
    told = subprocess.run([str(other), "-I", "-m", "runner", "--version"], capture_output=True, check=True)
    assert b"9.9.9" in told.stdout


def test_a_checkout_that_was_set_up_needs_no_network(checkout: Path, tmp_path: Path) -> None:
    ready = checkout / ".venv/bin"
    ready.mkdir(parents=True)
    for name in ("skillrunner", "python"):
        (ready / name).write_text("#!/bin/sh\n")
        (ready / name).chmod(0o755)
    assert install(checkout, tmp_path, more={"PATH": "/usr/bin:/bin"}) == ready / "python"
    assert not (tmp_path / "tools").exists()
