"""What isolates the harness. One file for each kind: a class that derives from `SandboxKind`, and `PLUGINS`.

Who calls what when: `build` where the skill names a Dockerfile; `resolve` once for each run; `open` for the
run, and again for its verification; in it `put` and `exec` as often as wished, `seal` once, before anything
untrusted runs, and `get` after it. Leaving the context destroys everything, also after a failure, also twice.
`sweep` ends what a killed runner left, and `prune` removes what nobody has used for long.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Literal, Protocol

from runner.clients.docker.build import Build
from runner.clients.stdio import Clock
from runner.core.model import Caps, DoctorLine, Exit, NextInput, OnOutput, Places, Resources
from runner.core.plugins import Family, Plugin


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
    """The owner of a sandbox, as its labels say."""

    run_id: str
    attempt: int
    worker: str  # empty: a person started it


Alive = Callable[[Origin], bool]
"""Whether the run attempt that a sandbox belongs to still goes on."""


class Sandbox(Protocol):
    places: Places

    def exec(
        self,
        argv: tuple[str, ...],
        *,
        on_output: OnOutput,
        stdin: bytes | NextInput = b"",
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
        """A socket that listens on a loopback address inside. It is the caller's to close.

        Called once for each turn of the agent, after the socket of the turn before is closed.
        """
        ...


class SandboxKind(Plugin, Protocol):
    """Everything that a kind of sandbox may have; what has a value here need not be said.

    One object for each kind lives as long as the process. Several threads open sandboxes at the same time.
    """

    owner: tuple[int, int] | None = None
    """The user and group to whom the workspace and the exchange folder must belong; None: they do already.
    Read before the workspace is filled."""

    tools: str = ""
    """The folder inside where a program of this machine and other mounts are shown; empty: nothing is mounted
    and programs are where they are."""

    network: bool = False
    """Whether what runs inside has a network of its own besides the listener. Where it has none, programs are
    pointed at the gateway by the usual proxy variables."""

    @abstractmethod
    def open(self, spec: SandboxSpec) -> AbstractContextManager[Sandbox]:
        """A sandbox for as long as the context lasts. Raises RunnerError when it cannot be had."""

    def resolve(self, image: str, say: Callable[[str], None]) -> str:
        """The digest of an image, fetched where it is missing; empty: this kind has no images.

        Called once for each run, before anything is opened. `say` tells people of progress, and of dangers.
        """
        del image, say
        return ""

    def build(self, wanted: Build, say: Callable[[str], None], log: Callable[[str], None]) -> str:
        """The name of the image that `wanted` describes, built where it is missing; empty: it has no images.

        `log` takes the build's output. Called while nobody else on this machine builds the same one.
        """
        del log
        say(f"{wanted.name} is not built: the sandbox {self.name} has no images")
        return ""

    def sweep(self, alive: Alive) -> list[str]:
        """End what outlived its runner: all that is not alive. Return the ids of the runs.

        Called when a worker starts, when it takes over from a dead one, and before a second attempt. Raises
        RunnerError when it cannot be done now; it is tried again later.
        """
        del alive
        return []

    def prune(self) -> list[str]:
        """Remove what no run has used for long, such as built images; return what is gone, in words."""
        return []

    def doctor(self, image: str) -> Iterable[DoctorLine]:
        """What works and what does not, where this is the configured kind and `image` the default image."""
        del image
        return [DoctorLine(ok=True, subject="sandbox", message=f"{self.name} is installed")]


SANDBOXES: Family[SandboxKind] = Family("sandboxes", __name__, SandboxKind)

__all__ = [
    "SANDBOXES",
    "Alive",
    "Build",
    "Caps",
    "DoctorLine",
    "Exit",
    "Mount",
    "NextInput",
    "OnOutput",
    "Origin",
    "Places",
    "Resources",
    "Sandbox",
    "SandboxKind",
    "SandboxSpec",
]
