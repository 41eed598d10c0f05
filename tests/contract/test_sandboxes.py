"""One contract for every sandbox. What a kind does on top of it stands at the end."""

import ipaddress
import os
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runner import plugins
from runner.doors import docker as engine_door
from runner.errors import RunnerError
from runner.model import Caps, Exit, Reason, Resources
from runner.sandboxes import Mount, Sandbox, SandboxSpec, fake

KINDS = ["process", "fake", pytest.param("docker", marks=pytest.mark.docker)]


class Rig:
    """A sandbox of one kind, and the same small programs in the language that it runs."""

    def __init__(self, module: ModuleType, image: str, folder: Path) -> None:
        self.module, self.image, self.folder = module, image, folder
        self.stack = ExitStack()
        self.out: list[tuple[str, bytes]] = []

    def spec(self, **fields: Any) -> SandboxSpec:
        workspace, exchange = self.folder / "workspace", self.folder / "exchange"
        for path in (workspace, exchange):
            path.mkdir(exist_ok=True)
            if self.module.OWNER:
                os.chown(path, *self.module.OWNER)
        return SandboxSpec(
            run_id=f"test-{os.getpid()}-{self.folder.name}",
            image=self.image,
            workspace=workspace,
            exchange=exchange,
            **fields,
        )

    def open(self, **fields: Any) -> Sandbox:
        return self.stack.enter_context(self.module.open(self.spec(**fields)))

    def run(self, sandbox: Sandbox, shell: str, script: tuple[str, ...] = (), **options: Any) -> Exit:
        """Run `shell` with sh, or `script` in the fake's language."""
        argv = script if self.module is fake else ("sh", "-c", shell)
        options.setdefault("on_output", lambda stream, data: self.out.append((stream, data)))
        return sandbox.exec(argv, **options)

    def printed(self, stream: str = "stdout") -> bytes:
        return b"".join(data for name, data in self.out if name == stream)


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    image = request.getfixturevalue("local_image") if request.param == "docker" else ""
    made = Rig(plugins.module("sandboxes", request.param), image, tmp_path)
    with made.stack:
        yield made


@pytest.fixture
def container(tmp_path: Path, local_image: str) -> Iterator[Rig]:
    made = Rig(plugins.module("sandboxes", "docker"), local_image, tmp_path)
    with made.stack:
        yield made


def test_streams_and_exit_code(rig: Rig) -> None:
    ended = rig.run(rig.open(), "echo out; echo err >&2; exit 3", ("print:out", "complain:err", "exit:3"))
    assert (ended.cause, ended.code) == ("exited", 3)
    assert (rig.printed(), rig.printed("stderr")) == (b"out\n", b"err\n")
    assert ended.output_bytes == 8


def test_standard_input_arrives_and_ends(rig: Rig) -> None:
    data = os.urandom(3 * 1024 * 1024)
    ended = rig.run(rig.open(), "cat", ("echo",), stdin=data)
    assert ended.code == 0
    assert rig.printed() == data


def test_without_input_a_reader_sees_the_end(rig: Rig) -> None:
    ended = rig.run(rig.open(), "cat; echo done", ("echo", "print:done"), caps=Caps(timeout=20))
    assert (ended.cause, rig.printed()) == ("exited", b"done\n")


def test_input_that_nobody_reads_does_no_harm(rig: Rig) -> None:
    ended = rig.run(rig.open(), "exit 0", ("exit:0",), stdin=b"x" * 5_000_000, caps=Caps(timeout=20))
    assert (ended.cause, ended.code) == ("exited", 0)


def test_several_commands_share_the_workspace(rig: Rig) -> None:
    sandbox = rig.open()
    rig.run(sandbox, "echo x > a", ("write:a:x",))
    assert (rig.folder / "workspace/a").read_text().strip() == "x"
    assert rig.run(sandbox, "test -f a", ("exit:0",)).code == 0


def test_variables(rig: Rig) -> None:
    sandbox = rig.open(variables={"ONE": "1"})
    script = ("variable:ONE", "variable:TWO")
    rig.run(sandbox, "echo $ONE; echo $TWO", script, variables={"TWO": "2"})
    assert rig.printed() == b"1\n2\n"


