"""What a killed runner leaves in its sandboxes is ended by the next one: whose it is stands on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.sandboxes import SANDBOXES, Origin

ROOT = Path(__file__).parents[3]
CRASH = """
import os, signal, sys
from pathlib import Path
from runner.sandboxes import SANDBOXES, SandboxSpec
kind, image, run, attempt, worker, folder = sys.argv[1:]
spec = SandboxSpec(run_id=run, attempt=int(attempt), worker=worker, image=image, workspace=Path(folder),
                   exchange=Path(folder))
with SANDBOXES.get(kind).open(spec) as sandbox:
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)
    sandbox.exec(("sh", "-c", "(sleep 300 > /dev/null 2>&1 &); setsid sleep 300 & echo begun"), on_output=die)
"""


@pytest.mark.parametrize("kind", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_only_what_is_not_alive_is_ended(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    image = request.getfixturevalue("local_image") if kind == "docker" else ""
    sandbox = SANDBOXES.get(kind)
    mark = f"{os.getpid()}-{kind}"
    left = [
        Origin(run_id=f"a-{mark}", attempt=1, worker="w1"),
        Origin(run_id=f"a-{mark}", attempt=2, worker="w2"),
        Origin(run_id=f"b-{mark}", attempt=1, worker=""),
    ]
    for at, one in enumerate(left):
        folder = tmp_path / str(at)
        folder.mkdir()
        if os.getuid() == 0:
            os.chown(folder, 1000, 1000)
        words = [kind, image, one.run_id, str(one.attempt), one.worker, str(folder)]
        done = subprocess.run([sys.executable, "-c", CRASH, *words], cwd=ROOT, check=False)
        assert done.returncode == -9
    seen: list[Origin] = []

    def sweep(*dead: Origin) -> list[str]:
        seen.clear()

        def alive(origin: Origin) -> bool:
            seen.append(origin)
            return origin not in dead

        return sandbox.sweep(alive)

    assert sweep() == []
    assert set(left) <= set(seen)
    assert sweep(left[0]) == [f"a-{mark}"]
    assert sweep(left[0]) == []
    assert set(left) & set(seen) == {left[1], left[2]}
    assert sweep(*left) == [f"a-{mark}", f"b-{mark}"]
    sweep()
    assert not set(left) & set(seen)
