"""What a whole run costs over the bare script that does the same with no safety at all.

The script clones from a mirror, runs `docker run`, commits and pushes. The run does what a user gets: plan,
isolated workspace, locked-down container, transcript, harvest, policy, three-way publication, receipt, store.
Both change one file with a harness that does nothing else. "in process" is a run in a process that is
already up, as in a worker; "command line" pays for starting Python as well.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from runner.apps.cli.main import group
from tests.parts.cli import Project, make_project, skill_files

ROOT = Path(__file__).parent.parent
GOAL = 1.15
SKILL = """
description: Touch one file
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "date +%s%N > touched.txt"]}
output: {pull_request: {title: "touch"}}
"""


def scene(folder: Path, files: int) -> Project:
    content = {f"src/pkg{number % 97}/file{number}.py": f"x = {number}\n" for number in range(files)}
    return make_project(folder, {**content, **skill_files("touch", SKILL)})


def bare_script(project: Project, image: str, folder: Path) -> None:
    """The floor: what anybody would write."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch) / "tree"
        project.git("clone", "-q", str(project.origin), str(tree))
        command = ["docker", "run", "--rm", "--network=none", "-v", f"{tree}:/w", "-w", "/w", image]
        subprocess.run([*command, "sh", "-c", "date +%s%N > touched.txt"], check=True)
        project.git("add", "-A", cwd=tree)
        project.git("commit", "-q", "-m", "touch", cwd=tree)
        project.git("push", "-q", "origin", "HEAD:floor", "--force", cwd=tree)


def in_process(project: Project, image: str) -> None:
    os.environ.update(SKILLRUNNER_STATE_DIR=str(project.state), SKILLRUNNER_IMAGE=image)
    os.chdir(project.root)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            code = group.main(["run", "touch"], prog_name="skillrunner", standalone_mode=False)
        except SystemExit as stopped:
            code = stopped.code
    if code:
        raise SystemExit(said.getvalue())


def command_line(project: Project, image: str) -> None:
    project.variables["SKILLRUNNER_IMAGE"] = image
    done = project.skillrunner("run", "touch")
    if done.code:
        raise SystemExit(done.err)


def timed(work: Callable[[], None]) -> float:
    subprocess.run(["sync"], check=True)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(files: int, rounds: int, image: str, folder: Path) -> None:
    project = scene(folder, files)
    measures: dict[str, Callable[[], None]] = {
        "bare script": lambda: bare_script(project, image, folder),
        "in process": lambda: in_process(project, image),
        "command line": lambda: command_line(project, image),
    }
    for work in measures.values():  # once uncounted: mirrors, caches and imports
        work()
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, work in measures.items():
            found[name].append(timed(work))
    for name, times in found.items():
        ratios = [mine / floor for mine, floor in zip(times, found["bare script"], strict=True)]
        goal = f"  goal {GOAL}" if name != "bare script" else ""
        took, ratio = statistics.median(times), statistics.median(ratios)
        print(f"{files:>7,} files  {name:<13} {took:7.2f} s  x{ratio:.2f}{goal}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, nargs="*", default=[50, 20_000])
    options = parser.parse_args()
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/local_image.py"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print("no Docker engine answers: nothing to measure here")
        return 0
    for files in options.files:
        with tempfile.TemporaryDirectory() as folder:
            compare(files, options.rounds, done.stdout.strip(), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
