"""A poll of 1,000 unchanged repositories: requests, rate-limit points and seconds.

Heads are asked of git (`file://` remotes, so that no server's speed is measured), events of a local server
that answers as GitHub's documentation says: 304 to the ETag that it gave. A point is an answer other than
304; git's own requests cost none. The floor is as many bare `git ls-remote` with the same parallelism.
"""

import argparse
import hashlib
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model import Remote
from runner.triggers.sources.github import Cursor, heads, poll
from runner.triggers.sources.github.poll import POLLED_EVENTS

GOAL = 30.0  # seconds


class Lists(BaseHTTPRequestHandler):
    """Every list is empty, and never changes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answers: ClassVar[Counter[int]] = Counter()
    lock = threading.Lock()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        body = b'{"workflow_runs": []}' if path.endswith("/runs") else b"[]"
        body = b"{}" if path.count("/") == 3 else body
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        unchanged = self.headers.get("If-None-Match") == etag
        status = 304 if unchanged else 200
        with self.lock:
            self.answers[status] += 1
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", "0" if unchanged else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if unchanged else body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def serve(pipe: Connection) -> None:
    """Tell the port, then the count of answers whenever asked, until told to end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lists)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_address[1])
    while pipe.recv():
        pipe.send(dict(Lists.answers))
        Lists.answers.clear()


@contextmanager
def lists() -> Iterator[tuple[str, Callable[[], dict[int, int]]]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()

    def counted() -> dict[int, int]:
        ours.send(True)
        found: dict[int, int] = ours.recv()
        return found

    yield f"http://127.0.0.1:{ours.recv()}", counted
    ours.send(False)
    process.join()


def make(folder: Path, count: int) -> dict[str, str]:
    """`count` bare repositories with one commit each, by name their URLs."""
    one = folder / "one"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "init", "-q", "-b", "main", str(one)], check=True)
    subprocess.run([*git, "-C", str(one), "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    shutil.rmtree(one / ".git" / "hooks")
    urls = {}
    for number in range(count):
        shutil.copytree(one / ".git", folder / f"{number}.git")
        urls[f"acme/{number}"] = f"file://{folder}/{number}.git"
    return urls


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare(urls: Iterable[str], workers: int) -> None:
    def one(url: str) -> None:
        subprocess.run(["git", "ls-remote", url, "HEAD"], check=True, capture_output=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, urls))


def ask_heads(urls: dict[str, str], workers: int) -> None:
    for name, answer in heads({name: Remote(url=url) for name, url in urls.items()}, workers=workers):
        if isinstance(answer, RunnerError):
            raise SystemExit(f"{name}: {answer.message}")


class Poller:
    """Polls every repository, a few at a time, as a worker does."""

    def __init__(self, url: str, names: Iterable[str], wanted: frozenset[str], workers: int) -> None:
        self.url, self.wanted, self.workers = url, wanted, workers
        self.cursors = dict.fromkeys(names, Cursor())
        self.local = threading.local()

    def once(self) -> None:
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(self._one, self.cursors))

    def _one(self, name: str) -> None:
        if not hasattr(self.local, "door"):
            self.local.door = GitHubApi(api_url=self.url, repository="", token=lambda: "t")
        polled = poll(
            self.local.door.for_repository(name), self.cursors[name], self.wanted, datetime.now(UTC)
        )
        if polled.faults or polled.events:
            raise SystemExit(f"{name}: {polled.faults} {polled.events}")
        self.cursors[name] = polled.cursor


def measure(count: int, workers: int, kinds: frozenset[str], urls: dict[str, str]) -> float:
    with lists() as (url, counted):
        poller = Poller(url, urls, kinds, workers)
        poller.once()  # begins
        poller.once()  # knows the ETags from here on
        counted()
        seconds = timed(poller.once)
        answers = counted()
    points = sum(number for status, number in answers.items() if status != 304)
    requests = sum(answers.values())
    print(f"events ({len(kinds)} kinds)     {seconds:6.1f} s   {requests:6} requests   {points} points")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urls = make(Path(folder), given.repositories)
        print(
            f"{given.repositories} unchanged repositories, {given.workers} at a time, {os.cpu_count()} CPUs"
        )
        floor = timed(lambda: bare(urls.values(), given.workers))
        print(f"floor: bare git        {floor:6.1f} s   {len(urls):6} git calls")
        asked = timed(lambda: ask_heads(urls, given.workers))
        print(f"heads                  {asked:6.1f} s   {len(urls):6} git calls  0 points")
        measure(given.repositories, given.workers, frozenset({"release"}), urls)
        events = measure(given.repositories, given.workers, frozenset(POLLED_EVENTS), urls)
        whole = asked + events
        verdict = "met" if whole <= GOAL else "missed"
        print(f"heads and all events   {whole:6.1f} s   goal {GOAL:.0f} s and 0 points: {verdict}")


if __name__ == "__main__":
    main()
