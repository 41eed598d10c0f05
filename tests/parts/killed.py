"""Runs the command line and kills it, as kill -9 does, right before or after one step.

Usage: killed.py MODULE:NAME before|after SKILLRUNNER-ARGUMENTS...
NAME is a function of the module or `Class.method`.
"""

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def die_at(step: str, when: str) -> None:
    module, _, name = step.partition(":")
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, _deadly(getattr(owner, last), when))


def _deadly(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    return wrapped


if __name__ == "__main__":
    step, when, *sys.argv[1:] = sys.argv[1:]
    die_at(step, when)
    from runner.apps.cli.main import main

    main()
