"""A worker process with a calendar of the tests' own, and hands that are quicker than a harness.

Usage: worker_driver.py [--clock FILE] [--effects FILE] [--engine SECONDS]. FILE of the clock holds the
seconds that are added to the time; with effects a run only notes there that it was carried out, next to all
that the store keeps of it; SECONDS are how long a Docker engine may take for an answer.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.apps.cli.commands.worker import work
from runner.apps.worker.run_job import RunFunction, RunJob
from runner.clients.docker import engine
from runner.config.settings import load_config
from runner.core.errors import RunnerError, exit_code
from runner.core.model import End, Phase, RunState, Usage


def calendar(file: Path) -> Callable[[], datetime]:
    def now() -> datetime:
        while not (seconds := file.read_text()):  # somebody is writing it
            time.sleep(0.001)
        return datetime.now(UTC) + timedelta(seconds=float(seconds))

    return now


def quick(effects: Path) -> RunFunction:
    def carry(job: RunJob) -> End:
        run_id, end = job.run.id, End(state=RunState.SUCCEEDED, phase=Phase.PUBLISH)
        job.store.set_state(run_id, RunState.PREPARING, job.now())
        job.stop_signals.check_for(run_id)()
        job.store.set_state(run_id, RunState.RUNNING, job.now())
        subprocess.run(["true"], check=True)
        with effects.open("a") as file:
            file.write(f"{run_id} {job.run.attempt}\n")
        job.store.finish(run_id, end, job.now(), Usage())
        return end

    return carry


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clock", type=Path)
    parser.add_argument("--effects", type=Path)
    parser.add_argument("--engine", type=int, default=120)
    given = parser.parse_args()
    engine.API_TIMEOUT = given.engine
    parts: dict[str, object] = {"now": calendar(given.clock)} if given.clock else {}
    parts |= {"run_function": quick(given.effects)} if given.effects else {}
    form = "%(asctime)s %(levelname)-7s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form)
    config = load_config(Path.cwd(), flags={"state_dir": os.environ["SKILLRUNNER_STATE_DIR"]})
    try:
        work(config, False, **parts)
    except RunnerError as error:
        sys.stderr.write(f"error: {error.message}\n")
        raise SystemExit(exit_code(error.end)) from error


if __name__ == "__main__":
    main()