@pytest.mark.parametrize(
    ("caps", "cause"),
    [
        (Caps(timeout=0.5), "timeout"),
        (Caps(idle=0.5), "idle"),
        (Caps(output=100_000), "output"),
    ],
)
def test_a_cap_stops_everything(rig: Rig, caps: Caps, cause: str) -> None:
    sandbox = rig.open()
    endless = "cat /dev/zero" if cause == "output" else "trap '' TERM; (sleep 61 &) ; sleep 60"
    ended = rig.run(sandbox, endless, ("fill:1000000", "sleep:60"), caps=caps)
    assert (ended.cause, ended.code) == (cause, None)
    with pytest.raises(RunnerError):
        rig.run(sandbox, "true", ("exit:0",))


def test_a_failing_listener_stops_the_command(rig: Rig) -> None:
    def explode(stream: str, data: bytes) -> None:
        raise LookupError("no more")

    with pytest.raises(LookupError):
        rig.run(rig.open(), "echo x; sleep 60", ("print:x", "sleep:60"), on_output=explode)


def test_a_background_child_does_not_hold_up_the_end(rig: Rig) -> None:
    ended = rig.run(rig.open(), "sleep 60 & echo x", ("print:x",), caps=Caps(timeout=20))
    assert (ended.cause, ended.code) == ("exited", 0)


def test_memory_stays_flat_while_output_flows(rig: Rig) -> None:
    sandbox = rig.open()
    size = 50_000_000
    tracemalloc.start()
    try:
        ended = rig.run(sandbox, f"head -c {size} /dev/zero", (f"fill:{size}",), on_output=lambda *_: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ended.output_bytes == size
    assert peak < 5_000_000


def test_files_go_in_and_come_out(rig: Rig) -> None:
    sandbox = rig.open()
    path = sandbox.put("prompt.md", b"hello")
    assert path == f"{sandbox.places.exchange}/prompt.md"
    if rig.module is not fake:
        rig.run(sandbox, f"cat {path} > $HOME/../answer")
        assert sandbox.get("answer", 3) == b"hel"
    assert sandbox.get("prompt.md", 100) == b"hello"
    assert sandbox.get("nothing", 100) is None


@pytest.mark.parametrize(
    "trap",
    ["ln -s /etc/passwd trap", "mkfifo trap", "mkdir trap", "ln -s /dev/zero trap", "ln -s trap trap"],
)
def test_traps_in_the_exchange_folder_are_not_touched(rig: Rig, trap: str) -> None:
    sandbox = rig.open()
    subprocess.run(trap, shell=True, cwd=rig.folder / "exchange", check=True)
    assert sandbox.get("trap", 100) is None


@pytest.mark.parametrize("name", ["../x", "a/b", "", "..", "a\0b"])
def test_only_plain_names_are_exchanged(rig: Rig, name: str) -> None:
    sandbox = rig.open()
    with pytest.raises(ValueError, match="plain file name"):
        sandbox.get(name, 1)


def test_closing_twice_and_after_a_failure(rig: Rig) -> None:
    opened = rig.module.open(rig.spec())
    with pytest.raises(KeyError), opened as sandbox:
        raise KeyError
    with pytest.raises(RunnerError):
        rig.run(sandbox, "true", ("exit:0",))


def test_seal_can_be_called_in_any_sandbox(rig: Rig) -> None:
    sandbox = rig.open(setup_network=True)
    sandbox.seal()
    assert rig.run(sandbox, "true", ("exit:0",)).code == 0


# --- process ------------------------------------------------------------------------------------


def test_process_hands_on_nothing_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    rig = Rig(plugins.module("sandboxes", "process"), "", tmp_path)
    with rig.stack:
        rig.run(rig.open(), "env")
    names = {line.split("=")[0] for line in rig.printed().decode().splitlines()}
    assert names <= {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "SHLVL", "_", "OLDPWD"}


def test_process_says_that_it_isolates_nothing() -> None:
    said: list[str] = []
    assert plugins.module("sandboxes", "process").resolve("x", said.append) == ""
    assert "isolates NOTHING" in said[0]


def test_process_names_a_missing_program(tmp_path: Path) -> None:
    rig = Rig(plugins.module("sandboxes", "process"), "", tmp_path)
    with rig.stack, pytest.raises(RunnerError) as caught:
        rig.open().exec(("no-such-program",), on_output=lambda *_: None)
    assert caught.value.reason is Reason.HARNESS_MISSING


# --- docker -------------------------------------------------------------------------------------

pytestmark = pytest.mark.xdist_group("docker")


@pytest.mark.docker
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("id -u; id -g", b"1000\n1000\n" if os.getuid() == 0 else None),
        ("grep CapEff /proc/self/status", b"CapEff:\t0000000000000000\n"),
        ("grep NoNewPrivs /proc/self/status", b"NoNewPrivs:\t1\n"),
        ("touch /x 2>/dev/null || echo read-only", b"read-only\n"),
        ("test -e /var/run/docker.sock || echo none", b"none\n"),
        ("cat /proc/1/comm", b"docker-init\n"),
    ],
)
def test_container_is_locked_down(container: Rig, command: str, expected: bytes | None) -> None:
    container.run(container.open(), command)
    assert expected is None or container.printed() == expected


