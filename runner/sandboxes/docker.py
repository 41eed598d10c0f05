"""A container per run: not root, no capabilities, a read-only root, limits, no network but the gateway."""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.doors import docker
from runner.doors.pump import CapReachedError, Meter, Sink, half_close, pump
from runner.errors import RunnerError
from runner.model import Caps, Exit, OnOutput, Phase, Places, Reason
from runner.sandboxes import SandboxSpec, exchange

USER = (os.getuid(), os.getgid()) if os.getuid() else (1000, 1000)
OWNER: tuple[int, int] | None = None if os.getuid() else USER
"""To whom the workspace must belong; None: it does already."""

TOOLS = "/opt/skillrunner/bin"
"""The folder, on the PATH inside, for programs of this machine."""

PLACES = Places(workspace="/workspace", exchange="/skillrunner", home="/skillrunner/home")
_PATH = f"{TOOLS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TMP = "rw,exec,nosuid,nodev,size=1g,mode=1777"
_KILLED = 137  # the shell's code for SIGKILL, by which the kernel ends what is out of memory

resolve = docker.resolve


@contextmanager
def open(spec: SandboxSpec) -> Iterator["Container"]:  # noqa: A001 - the name that every sandbox module has
    """A running container, removed at the end with its network, whatever happened."""
    _make_home(spec.exchange)
    network = _internal_network(spec) if spec.gateway else None
    container = None
    try:
        with docker.speaking(f"start a container from {spec.image}"):
            container = docker.client().create_container(**_creation(spec, network))["Id"]
            docker.client().start(container)
        yield Container(spec, container, network)
    finally:
        with docker.speaking("remove the container"):
            if container is not None:
                docker.remove(container)
            if network is not None:
                docker.remove_network(network.id)


@dataclass(frozen=True, slots=True)
class Network:
    """An internal network: no route out of it, one address of the host on it."""

    id: str
    host: str


