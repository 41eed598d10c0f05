"""Runs nothing: a scripted stand-in, so that the stages around a sandbox can be tried without one.

A command line is a little script of its own. Each argument is one step:
`print:TEXT`, `complain:TEXT` (standard error), `echo` (standard input comes back), `hear` (a line of it
does), `fill:BYTES` of output, `write:PATH:TEXT` into the workspace,
`put:NAME:TEXT` into the exchange folder, `variable:NAME`, `sleep:SECONDS`, `signal:NUMBER`, `exit:CODE`.
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from runner.clients.docker.build import Build
from runner.clients.stdio import CapReachedError, LimitMeter, single_chunk
from runner.core.errors import RunnerError
from runner.core.model import Caps, Exit, NextInput, OnOutput, Phase, Places, Reason
from runner.sandboxes import SandboxKind, SandboxSpec, exchange

_CHUNK = 64 * 1024


@dataclass(slots=True)
class FakeSandbox:
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
        meter = LimitMeter(caps or Caps(), self._obey, self.spec.clock)
        say = single_chunk(stdin) if isinstance(stdin, bytes) else stdin
        script = _Script(self, meter, on_output, say, {**self.spec.variables, **(variables or {})})
        try:
            code = script.play(argv)
        except CapReachedError as reached:
            self.dead = True
            return Exit(
                cause=reached.cause, code=None, duration=meter.duration, output_bytes=meter.output_bytes
            )
        return Exit(cause="exited", code=code, duration=meter.duration, output_bytes=meter.output_bytes)

    def _obey(self) -> None:
        self.spec.stop()
        while self.spec.clock.is_paused:
            time.sleep(0.01)
            self.spec.stop()

    def put(self, name: str, data: bytes, mode: int = 0o644) -> str:
        exchange.put(self.spec.exchange, name, data, mode)
        return f"{self.places.exchange}/{name}"

    def get(self, name: str, limit: int) -> bytes | None:
        return exchange.get(self.spec.exchange, name, limit)

    def seal(self) -> None:
        """Nothing runs, so nothing can reach anything."""

    def listener(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))


@dataclass(slots=True)
class _Script:
    fake: FakeSandbox
    meter: LimitMeter
    on_output: OnOutput
    say: NextInput
    variables: Mapping[str, str]
    rest: bytes = b""  # of standard input: what came with the line that was heard last

    def play(self, steps: tuple[str, ...]) -> int:
        for step in steps:
            name, _, rest = step.partition(":")
            if name in ("exit", "signal"):
                return int(rest) if name == "exit" else -int(rest)
            getattr(self, f"do_{name}")(rest)
        return 0

    def _out(self, data: bytes) -> None:
        self.on_output("stdout", data)
        self.meter.note_output(len(data))

    def do_print(self, text: str) -> None:
        self._out(text.encode() + b"\n")

    def do_complain(self, text: str) -> None:
        self.on_output("stderr", text.encode() + b"\n")
        self.meter.note_output(len(text) + 1)

    def do_echo(self, _: str) -> None:
        self._out(self.rest)
        while (said := self._heard()) is not None:
            self._out(said)

    def do_hear(self, _: str) -> None:
        while b"\n" not in self.rest and (said := self._heard()) is not None:
            self.rest += said
        line, __, self.rest = self.rest.partition(b"\n")
        self._out(line + b"\n")

    def _heard(self) -> bytes | None:
        """More of standard input, waited for; None at its end."""
        while (piece := self.say()) == b"":
            time.sleep(0.01)
            self.meter.check()
        return piece

    def do_fill(self, count: str) -> None:
        left = int(count)
        while left:
            size = min(left, _CHUNK)
            self._out(b"x" * size)
            left -= size

    def do_write(self, rest: str) -> None:
        name, _, text = rest.partition(":")
        path = self.fake.spec.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def do_put(self, rest: str) -> None:
        name, _, text = rest.partition(":")
        (self.fake.spec.exchange / name).write_text(text)

    def do_variable(self, name: str) -> None:
        self.do_print(self.variables.get(name, ""))

    def do_sleep(self, seconds: str) -> None:
        until = time.monotonic() + float(seconds)
        while time.monotonic() < until:
            time.sleep(0.01)
            self.meter.check()


class FakeKind(SandboxKind):
    name = "fake"

    @contextmanager
    def open(self, spec: SandboxSpec) -> Iterator[FakeSandbox]:
        exchange = str(spec.exchange)
        sandbox = FakeSandbox(spec, Places(workspace=str(spec.workspace), exchange=exchange, home=exchange))
        try:
            yield sandbox
        finally:
            sandbox.dead = True

    def resolve(self, image: str, say: Callable[[str], None]) -> str:
        say(f"no image is needed to pretend that {image or 'one'} is there")
        return f"fake:{image}"

    def build(self, wanted: Build, say: Callable[[str], None], log: Callable[[str], None]) -> str:
        say(f"pretending to build {wanted.name}")
        log(f"Step 1/1 : {wanted.key}")
        return f"built:{wanted.key}"


PLUGINS = (FakeKind,)
