"""The poll of a worker over unchanged repositories, beside as many bare `git ls-remote` of the same ones.

Both ask one local server, which gives git's files and answers as GitHub's documentation says: 304 to the
ETag that it gave. Rounds of both take turns, and the ratio is that of their medians. A point is an answer of
the API other than 304; git's own requests cost none. The waits that keep GitHub's secondary limits are left
out: they are the same for everybody who asks as much.
"""

import argparse
import functools
import hashlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).parent.parent))

from runner.apps.worker.controller import Controller
from runner.apps.worker.credentials import Credentials
from runner.apps.worker.daemon import POLL_THREADS
from runner.apps.worker.error_log import ErrorLog
from runner.apps.worker.repositories import RepositoryList
from runner.clients.github.rate_limit import RateLimiter
from runner.config.settings import load_config
from runner.store import Store
from runner.triggers.sources.github.trigger import github_triggers

_SKILL = """version: 1
description: b
prompt: b
on: {on}
harness: {{kind: command, command: ["true"]}}
output: {{none: {{}}}}
"""
_ACTORLESS = {"push": "{}", "workflow_run": "{workflows: [CI]}"}


class Server(BaseHTTPRequestHandler):
    """GitHub for repositories that are all alike and never change."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answers: ClassVar[Counter[int]] = Counter()
    lock = threading.Lock()

    def __init__(self, files: Path, *args: object) -> None:
        self.files = files
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/"):
            self._list(path)
        else:
            file = self.files.joinpath(*path.split("/")[3:])
            self._send(200 if file.is_file() else 404, file.read_bytes() if file.is_file() else b"")

    def _list(self, path: str) -> None:
        body = b'{"workflow_runs": []}' if path.endswith("/runs") else b"[]"
        body = b'{"default_branch": "main"}' if path.count("/") == 4 else body
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        unchanged = self.headers.get("If-None-Match") == etag
        with self.lock:
            self.answers[304 if unchanged else 200] += 1
        self._send(304 if unchanged else 200, b"" if unchanged else body, etag)

    def _send(self, status: int, body: bytes, etag: str = "") -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def serve(pipe: Connection, files: Path) -> None:
    """Tell the port, then the count of answers whenever asked, until told to end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, files))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_address[1])
    while pipe.recv():
        pipe.send(dict(Server.answers))
        Server.answers.clear()


@contextmanager
def github(files: Path) -> Iterator[tuple[str, Callable[[], dict[int, int]]]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, files))
    process.start()

    def counts() -> dict[int, int]:
        ours.send(True)
        found: dict[int, int] = ours.recv()
        return found

    try:
        yield f"http://127.0.0.1:{ours.recv()}", counts
    finally:
        ours.send(False)
        process.join()


def repository(folder: Path, kinds: Sequence[str]) -> Path:
    """The files of a bare repository with one skill, as a plain web server may offer them."""
    tree, bare = folder / "tree", folder / "origin.git"
    (tree / "skills/b").mkdir(parents=True)
    on = ", ".join(f"{kind}: {_ACTORLESS.get(kind, '{}')}" for kind in kinds) or "manual: {}"
    (tree / "skills/b/skill.yaml").write_text(_SKILL.format(on=f"{{{on}}}"))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for argv in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *argv], cwd=tree, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(tree), str(bare)], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    return bare


class Clock:
    """On which time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def worker(folder: Path, url: str, names: Sequence[str]) -> Iterator[Callable[[], None]]:
    """The poll of a worker that serves these repositories."""
    served = f"worker: {{repositories: [{', '.join(names)}]}}"
    text = f"github: {{api_url: '{url}/api', git_url: '{url}'}}\n{served}\n"
    config = load_config(folder, read=lambda _: text.encode(), flags={"state_dir": str(folder / "state")})
    clock, errors, woken = Clock(), ErrorLog(), threading.Event()
    credentials = Credentials(config, _pacers={"": RateLimiter(clock, clock.sleep)})
    repositories = RepositoryList(config, credentials, errors)
    store = Store(config.state)
    controller = Controller(config, store, repositories, lambda: datetime.now(UTC), woken.set, errors)
    with ThreadPoolExecutor(POLL_THREADS) as pool:

        def poll() -> None:
            controller.start_polls(pool)
            while not controller.collect_polls(pool):
                woken.wait()
                woken.clear()
            if errors.errors or len(controller.snapshots) != len(names):
                raise SystemExit(f"{len(controller.snapshots)} of {len(names)} were read: {errors.errors}")

        yield poll
    store.close()


def bare(url: str, names: Sequence[str]) -> None:
    def one(name: str) -> None:
        subprocess.run(["git", "ls-remote", f"{url}/{name}.git"], check=True, capture_output=True)

    with ThreadPoolExecutor(POLL_THREADS) as pool:
        list(pool.map(one, names))


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(names: Sequence[str], rounds: int, kinds: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, github(repository(Path(folder), kinds)) as (url, counts):
        with worker(Path(folder), url, names) as poll:
            poll()  # fetches
            poll()  # knows the ETags from here on
            counts()
            both = [(seconds(lambda: bare(url, names)), seconds(poll)) for _ in range(rounds)]
            answers = counts()
        floor, ours = (statistics.median(column) for column in zip(*both, strict=True))
        points = sum(number for status, number in answers.items() if status != 304)
        asked = f"{sum(answers.values()) // rounds} requests to the API, {points} points (goal 0)"
        print(f"{len(kinds)} kinds of events: {asked}")
        print(f"  a poll {ours:.2f} s, git ls-remote {floor:.2f} s: ratio of the medians {ours / floor:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    names = [f"acme/{number}" for number in range(given.repositories)]
    print(f"{len(names)} unchanged repositories, {POLL_THREADS} at a time, {os.cpu_count()} CPUs")
    for kinds in ([], ["release"], sorted(name for name, one in github_triggers().items() if one.polled)):
        measure(names, given.rounds, kinds)


if __name__ == "__main__":
    main()
