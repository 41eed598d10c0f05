"""A process that decides on slots of a repository, as an Action or a worker does, and tells its runs.

Usage: claimant.py REMOTE STATE_DIR COUNT FIRST. It waits for a line, then decides on each of COUNT slots,
beginning with the one numbered FIRST.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from runner.apps.action.runs import assign_run_ids
from runner.core.model import End, Phase, Remote, RunState
from runner.core.model.decision import Verdict
from runner.scheduler.decide import decide_slots
from runner.scheduler.ledger import Ledger
from runner.skills import load
from runner.workspace.mirror import Mirror
from tests.parts.cli import skill_files

YAML = """
on: {{schedule: [{{cron: "0 {hour} * * *", catch_up: 20d}}]}}
overlap: queue
harness: {{kind: command, command: [x]}}
output: {{none: {{}}}}
"""


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(url: str, state: str, count: int, first: int) -> None:
    names = [f"s{at:03}" for at in range(count)]
    files = {
        path: text.encode()
        for at, name in enumerate(names)
        for path, text in skill_files(name, YAML.format(hour=at % 24)).items()
    }
    skills = load(files).skills
    remote, mirror = Remote(url=url), Mirror(Path(state), url)
    mirror.fetch(remote)
    ledger = Ledger(mirror, remote)
    now = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    since = dict.fromkeys(names, datetime(2026, 11, 20, 23, 59, tzinfo=UTC))
    tell("ready")
    sys.stdin.readline()
    for name in names[first:] + names[:first]:
        mine = {name: skills[name]}
        settled = ledger.decide(
            lambda history, mine=mine: assign_run_ids(decide_slots(mine, since, history, now), now, state),
            now,
        )
        for decision in settled:
            if decision.verdict is Verdict.STARTED:
                tell(f"run {decision.name}")
                time.sleep(0.3)  # a run takes its time, in which the others get their turn
                ledger.add_end(decision, End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH), "", now)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
