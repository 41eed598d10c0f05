"""No isolation: the harness runs as the user who started the runner. Only when asked for by name.

It gets a process group of its own, a minimal environment and the same limits on time and output as
elsewhere. It can still read and write whatever that user can, and reach any network.
"""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runner.clients import process
from runner.core.errors import RunnerError
from runner.core.model import Caps, DoctorLine, Exit, NextInput, OnOutput, Phase, Places, Reason
from runner.sandboxes import Alive, Origin, SandboxKind, SandboxSpec, exchange

WARNING = (
    "the process sandbox isolates NOTHING: the harness runs as you, on your files and your network."
    " Use --sandbox docker for anything that you would not run yourself."
)
_MARK = "SKILLRUNNER_RUN"  # the variable by which a later runner knows whose a process is


@dataclass(slots=True)
class ProcessSandbox:
    spec: SandboxSpec
    places: Places
    dead: bool = False

    def exec(
        self,
        argv: tuple[str, ...],
        *,
        on_output: OnOutput,
        stdin: bytes | NextInput = b"",
        variables: Mapping[str, str] | None = None,
        caps: Caps | None = None,
    ) -> Exit:
        if self.dead:
            raise RunnerError(Phase.SANDBOX, Reason.ENGINE_FAILED, "the sandbox is closed")
        done = process.run(
            argv,
            cwd=self.spec.workspace,
            variables={
                **_minimal(self.places.home),
                **self.spec.variables,
                **(variables or {}),
                _MARK: f"{self.spec.run_id}/{self.spec.attempt}/{self.spec.worker}",
            },
            on_output=on_output,
            stdin=stdin,
            caps=caps,
            stop=self.spec.stop,
            clock=self.spec.clock,
        )
        self.dead = done.cause != "exited"
        return done

    def put(self, name: str, data: bytes, mode: int = 0o644) -> str:
        exchange.put(self.spec.exchange, name, data, mode)
        return f"{self.places.exchange}/{name}"

    def get(self, name: str, limit: int) -> bytes | None:
        return exchange.get(self.spec.exchange, name, limit)

    def seal(self) -> None:
        """Nothing to cut: there was no isolation from the start."""

    def listener(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))


def _minimal(home: str) -> dict[str, str]:
    """What a program needs to start, and nothing of what the runner's own environment holds."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": home, "TMPDIR": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108 - as programs expect


def _origin(environment: bytes) -> Origin | None:
    for variable in environment.split(b"\0"):
        name, _, value = variable.decode(errors="replace").partition("=")
        run_id, _, rest = value.partition("/")
        attempt, _, worker = rest.partition("/")
        if name == _MARK and attempt.isdecimal():
            return Origin(run_id=run_id, attempt=int(attempt), worker=worker)
    return None


class ProcessKind(SandboxKind):
    name = "process"
    network = True  # it is that of this machine

    @contextmanager
    def open(self, spec: SandboxSpec) -> Iterator[ProcessSandbox]:
        """A place to run programs in, for as long as the context lasts."""
        home = spec.exchange / "home"
        home.mkdir(exist_ok=True)
        places = Places(workspace=str(spec.workspace), exchange=str(spec.exchange), home=str(home))
        sandbox = ProcessSandbox(spec, places)
        try:
            yield sandbox
        finally:
            sandbox.dead = True
            shutil.rmtree(home, ignore_errors=True)

    def resolve(self, image: str, say: Callable[[str], None]) -> str:
        """There is no image; what is said instead is a warning."""
        del image
        say(WARNING)
        return ""

    def sweep(self, alive: Alive) -> list[str]:
        """Kill what crashed runs left running, where the system shows processes' variables."""
        swept = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it is another user's, or has just ended
                origin = _origin((folder / "environ").read_bytes())
                if origin is not None and not alive(origin):
                    os.kill(int(folder.name), signal.SIGKILL)
                    swept.add(origin.run_id)
        return sorted(swept)

    def doctor(self, image: str) -> Iterator[DoctorLine]:
        del image
        yield DoctorLine(ok=True, subject="sandbox", message=f"process: {WARNING}")


PLUGINS = (ProcessKind,)
