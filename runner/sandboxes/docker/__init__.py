"""A container per run: not root, no capabilities, a read-only root, limits, and no network at all."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from runner.clients.docker import build as building
from runner.clients.docker import engine, images
from runner.clients.stdio import CapReachedError, InputSink, LimitMeter, half_close, pump, single_chunk
from runner.core.errors import RunnerError
from runner.core.model import Caps, DoctorLine, Exit, NextInput, OnOutput, Phase, Places, Reason, Stream
from runner.sandboxes import Alive, Build, SandboxKind, SandboxSpec, exchange
from runner.sandboxes.docker import options
from runner.sandboxes.docker.disk import DiskWatch, watch_disk
from runner.sandboxes.docker.listener import open_listener
from runner.sandboxes.docker.options import PLACES, USER

_OWNER = None if os.getuid() else USER

_MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_NOT_STARTED = b"OCI runtime exec failed"  # how the engine's own words about a program begin
_KILLED = 137  # the shell's code for SIGKILL, by which the kernel ends what is out of memory


def _remove(container: str | None) -> None:
    if container is not None:
        with engine.engine_errors("remove the container"):
            engine.remove(container)


def _make_home(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    if _OWNER is not None:
        os.chown(folder, *_OWNER)
        os.chown(home, *_OWNER)


def _arguments(spec: SandboxSpec) -> dict[str, Any]:
    names = engine.nameservers() if spec.setup_network else options.NO_NAMES
    host = engine.client().create_host_config(**options.host_options(spec, names))
    return options.options(spec) | {"host_config": host}


@dataclass(slots=True)
class Container:
    spec: SandboxSpec
    id: str
    open_socket: socket.socket | None
    disk: DiskWatch
    image_variables: tuple[str, ...] = ()  # NAME=VALUE
    places: Places = PLACES
    dead: bool = False
    sealed: bool = False
    held: bool = False  # all that runs in it stands still

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
            raise RunnerError(Phase.SANDBOX, Reason.ENGINE_FAILED, "the container is gone")
        meter = LimitMeter(caps or Caps(), self._obey, self.spec.clock)
        heard = _Beginning(on_output)
        running = self._begin(argv, bool(stdin), variables or {})
        try:
            with engine.engine_errors(f"run {argv[0]} in the container"):
                self._follow(running, stdin, meter, heard)
                ended = self._end(running, meter)
        except CapReachedError as reached:
            self._kill()
            return Exit(
                cause=reached.cause, code=None, duration=meter.duration, output_bytes=meter.output_bytes
            )
        except BaseException:
            with suppress(RunnerError):  # what went wrong first is what people need to hear
                self._kill()
            raise
        if complaint := heard.complaint(ended):
            raise self._gone() if engine.wait_for_end(self.id, 1) else _not_runnable(argv[0], complaint)
        return ended

    def _begin(self, argv: tuple[str, ...], has_input: bool, variables: Mapping[str, str]) -> str:
        # Values are given to the command alone: what is given to the container can be read by inspecting it.
        given = {**self.spec.variables, **variables}
        with engine.engine_errors(f"run {argv[0]} in the container"), self._present():
            made = engine.client().exec_create(
                self.id,
                list(argv),
                stdin=has_input,
                environment=options.variables(self.image_variables, given),
                workdir=PLACES.workspace,
            )
        return str(made["Id"])

    def _follow(self, running: str, stdin: bytes | NextInput, meter: LimitMeter, on_output: OnOutput) -> None:
        with self._present():
            attached: Any = engine.client().exec_start(running, socket=True)
        sock: Any = getattr(attached, "_sock", attached)
        try:
            frames = engine.Frames(sock.fileno())
            say = single_chunk(stdin) if isinstance(stdin, bytes) else stdin
            sink = InputSink(sock.fileno(), say, lambda: half_close(sock)) if stdin else None
            pump((frames,), sink, meter, on_output, _Ended(self, running))
        finally:
            attached._response.close()  # the SDK holds the connection three times over
            attached.close()
            sock.close()

    def _end(self, running: str, meter: LimitMeter) -> Exit:
        while not _has_ended(state := self.state(running)):
            meter.check()
            time.sleep(0.05)
        self._hold(False)
        code = state["ExitCode"]
        memory = code == _KILLED and self._kernel_killed()
        return Exit(
            cause="memory" if memory else "exited",
            code=None if memory else code,
            duration=meter.duration,
            output_bytes=meter.output_bytes,
        )

    def _obey(self) -> None:
        self.spec.stop()
        if self.disk.is_over:
            raise CapReachedError("disk")
        self._hold(self.spec.clock.is_paused)

    def _hold(self, wanted: bool) -> None:
        if wanted != self.held:
            with engine.engine_errors("hold the container, or let it go on"), self._present():
                engine.client().pause(self.id) if wanted else engine.client().unpause(self.id)
            self.held = wanted

    def state(self, running: str) -> dict[str, Any]:
        """What the engine says of a command."""
        with self._present():
            return dict(engine.client().exec_inspect(running))

    @contextmanager
    def _present(self) -> Iterator[None]:
        """The engine's complaint that there is no such container, in words that help."""
        from docker.errors import APIError

        try:
            yield
        except APIError as error:
            # While it removes a container the engine calls that an error of its own, with status 500.
            if error.status_code not in (404, 409) and "is not running" not in str(error):
                raise
            raise self._gone() from error

    def _gone(self) -> RunnerError:
        return RunnerError(
            Phase.SANDBOX,
            Reason.ENGINE_FAILED,
            "the container ended by itself: it lives from the image's `sh` and `sleep`, "
            f"and for about {self.spec.lifetime:.0f} s",
            hint=f"docker run --rm --entrypoint sh {self.spec.image} -c 'sleep 1'",
            retryable=True,
        )

    def _kernel_killed(self) -> bool:
        """Whether the kernel ended something for want of memory: it counts that in the container's own group.

        The engine tells it of the container's first process only. The files are those of cgroup v2 and v1.
        """
        said = bytearray()
        asked = self._begin(("cat", *_MEMORY_EVENTS), False, {})
        self._follow(asked, b"", LimitMeter(Caps(timeout=10)), lambda _, data: said.extend(data))
        counts = re.findall(rb"^oom_kill (\d+)$", said, re.MULTILINE)
        if not counts and engine.wait_for_end(self.id, 1):
            raise self._gone()
        return any(int(count) for count in counts)

    def _kill(self) -> None:
        self.dead = True
        with suppress(RunnerError):
            self._hold(False)
        with engine.engine_errors("kill the container"):
            engine.remove(self.id)

    def put(self, name: str, data: bytes, mode: int = 0o644) -> str:
        exchange.put(self.spec.exchange, name, data, mode, _OWNER)
        return f"{PLACES.exchange}/{name}"

    def get(self, name: str, limit: int) -> bytes | None:
        return exchange.get(self.spec.exchange, name, limit)

    def seal(self) -> None:
        if self.sealed or not self.spec.setup_network:
            return
        self.sealed = True
        with engine.engine_errors("cut the container's network"):
            engine.client().disconnect_container_from_network(self.id, "bridge")

    def listener(self) -> socket.socket:
        if self.open_socket is None:
            raise RunnerError(
                Phase.SANDBOX, Reason.ENGINE_FAILED, "this sandbox was opened without a gateway"
            )
        return self.open_socket.dup()