def _make_home(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    if OWNER is not None:
        os.chown(folder, *OWNER)
        os.chown(home, *OWNER)


def _internal_network(spec: SandboxSpec) -> Network:
    with docker.speaking("make a network"):
        made = docker.client().create_network(
            f"skillrunner-{spec.run_id}-{spec.attempt}-{spec.purpose}",
            driver="bridge",
            internal=True,
            labels=_labels(spec),
        )
        described = docker.client().inspect_network(made["Id"])
        return Network(id=made["Id"], host=described["IPAM"]["Config"][0]["Gateway"])


def _labels(spec: SandboxSpec) -> dict[str, str]:
    return {
        docker.RUN_LABEL: spec.run_id,
        "skillrunner.attempt": str(spec.attempt),
        "skillrunner.worker": spec.worker,
        "skillrunner.purpose": spec.purpose,
    }


def _creation(spec: SandboxSpec, network: Network | None) -> dict[str, Any]:
    return {
        "image": spec.image,
        # Idle, and not for ever: should the runner be gone, the container ends by itself.
        "command": ["sleep", str(int(spec.lifetime))],
        "entrypoint": "",
        "user": f"{USER[0]}:{USER[1]}",
        "working_dir": PLACES.workspace,
        "labels": _labels(spec),
        "host_config": _host_config(spec, network),
    }


def _host_config(spec: SandboxSpec, network: Network | None) -> Any:
    final = network.id if network is not None else "none"
    return docker.client().create_host_config(
        auto_remove=True,
        binds=_binds(spec),
        cap_drop=["ALL"],
        cpu_period=100_000,
        cpu_quota=int(spec.resources.cpus * 100_000),
        init=True,
        ipc_mode="private",
        mem_limit=spec.resources.memory,
        memswap_limit=spec.resources.memory,
        network_mode="bridge" if spec.setup_network else final,
        pids_limit=spec.resources.pids,
        read_only=True,
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": _TMP, "/run": "rw,nosuid,nodev,size=16m,mode=1777"},  # noqa: S108 - the container's own
    )


def _binds(spec: SandboxSpec) -> list[str]:
    return [
        f"{spec.workspace}:{PLACES.workspace}:rw",
        f"{spec.exchange}:{PLACES.exchange}:rw",
        *(f"{mount.source}:{mount.target}:ro" for mount in spec.mounts),
    ]


@dataclass(slots=True)
class Container:
    spec: SandboxSpec
    id: str
    network: Network | None
    places: Places = PLACES
    dead: bool = False

    def exec(
        self,
        argv: tuple[str, ...],
        *,
        on_output: OnOutput,
        stdin: bytes = b"",
        variables: Mapping[str, str] | None = None,
        caps: Caps | None = None,
    ) -> Exit:
        if self.dead:
            raise RunnerError(Phase.SANDBOX, Reason.ENGINE_FAILED, "the container is gone")
        meter = Meter(caps or Caps())
        running = self._begin(argv, bool(stdin), variables or {})
        try:
            with docker.speaking(f"run {argv[0]} in the container"):
                self._follow(running, stdin, meter, on_output)
                return self._end(running, meter)
        except CapReachedError as reached:
            self._kill()
            return Exit(cause=reached.cause, code=None, duration=meter.duration, output_bytes=meter.received)
        except BaseException:
            self._kill()
            raise

    def _begin(self, argv: tuple[str, ...], has_input: bool, variables: Mapping[str, str]) -> str:
        # Values are given to the command alone: what is given to the container can be read by inspecting it.
        environment = {"PATH": _PATH, "HOME": PLACES.home, "LANG": "C.UTF-8", "TMPDIR": "/tmp"}  # noqa: S108
        with docker.speaking(f"run {argv[0]} in the container"):
            made = docker.client().exec_create(
                self.id,
                list(argv),
                stdin=has_input,
                environment={**environment, **self.spec.variables, **variables},
                workdir=PLACES.workspace,
            )
        return str(made["Id"])

    def _follow(self, running: str, stdin: bytes, meter: Meter, on_output: OnOutput) -> None:
        attached: Any = docker.client().exec_start(running, socket=True)
        sock: Any = getattr(attached, "_sock", attached)
        try:
            frames = docker.Frames(sock.fileno())
            sink = Sink(sock.fileno(), memoryview(stdin), lambda: half_close(sock)) if stdin else None
            pump((frames,), sink, meter, on_output, _Ended(running))
        finally:
            attached._response.close()  # the SDK holds the connection three times over
            attached.close()
            sock.close()

    def _end(self, running: str, meter: Meter) -> Exit:
        while (state := docker.client().exec_inspect(running))["Running"]:
            meter.check()
            time.sleep(0.05)
        code = state["ExitCode"]
        memory = code == _KILLED and self._kernel_killed()
        return Exit(
            cause="memory" if memory else "exited",
            code=None if memory else code,
            duration=meter.duration,
            output_bytes=meter.received,
        )

    def _kernel_killed(self) -> bool:
        """Whether the kernel ended something for want of memory: it counts that in the container's own group.

        The engine tells it of the container's first process only. The files are those of cgroup v2 and v1.
        """
        look = ["cat", "/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"]
        asked = docker.client().exec_create(self.id, look, stderr=False)
        said = docker.client().exec_start(asked["Id"])
        counts = re.findall(rb"^oom_kill (\d+)$", said, re.MULTILINE)
        return any(int(count) for count in counts)

    def _kill(self) -> None:
        self.dead = True
        with docker.speaking("kill the container"):
            docker.remove(self.id)

    def put(self, name: str, data: bytes, mode: int = 0o644) -> str:
        exchange.put(self.spec.exchange, name, data, mode, OWNER)
        return f"{PLACES.exchange}/{name}"

    def get(self, name: str, limit: int) -> bytes | None:
        return exchange.get(self.spec.exchange, name, limit)

    def seal(self) -> None:
        if not self.spec.setup_network:
            return
        with docker.speaking("cut the container's network"):
            docker.client().disconnect_container_from_network(self.id, "bridge")
            if self.network is not None:
                docker.client().connect_container_to_network(self.id, self.network.id)

    def gateway_host(self) -> str:
        if self.network is None:
            raise RunnerError(
                Phase.SANDBOX, Reason.ENGINE_FAILED, "this sandbox was opened without a gateway"
            )
        return self.network.host


class _Ended:
    """Whether a command has ended, asked rarely: each question is a call to the engine."""

    def __init__(self, running: str, every: float = 0.5) -> None:
        self._running = running
        self._every = every
        self._next = time.monotonic() + every

    def __call__(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + self._every
        return not docker.client().exec_inspect(self._running)["Running"]


def sweep(alive: Callable[[str], bool]) -> list[str]:
    """Remove what crashed runs left behind; return their ids."""
    return docker.sweep(alive)
