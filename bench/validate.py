"""How long `skillrunner` takes to start, to check one skill, and to check 1,000 of them.

Each measure stands beside its floor in the same run: starting Python, or check-jsonschema with our schema.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent

YAML = """\
# yaml-language-server: $schema=../../schemas/skill.schema.json
version: 1
description: Bring the docs up to date after each release, number {number}
on:
  release: {{types: [published]}}
  schedule:
    - cron: "{minute} 9 * * 1"
      timezone: Europe/Berlin
      catch_up: 6h
overlap: skip
environment:
  image: python:3.12-slim
  setup: ["pip install -e .[docs]"]
  secrets: [DOCS_TOKEN]
  resources: {{cpus: 2, memory: 4g, pids: 512}}
harness: {{kind: claude-code, model: sonnet}}
limits: {{timeout: 45m, idle: 10m, cost_usd: 5, attempts: 2}}
verify: ["make docs"]
output:
  pull_request:
    title: "docs {number}: update for {{{{ event.release.tag_name }}}}"
    paths: ["docs/**", "README.md"]
    labels: [documentation]
    draft: true
"""

TEXT = """\
---
name: skill-{number}
description: Bring the docs up to date, number {number}
---

Update the docs for {{{{ event.release.tag_name }}}}, as in case {number}.

{lines}
"""


def write_skills(folder: Path, count: int) -> None:
    """`count` skills, no two alike."""
    lines = "\n".join(
        f"{number}. Read the page, compare it with the code, and mend it." for number in range(30)
    )
    for number in range(count):
        skill = folder / "skills" / f"skill-{number}"
        skill.mkdir(parents=True)
        (skill / "skill.yaml").write_text(YAML.format(number=number, minute=number % 60))
        (skill / "SKILL.md").write_text(TEXT.format(number=number, lines=lines))


def median(argv: Sequence[str], cwd: Path, runs: int) -> float:
    """Seconds of wall-clock time; the first, cold run is not counted."""
    taken = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        done = subprocess.run(argv, cwd=cwd, check=False, capture_output=True, text=True)
        taken.append(time.perf_counter() - started)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return statistics.median(taken[1:])


def line(name: str, seconds: float, floor: str, floor_seconds: float | None, goal: str) -> None:
    beside = "-" if floor_seconds is None else f"{floor_seconds * 1000:8.0f} ms  {floor}"
    ratio = "" if floor_seconds is None else f"  ratio {seconds / floor_seconds:5.2f}"
    print(f"{name:28} {seconds * 1000:8.0f} ms   beside {beside}{ratio}   goal {goal}")


def peer() -> str | None:
    """check-jsonschema, from this environment or the PATH."""
    beside = Path(sys.executable).parent / "check-jsonschema"
    return str(beside) if beside.exists() else shutil.which("check-jsonschema")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--skills", type=int, default=1000)
    given = options.parse_args()
    ours = [sys.executable, "-m", "runner"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_skills(folder, given.skills)
        one = str(Path("skills", "skill-0"))
        python = median([sys.executable, "-c", "pass"], folder, given.runs)
        line("--help", median([*ours, "--help"], folder, given.runs), "python -c pass", python, "<= 150 ms")
        checked = median([*ours, "validate", one], folder, given.runs)
        line("validate one skill", checked, "python -c pass", python, "<= 150 ms")
        needed = median(
            [sys.executable, "-c", "import click, pydantic.main, ruamel.yaml"], folder, given.runs
        )
        line("  its libraries alone", needed, "python -c pass", python, "-")
        many = median([*ours, "validate"], folder, max(1, given.runs // 2))
        beside = many_beside(folder, max(1, given.runs // 2))
        line(f"validate {given.skills} skills", many, "check-jsonschema", beside, "<= 1 s, ratio < 1")


def many_beside(folder: Path, runs: int) -> float | None:
    program = peer()
    if program is None:
        print("check-jsonschema is missing: pip install check-jsonschema")
        return None
    schema = str(ROOT / "schemas" / "skill.schema.json")
    files = [str(path) for path in sorted(folder.glob("skills/*/skill.yaml"))]
    return median([program, "--schemafile", schema, *files], folder, runs)


if __name__ == "__main__":
    main()
