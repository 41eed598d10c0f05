"""A sandbox around another: programs run as in the process sandbox, which isolates nothing, but give way."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from socket import socket

from runner.core.errors import RunnerError
from runner.core.model import Caps, Exit, NextInput, OnOutput, Phase, Places, Reason
from runner.sandboxes import Alive, Sandbox, SandboxKind, SandboxSpec
from runner.sandboxes.process import ProcessKind


@dataclass
class NicedSandbox(Sandbox):
    inner: Sandbox
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
        if shutil.which(argv[0]) is None:  # which `nice` would tell as an exit code
            message = f"there is no program {argv[0]} on this machine"
            raise RunnerError(Phase.HARNESS, Reason.HARNESS_MISSING, message)
        niced = ("nice", "-n", "19", *argv)
        return self.inner.exec(niced, on_output=on_output, stdin=stdin, variables=variables, caps=caps)

    def put(self, name: str, data: bytes, mode: int = 0o644) -> str:
        return self.inner.put(name, data, mode)

    def get(self, name: str, limit: int) -> bytes | None:
        return self.inner.get(name, limit)

    def seal(self) -> None:
        self.inner.seal()

    def listener(self) -> socket:
        return self.inner.listener()


class NicedKind(SandboxKind):
    name = "niced"
    network = True  # that of this machine

    def __init__(self) -> None:
        self._process = ProcessKind()

    @contextmanager
    def open(self, spec: SandboxSpec) -> Iterator[Sandbox]:
        with self._process.open(spec) as inner:
            yield NicedSandbox(inner, inner.places)

    def resolve(self, image: str, say: Callable[[str], None]) -> str:
        return self._process.resolve(image, say)

    def sweep(self, alive: Alive) -> list[str]:
        return self._process.sweep(alive)


PLUGINS = (NicedKind,)