class _Beginning:
    """Hands output on, and keeps how it began: there the engine says that it could not start a program."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self._said = b""

    def __call__(self, stream: Stream, data: bytes) -> None:
        if len(self._said) < len(_NOT_STARTED):
            self._said += data[:300]
        self._on_output(stream, data)

    def complaint(self, ended: Exit) -> bytes:
        """What the engine said of a program that it could not start; empty: it did."""
        failed = ended.code in (126, 127) and self._said.startswith(_NOT_STARTED)
        return self._said.strip() if failed else b""


def _not_runnable(program: str, complaint: bytes) -> RunnerError:
    return RunnerError(
        Phase.HARNESS,
        Reason.HARNESS_MISSING,
        f"{program} cannot be run in the image: {complaint.decode(errors='replace')}",
        hint="install it in the image, or name another program in the skill's `harness`",
    )


class _Ended:
    """Whether a command has ended, asked rarely: each question is a call to the engine."""

    def __init__(self, container: Container, running: str, every: float = 0.5) -> None:
        self._container = container
        self._running = running
        self._every = every
        self._next = time.monotonic() + every

    def __call__(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + self._every
        return _has_ended(self._container.state(self._running))


def _has_ended(state: Mapping[str, Any]) -> bool:
    """Whether a command is over: one that was not started yet does not run either, and has no code."""
    return not state["Running"] and state["ExitCode"] is not None


class DockerKind(SandboxKind):
    name = "docker"
    owner = _OWNER
    tools = options.TOOLS

    @contextmanager
    def open(self, spec: SandboxSpec) -> Iterator[Container]:
        """A running container, removed at the end, whatever happened."""
        _make_home(spec.exchange)
        container = None
        try:
            with engine.engine_errors(f"start a container from {spec.image}"):
                container = engine.client().create_container(**_arguments(spec))["Id"]
                engine.client().start(container)
                described = engine.client().inspect_container(container)
            # Before anything else runs inside: nothing can then put something of its own in its place.
            folders, limit = (spec.workspace, spec.exchange), spec.resources.disk
            with (
                open_listener(spec, container) if spec.gateway else nullcontext() as opened,
                watch_disk(folders, limit, partial(engine.process_ids, container)) as disk,
            ):
                yield Container(spec, container, opened, disk, tuple(described["Config"]["Env"] or ()))
        except BaseException:
            with suppress(RunnerError):  # what went wrong first is what people need to hear
                _remove(container)
            raise
        _remove(container)

    def resolve(self, image: str, say: Callable[[str], None]) -> str:
        return images.resolve(image, say)

    def build(self, wanted: Build, say: Callable[[str], None], log: Callable[[str], None]) -> str:
        return building.build(wanted, say, log)

    def sweep(self, alive: Alive) -> list[str]:
        return engine.remove_dead_containers(lambda labels: alive(options.origin(labels)))

    def prune(self) -> list[str]:
        return building.prune()

    def doctor(self, image: str) -> Iterator[DoctorLine]:
        version = engine.client().version()["Version"]
        yield DoctorLine(ok=True, subject="docker", message=f"engine {version} answers")
        if not image:
            message = "no default image: every skill has to name one"
            yield DoctorLine(
                ok=True, subject="image", message=message, hint="write `image:` in skillrunner.yaml"
            )
        elif images.is_present(image):
            yield DoctorLine(ok=True, subject="image", message=f"{image} is there")
        else:
            message = f"{image} is not there yet: the first run pulls it"
            yield DoctorLine(ok=True, subject="image", message=message, hint=f"docker pull {image}")


PLUGINS = (DockerKind,)
