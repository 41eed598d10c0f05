"""What replaying a skill's case takes, beside the agent alone.

"agent alone" is the same Claude Code on this machine, without a container: a scripted model gives it the same
answers in a clone of the case's repository, and the skill's verification runs after it. Nothing can be faster
than that. "replay" is what `skillrunner test` does for a case: two containers, the gateway, the comparison of
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from runner.apps.cli import inputs
from runner.run.testing import case as cases
from runner.run.testing.case import Case
from runner.run.testing.rehearse import TestBench, open_bench, run_case
from runner.run.testing.verdict import compare_result
from runner.skills import Skill
from tests.parts import agents
from tests.parts.cli import clean_environment
from tests.parts.model_server import ModelServer, serving
from tests.parts.shipped import ROOT, SCRIPTS, configuration

GOAL = 2.0
"""Seconds for each case."""

_TOOLS = ("--allowed-tools", "Bash", "Read", "Edit", "Write")


def replay(stage: TestBench, skill: Skill, case: Case) -> float:
    began = time.perf_counter()
    verdict = compare_result(case, run_case(stage, skill, case, "test"), 0)
    took = time.perf_counter() - began
    if not verdict.ok:
        raise SystemExit("\n".join(verdict.problems))
    return took


def alone(model: ModelServer, skill: Skill, case: Case, number: int, folder: Path) -> float:
    """The agent and the verification, in a clone."""
    tree, home = folder / f"tree-{case.name}-{number}", folder / f"home-{case.name}-{number}"
    home.mkdir()
    cases.build(case, ROOT / skill.path, skill.path, folder / f"{case.name}-{number}.git")
    environment = {
        **clean_environment(home),
        "PATH": os.environ["PATH"],
        "ANTHROPIC_API_KEY": "sk-none",
        "ANTHROPIC_BASE_URL": model.url(f"bench-{case.name}-{number}", SCRIPTS[skill.name, case.name]),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    began = time.perf_counter()
    source = folder / f"{case.name}-{number}.git"
    subprocess.run(["git", "clone", "-q", source, tree], check=True, env=environment)
    told = ("-p", "--output-format", "stream-json", "--verbose", "--model", "sonnet", *_TOOLS)
    agent = [str(agents.claude()), *told]
    done = subprocess.run(agent, input=b"Go.", cwd=tree, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout.decode()[-2000:])
    for command in skill.options.verify:
        subprocess.run(["sh", "-c", command], cwd=tree, env=environment, capture_output=True, check=True)
    return time.perf_counter() - began


def compare(stage: TestBench, model: ModelServer, rounds: int, folder: Path) -> None:
    for name, case_name in SCRIPTS:
        skill = inputs.read_skill(stage.place, name)
        (case,) = cases.find_cases(name, ROOT / skill.path, case_name)
        replay(stage, skill, case)  # once uncounted: caches and imports
        times = [(replay(stage, skill, case), alone(model, skill, case, n, folder)) for n in range(rounds)]
        mine = statistics.median(one for one, _ in times)
        floor = statistics.median(one for _, one in times)
        ratio = statistics.median(one / other for one, other in times)
        print(
            f"{name:<20} replay {mine:.2f} s (goal {GOAL})  agent alone {floor:.2f} s  x{ratio:.2f}",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    image = subprocess.run(
        [sys.executable, ROOT / "scripts/local_image.py"], capture_output=True, text=True, check=False
    )
    if image.returncode:
        print("no Docker engine answers: nothing to measure here")
        return 0
    with tempfile.TemporaryDirectory() as made, serving() as model:
        config, force = configuration(Path(made)), {"force_image": image.stdout.strip()}
        with open_bench(ROOT, config, force) as stage:
            compare(stage, model, options.rounds, Path(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