@pytest.mark.docker
def test_container_limits_processes(container: Rig) -> None:
    sandbox = container.open(resources=Resources(pids=40))
    ended = container.run(
        sandbox, "for n in $(seq 200); do sleep 5 & done; echo survived", caps=Caps(timeout=30)
    )
    assert b"fork" in container.printed("stderr") or ended.code != 0


@pytest.mark.docker
def test_container_out_of_memory_is_told_apart(container: Rig) -> None:
    sandbox = container.open(resources=Resources(memory=64 * 1024**2))
    ended = container.run(sandbox, "exec python3 -c 'x = bytearray(10**9)'", caps=Caps(timeout=60))
    assert ended.cause == "memory"


@pytest.mark.docker
def test_container_reaches_nothing_when_sealed(container: Rig) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        bridge = _bridge_address()
        connect = f"python3 -c 'import socket; socket.create_connection((\"{bridge}\", {port}), 3)'"
        sandbox = container.open(setup_network=True)
        assert container.run(sandbox, connect).code == 0
        sandbox.seal()
        assert container.run(sandbox, connect).code != 0


@pytest.mark.docker
def test_container_reaches_the_gateway_and_nothing_beyond_the_host(container: Rig) -> None:
    sandbox = container.open(gateway=True)
    host = sandbox.gateway_host()
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        connect = "python3 -c 'import socket,sys; socket.create_connection((sys.argv[1], {}), 3)' {}"
        assert container.run(sandbox, connect.format(port, host)).code == 0
    assert container.run(sandbox, connect.format(53, "8.8.8.8")).code != 0
    assert (
        container.run(sandbox, "python3 -c 'import socket; socket.gethostbyname(\"example.com\")'").code != 0
    )


def _bridge_address() -> str:
    """The host's address on the default bridge: the first of its subnet."""
    found = engine_door.client().inspect_network("bridge")
    return str(next(ipaddress.ip_network(found["IPAM"]["Config"][0]["Subnet"]).hosts()))


@pytest.mark.docker
def test_container_sees_mounts_read_only(container: Rig, tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/x").write_text("tool")
    sandbox = container.open(mounts=(Mount(source=tmp_path / "tool", target="/opt/tool"),))
    container.run(sandbox, "cat /opt/tool/x; touch /opt/tool/y 2>/dev/null || echo ' read-only'")
    assert container.printed() == b"tool read-only\n"


@pytest.mark.docker
def test_values_are_not_in_the_containers_description(container: Rig) -> None:
    sandbox: Any = container.open()
    container.run(sandbox, "echo $KEY", variables={"KEY": "value-of-a-secret"})
    assert container.printed() == b"value-of-a-secret\n"
    assert "value-of-a-secret" not in str(engine_door.client().inspect_container(sandbox.id))


@pytest.mark.docker
def test_a_missing_image_names_the_next_command(engine: None) -> None:
    with pytest.raises(RunnerError) as caught:
        engine_door.resolve("localhost:1/no/such-image:1", lambda _: None)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert "no/such-image:1" in caught.value.message
    assert caught.value.hint == "docker pull localhost:1/no/such-image:1"


@pytest.mark.docker
def test_an_image_is_known_by_its_digest(local_image: str) -> None:
    assert "sha256:" in engine_door.resolve(local_image, lambda _: None)


CRASH = """
import os, signal, sys
from pathlib import Path
from runner.sandboxes import SandboxSpec, docker
folder = Path(sys.argv[2])
spec = SandboxSpec(run_id="crashed", image=sys.argv[1], workspace=folder, exchange=folder, gateway=True)
with docker.open(spec):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.docker
def test_what_a_crashed_runner_left_is_swept(
    local_image: str, tmp_path: Path, container: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = container.open()
    subprocess.run([sys.executable, "-c", CRASH, local_image, str(tmp_path)], check=False)
    swept = engine_door.sweep(lambda run: run != "crashed")
    assert swept == ["crashed"]
    assert engine_door.sweep(lambda run: run != "crashed") == []
    assert container.run(alive, "true").code == 0


def test_no_engine_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    with pytest.raises(RunnerError) as caught:
        engine_door.client.__wrapped__()
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    assert "--sandbox process" in caught.value.hint
