"""What isolates the harness. One module per kind; the module's name is the kind's name.

A sandbox module offers `open(spec) -> ContextManager[Sandbox]`,
`resolve(image, say) -> str` (the image's digest, pulled with progress where it is missing) and
`build(wanted, say, log) -> str` (the name of the image that a `runner.clients.docker.build.Build` asks for).

Call order: build where there is a Dockerfile; resolve once per image; open; put and exec as often as
wished; seal once, before anything untrusted runs; get after it. Leaving the context destroys everything,
also after a failure, also twice.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Literal, Protocol

from runner.clients.stdio import Clock
from runner.core.model import Caps, Exit, OnOutput, Places, Resources, Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A host path that the sandbox sees, read-only, at `target`."""

    source: Path
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What to open. `workspace` is writable inside; everything in `mounts` is read-only."""

    run_id: str
    attempt: int = 1
    worker: str = ""
    purpose: Literal["run", "verify"] = "run"
    image: str = ""
    workspace: Path
    exchange: Path  # an empty host folder for the files that go in and out
    mounts: tuple[Mount, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    setup_network: bool = False  # open network until seal(), for set-up commands only
    gateway: bool = False  # a socket inside leads out, to whoever takes the listener
    helper: str = ""  # an image with Python, which makes that socket where `image` has none
    stop: Callable[[], None] = lambda: None  # asked while a command runs; raises when it has to die
    clock: Clock = field(default_factory=Clock)  # while it is held, what runs in the sandbox stands still
    lifetime: float = 24 * 3600.0  # seconds after which the sandbox ends by itself, should its runner be gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose a sandbox is, as it is written on it."""

    run_id: str
    attempt: int
    worker: str  # empty: somebody ran it by hand


Alive = Callable[[Origin], bool]
"""What outlives a killed runner is ended by `sweep(alive) -> list[str]` of its module: all that is not alive.
It returns the ids of the runs."""


class Sandbox(Protocol):
    places: Places

    def exec(
        self,
        argv: tuple[str, ...],
        *,
        on_output: OnOutput,
        stdin: bytes | Say = b"",
        variables: Mapping[str, str] | None = None,
        caps: Caps | None = None,
    ) -> Exit:
        """Run `argv` in the workspace, hand its output on as it flows, and return how it ended.

        Standard input holds `stdin` and is then closed; a function is asked what to say, between the pieces
        of output and a few times a second, until it returns None or the program has ended. When a cap is
        reached the whole process group or container dies, and nothing more can be run here. `on_output` and
        `stdin` may raise: the command is then stopped and the exception goes on. A program that a signal
        ended has its negative number as code; behind an engine it is 128 plus that number, as in a shell.
        Raises RunnerError HARNESS_MISSING when there is no such program, and others when the sandbox breaks.
        """
        ...

    def put(self, name: str, data: bytes, mode: int = 0o644) -> str:
        """Write a file into the exchange folder; return its path as seen from inside.

        The folder `home` there is the home inside. Raises OSError when a folder of `name` cannot be one.
        """
        ...

    def get(self, name: str, limit: int) -> bytes | None:
        """Read at most `limit` bytes of a plain file from the exchange folder; None when there is none.

        Whatever the harness put there, this never follows a link and never blocks.
        """
        ...

    def seal(self) -> None:
        """Cut the set-up network: from here on only the listener, if any, is reachable."""
        ...

    def listener(self) -> socket:
        """A socket that listens on a loopback address inside. It is the caller's to close."""
        ...


Opener = Callable[[SandboxSpec], AbstractContextManager[Sandbox]]

__all__ = [
    "Alive",
    "Caps",
    "Exit",
    "Mount",
    "OnOutput",
    "Opener",
    "Origin",
    "Places",
    "Resources",
    "Sandbox",
    "SandboxSpec",
    "Say",
]
