"""The worker: from a decision to a container beside a bare `docker run`; more workers; what idling costs.

Usage: worker.py [--rounds N] [--sleep SECONDS] [--postgres URL]. Without a URL the part with several workers
is left out, and says so.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

GIT = {
    "GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@example.com", "GIT_COMMITTER_NAME": "b",
    "GIT_COMMITTER_EMAIL": "b@example.com", "GIT_CONFIG_GLOBAL": os.devnull,
}  # fmt: skip
SKILL = """version: 1
description: b
prompt: b
on: {{schedule: [{{cron: "{minute} * * * *", catch_up: 2h}}]}}
overlap: queue
harness: {{kind: command, command: [sh, -c, "{command}"]}}
output: {{none: {{}}}}
"""


def repository(folder: Path, skills: int, command: str) -> Path:
    """A bare repository whose skills all have a slot that has come."""
    tree, bare = folder / "tree", folder / "origin.git"
    tree.mkdir(parents=True)
    for number in range(skills):
        place = tree / f"skills/s{number:03}"
        place.mkdir(parents=True)
        (place / "skill.yaml").write_text(SKILL.format(minute=0, command=command))
    (tree / "README.md").write_text("b\n")
    at = (datetime.now(UTC) - timedelta(hours=1, minutes=5)).isoformat()
    environment = {**os.environ, **GIT, "GIT_COMMITTER_DATE": at}
    for argv in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "b"]):
        subprocess.run(["git", *argv], cwd=tree, env=environment, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(tree), str(bare)], check=True, env=environment)
    return bare


@contextmanager
def worker(folder: Path, state: Path, settings: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "skillrunner.yaml").write_text(settings)
    environment = {**os.environ, **variables, "SKILLRUNNER_STATE_DIR": str(state)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "runner", "worker"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def idle(seconds: float) -> None:
    """Resident memory and processor time of a worker that has nothing to do."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bare = repository(folder / "r", 1, "true")
        settings = f"sandbox: process\nworker: {{repositories: ['{bare}'], poll: 30s}}\n"
        with worker(folder / "w", folder / "state", settings) as process:
            time.sleep(8)
            before, begun = cpu(process.pid), time.monotonic()
            time.sleep(seconds)
            share = (cpu(process.pid) - before) / (time.monotonic() - begun)
            print(f"idle worker: {memory(process.pid):.0f} MB (goal 80), {share:.2%} of a core (goal 1 %)")


def under_way(runs: int) -> None:
    """What a run that is under way adds to the worker's own memory; its harness is a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, sizes = Path(scratch), []
        for count in (1, runs):
            bare = repository(folder / f"r{count}", count, "sleep 60")
            settings = (
                f"sandbox: process\nworker: {{repositories: ['{bare}'], poll: 1h, drain: 1s, "
                f"concurrency: {{worker: {count}}}}}\n"
            )
            state = folder / f"state{count}"
            with worker(folder / f"w{count}", state, settings) as process:
                _wait_for_running(state, count)
                time.sleep(2)
                sizes.append(memory(process.pid))
        each = (sizes[1] - sizes[0]) / (runs - 1)
        told = f"{sizes[1]:.0f} MB with {runs}, {sizes[0]:.0f} MB with one"
        print(f"a run under way: {each:.1f} MB of the worker ({told})")


def _wait_for_running(state: Path, count: int) -> None:
    from runner.core.model import RunState
    from runner.store import Store

    store = Store(state)
    try:
        while [run.state for run in store.runs(limit=count)].count(RunState.RUNNING) < count:
            time.sleep(0.1)
    finally:
        store.close()


def memory(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def several(url: str, runs: int, sleep: float) -> None:
    """The time for the same runs with one, two and four workers of one run each, on one PostgreSQL."""
    import psycopg

    taken: dict[int, float] = {}
    for count in (1, 2, 4):
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench_worker")
            connection.execute("CREATE DATABASE bench_worker")
        with tempfile.TemporaryDirectory() as scratch:
            taken[count] = _several(Path(scratch), f"{url}/bench_worker", count, runs, sleep)
        ratio = taken[1] / taken[count]
        print(f"{count} workers: {taken[count]:.1f} s for {runs} runs of {sleep:.0f} s, {ratio:.2f} x")
    print("goal with 4 workers: 3.8 x")


def _several(folder: Path, url: str, count: int, runs: int, sleep: float) -> float:
    bare = repository(folder / "r", runs, f"sleep {sleep}")
    settings = (
        f"sandbox: process\nworker:\n  repositories: ['{bare}']\n  poll: 1h\n  database: BENCH_DATABASE\n"
        "  concurrency: {worker: 1, skill: 1}\n"
    )
    from contextlib import ExitStack

    from runner.core.model import RunState
    from runner.store import Store

    with ExitStack() as stack:
        for number in range(count):
            place = folder / f"w{number}"
            stack.enter_context(worker(place, place / "state", settings, BENCH_DATABASE=url))
        store = Store(folder / "look", url)
        stack.callback(store.close)
        while True:
            found = store.runs(limit=1000)
            ended = [run for run in found if run.ended_at is not None]
            if len(ended) == runs:
                break
            time.sleep(0.1)
        begun = min(run.started_at for run in ended if run.started_at)
        last = max(run.ended_at for run in ended if run.ended_at)
        assert {run.state for run in ended} <= {RunState.SUCCEEDED, RunState.NOTHING_TO_DO}
    return (last - begun).total_seconds()


def started(rounds: int) -> None:
    """From the decision to the first command in the container, beside `docker run` of the same image."""
    script = Path(__file__).parent.parent / "scripts/local_image.py"
    built = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    if built.returncode:
        print("from a decision to a container: left out, no Docker engine answers")
        return
    image = built.stdout.strip()
    bare_run, ours = [], []
    for _ in range(rounds):
        begun = time.time()
        said = subprocess.run(
            ["docker", "run", "--rm", "--network", "none", image, "date", "+%s.%N"],
            capture_output=True,
            text=True,
            check=True,
        )
        bare_run.append(float(said.stdout) - begun)
        with tempfile.TemporaryDirectory() as scratch:
            ours.append(_decided_to_started(Path(scratch), image))
    floor, found = statistics.median(bare_run), statistics.median(ours)
    print(f"bare docker run {floor * 1000:.0f} ms; decision to first command {found * 1000:.0f} ms, "
          f"{(found - floor) * 1000:+.0f} ms (goal +50), {found / floor:.2f} x")  # fmt: skip


def _decided_to_started(folder: Path, image: str) -> float:
    from runner.store import Store

    bare = repository(folder / "r", 1, "date +%s.%N")
    settings = f"image: {image}\nworker: {{repositories: ['{bare}'], poll: 1h}}\n"
    with worker(folder / "w", folder / "state", settings):
        store = Store(folder / "state")
        try:
            while not (found := store.runs(limit=1)) or found[0].ended_at is None:
                time.sleep(0.05)
            raw = next(one for one in store.artifacts(found[0].id) if one.name == "transcript.raw")
            return float(Path(raw.path).read_text().split()[0]) - found[0].created_at.timestamp()
        finally:
            store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sleep", type=float, default=5)
    parser.add_argument("--postgres", default=os.environ.get("BENCH_POSTGRES", ""))
    given = parser.parse_args()
    idle(20)
    under_way(10)
    started(given.rounds)
    if given.postgres:
        several(given.postgres, 16, given.sleep)
    else:
        print("several workers: left out, --postgres names no server")


if __name__ == "__main__":
    main()
