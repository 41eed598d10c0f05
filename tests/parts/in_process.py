"""The command line in the process of the tests: its exit code and what it prints, with no new interpreter."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO

from runner.apps.cli.main import main
from runner.clients.docker import engine

PROCESS_ONLY = frozenset({"LC_ALL", "PYTHONPATH", "TZ"})  # variables that a process reads once
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)


def call(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], stdin: str = ""
) -> tuple[int, str, str]:
    """The exit code, the output and the errors of `skillrunner` with these arguments."""
    assert threading.current_thread() is threading.main_thread(), "a thread needs Project.process"
    before = _handlers()
    with (
        _streams(stdin) as (out, err),
        _engine(environment),
        _variables(environment),
        chdir(cwd),
        _arguments(argv),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            after = _handlers()
            for number, handler in before.items():
                signal.signal(number, handler)
        assert after == before, "a signal handler was left behind"
        return code, _text(out), _text(err)


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


@contextmanager
def _streams(stdin: str) -> Iterator[tuple[TextIO, TextIO]]:
    """Files for the three streams: they have descriptors, and are no terminals."""
    before = sys.stdin, sys.stdout, sys.stderr
    with (
        TemporaryFile("w+", encoding="utf-8") as given,
        TemporaryFile("w+", encoding="utf-8", newline="") as out,
        TemporaryFile("w+", encoding="utf-8", newline="", errors="backslashreplace") as err,
    ):
        given.write(stdin)
        given.seek(0)
        sys.stdin, sys.stdout, sys.stderr = given, out, err
        try:
            yield out, err
        finally:
            sys.stdin, sys.stdout, sys.stderr = before


def _text(stream: TextIO) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@contextmanager
def _engine(environment: Mapping[str, str]) -> Iterator[None]:
    """The connection of this process is not used where the variables name another engine."""
    client = engine.client
    if environment.get("DOCKER_HOST") != os.environ.get("DOCKER_HOST"):
        engine.client = cache(engine.connect)
    try:
        yield
    finally:
        if engine.client is not client:
            if engine.client.cache_info().currsize:
                engine.client().close()
            engine.client = client


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """These variables and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _arguments(argv: Sequence[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = ["skillrunner", *argv]
    try:
        yield
    finally:
        sys.argv = before
