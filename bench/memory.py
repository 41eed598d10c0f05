"""Peak memory of the runner while a harness prints 1 GB, beside a run whose harness prints nothing.

The whole command line is measured, as the kernel accounts it. Goal: flat, and at most 100 MB.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.parts.cli import Project, make_project, skill_files

ROOT = Path(__file__).parent.parent
GOAL_MB = 100
SKILL = """
description: Print a lot
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "%s; echo x > touched.txt"]}
output: {none: {}}
"""
PRINTS = {
    "nothing": "true",
    "short lines": "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c %d",
    "one line": "head -c %d /dev/zero | tr '\\\\\\\\0' x",
}


def peak(project: Project, skill: str) -> tuple[float, float]:
    """Seconds and peak MB of one run, from wait4."""
    command = ["/usr/bin/env", "python3", "-c", _MEASURE, *project.command("-q", "run", skill)]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command[2:]],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start, int(done.stdout.split()[-1]) / 1024


_MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
                     file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--sandbox", default="process", choices=["process", "docker"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        skills: dict[str, str] = {}
        for name, command in PRINTS.items():
            shell = command % options.bytes if "%d" in command else command
            skills.update(skill_files(name.replace(" ", "-"), SKILL % shell))
        project = make_project(Path(folder), {"README.md": "x", **skills})
        project.variables["SKILLRUNNER_SANDBOX"] = options.sandbox
        if options.sandbox == "docker":
            built = subprocess.run(
                [sys.executable, ROOT / "scripts/local_image.py"], capture_output=True, text=True, check=True
            )
            project.variables["SKILLRUNNER_IMAGE"] = built.stdout.strip()
        floor = 0.0
        for name in PRINTS:
            took, megabytes = peak(project, name.replace(" ", "-"))
            floor = floor or megabytes
            print(
                f"{name:<12} {took:6.1f} s  peak {megabytes:5.0f} MB  x{megabytes / floor:.2f}"
                f"  goal {GOAL_MB} MB",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
