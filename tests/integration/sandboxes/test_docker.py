"""What a container can do, and what it cannot."""

import ipaddress
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.clients.docker import engine as door
from runner.core.errors import RunnerError
from runner.core.model import Caps, Reason, Resources
from runner.sandboxes import Mount
from runner.sandboxes.docker import _Ended
from tests.parts.rig import Rig, opened_rig

pytestmark = pytest.mark.docker
CONNECT = (
    "python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)' {} {}"
)


DATAGRAM = 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53))'


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("id -u; id -g", b"1000\n1000\n" if os.getuid() == 0 else f"{os.getuid()}\n{os.getgid()}\n".encode()),
        ("grep -c 'Cap[A-Z][a-z]*:\t0000000000000000' /proc/self/status", b"5\n"),
        ("grep NoNewPrivs /proc/self/status", b"NoNewPrivs:\t1\n"),
        ("touch /x /etc/x /usr/x 2>/dev/null || echo read-only", b"read-only\n"),
        ("echo 'echo runs' > /tmp/x && chmod +x /tmp/x && /tmp/x", b"runs\n"),
        ("touch $HOME/x $TMPDIR/x ./x && echo writable", b"writable\n"),
        ("ls /var/run/docker.sock /run/docker.sock 2>/dev/null; echo none", b"none\n"),
        ("cat /proc/1/comm", b"docker-init\n"),
        ("env | cut -d= -f1 | sort | xargs", b"HOME HOSTNAME LANG PATH PWD TMPDIR\n"),
    ],
)
def test_a_container_is_locked_down(container: Rig, command: str, expected: bytes) -> None:
    container.run(container.open(), command, caps=Caps(timeout=30))
    assert container.printed() == expected


CALL = "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True); number = ctypes.c_long"
SOCKET, IO_URING, UNSHARE, KEYCTL = {"x86_64": (41, 425, 272, 250), "aarch64": (198, 425, 97, 219)}.get(
    os.uname().machine, (198, 425, 97, 219)
)


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (SOCKET, (40, 1, 0)),  # AF_VSOCK: the hypervisor, and its other machines
        (SOCKET, (40 | 1 << 32, 1, 0)),  # the same for the kernel, which reads 32 bits of it
        (SOCKET, (38, 5, 0)),  # AF_ALG
        (SOCKET, (17, 3, 0)),  # AF_PACKET
        (SOCKET, (30, 1, 0)),  # AF_TIPC
        (IO_URING, (1, 0, 0)),
        (UNSHARE, (0x10000000, 0, 0)),
        (KEYCTL, (0, 0, 0)),
    ],
)
def test_the_kernel_refuses_what_leads_past_the_network(
    container: Rig, number: int, arguments: tuple[int, int, int]
) -> None:
    listed = ", ".join(f"number({one})" for one in (number, *arguments))
    program = f"{CALL}; print(libc.syscall({listed}), ctypes.get_errno())"
    container.run(container.open(), f"python3 -c '{program}'")
    assert container.printed() == b"-1 1\n"  # EPERM


def test_the_kernel_lets_programs_work(container: Rig) -> None:
    program = """
import asyncio, multiprocessing, socket, subprocess, threading
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
    socket.socket(family).close()
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
socket.socketpair()
threading.Thread(target=print, args=("thread",)).start()
asyncio.run(asyncio.sleep(0))
subprocess.run(["true"], check=True)
child = multiprocessing.Process(target=print, args=("process",))
child.start()
child.join()
"""
    sandbox = container.open()
    sandbox.put("program.py", program.encode())
    ended = container.run(sandbox, "python3 -u /skillrunner/program.py")
    assert (ended.code, container.printed("stderr")) == (0, b"")
    assert container.printed() == b"thread\nprocess\n"


def test_the_images_own_path_is_kept(container: Rig, local_image: str) -> None:
    """Images of golang, of rust and with a virtual environment have their programs elsewhere."""
    made = door.client().create_container(local_image, ["true"])["Id"]
    door.client().commit(
        made, "skillrunner/path", "test", changes="ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin"
    )
    try:
        container.image = "skillrunner/path:test"
        container.run(container.open(), "echo $PATH")
        assert container.printed() == b"/opt/skillrunner/bin:/opt/venv/bin:/usr/local/bin:/usr/bin\n"
    finally:
        container.stack.close()
        door.remove(made)
        door.client().remove_image("skillrunner/path:test", force=True)


def test_a_file_from_inside_cannot_take_the_owners_rights(container: Rig) -> None:
    """Root on the host meets what was written inside: it must be nobody's special file."""
    sandbox = container.open()
    container.run(sandbox, "mknod dev c 1 1; mount -t tmpfs x /tmp; chown 0 . ; echo tried")
    assert container.printed() == b"tried\n"
    assert list((container.folder / "workspace").iterdir()) == []


def test_processes_are_limited(container: Rig) -> None:
    sandbox = container.open(resources=Resources(pids=40))
    bomb = "for n in $(seq 200); do sleep 5 & done; echo survived"
    ended = container.run(sandbox, bomb, caps=Caps(timeout=30))
    assert b"fork" in container.printed("stderr") or ended.code != 0
    assert b"survived" not in container.printed()


def test_out_of_memory_is_told_apart(container: Rig) -> None:
    sandbox = container.open(resources=Resources(memory=64 * 1024**2))
    ended = container.run(sandbox, "exec python3 -c 'x = bytearray(10**9)'", caps=Caps(timeout=60))
    assert (ended.cause, ended.code) == ("memory", None)


def test_a_kill_that_was_not_for_memory_is_an_exit(container: Rig) -> None:
    ended = container.run(container.open(), "kill -KILL $$")
    assert (ended.cause, ended.code) == ("exited", 137)


def test_temporary_files_are_limited(container: Rig) -> None:
    sandbox = container.open()
    ended = container.run(sandbox, "head -c 1100000000 /dev/zero > /tmp/x", caps=Caps(timeout=60))
    assert ended.code != 0
    assert b"No space left" in container.printed("stderr")


def test_without_a_network_nothing_is_reached(container: Rig) -> None:
    sandbox = container.open()
    container.run(sandbox, "ls /sys/class/net")
    assert container.printed() == b"lo\n"


def test_the_network_of_set_up_is_cut(container: Rig) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        connect = CONNECT.format(_bridge_address(), server.getsockname()[1])
        sandbox = container.open(setup_network=True)
        assert container.run(sandbox, connect).code == 0
        sandbox.seal()
        assert container.run(sandbox, connect).code != 0
        container.out.clear()
        container.run(sandbox, "ls /sys/class/net")
        assert container.printed() == b"lo\n"


def test_a_connection_from_set_up_does_not_outlive_it(container: Rig) -> None:
    """A background child of a set-up command could keep a line open to somebody."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(10)
        sandbox = container.open(setup_network=True)
        talk = "import socket, sys, time\ns = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)\n"
        talk += "while True: s.send(b'x'); time.sleep(0.05)"
        where = f"{_bridge_address()} {server.getsockname()[1]}"
        container.run(sandbox, f'python3 -c "{talk}" {where} >/dev/null 2>&1 & sleep 0.5')
        line, _ = server.accept()
        with line:
            sandbox.seal()
            line.settimeout(0.5)
            with pytest.raises(TimeoutError):
                _read_on(line)


@pytest.mark.parametrize("setup", [False, True])
def test_sealed_only_the_listener_is_reached(container: Rig, setup: bool) -> None:
    sandbox = container.open(gateway=True, setup_network=setup)
    sandbox.seal()
    with sandbox.listener() as listener, socket.create_server(("0.0.0.0", 0)) as everywhere:
        listener.settimeout(10)
        ours = CONNECT.format(*listener.getsockname())
        assert container.run(sandbox, f"{ours} && echo reached").code == 0
        listener.accept()[0].close()
        port = everywhere.getsockname()[1]
        for address in ("127.0.0.1", _bridge_address(), *_own_addresses()):
            assert container.run(sandbox, CONNECT.format(address, port)).code != 0
    for address, port in (("8.8.8.8", 53), ("169.254.169.254", 80), ("fd00:ec2::254", 80), ("::1", 22)):
        assert container.run(sandbox, CONNECT.format(address, port)).code != 0
    assert container.run(sandbox, "python3 -c '" + DATAGRAM + "'").code != 0


def test_the_listener_is_there_where_the_image_has_no_python(container: Rig, local_image: str) -> None:
    """A helper makes it, from another image, next to the container."""
    sandbox = container.open(gateway=True, mounts=(_no_python(container),), helper=local_image)
    assert container.run(sandbox, "python3 -c ''").code in (126, 127)
    with sandbox.listener() as listener:
        listener.settimeout(10)
        host, port = listener.getsockname()
        container.run(sandbox, f"bash -c 'echo hello > /dev/tcp/{host}/{port}'")
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(6) == b"hello\n"


def test_no_listener_can_be_had(container: Rig) -> None:
    hidden = _no_python(container)
    container.stack.close()
    spec = container.spec(gateway=True, mounts=(hidden,), helper="localhost:1/none:1")
    with pytest.raises(RunnerError) as caught, container.kind.open(spec):
        pass
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND
    assert caught.value.hint == "docker pull localhost:1/none:1"
    assert door.client().containers(all=True, filters={"label": f"{door.RUN_LABEL}={spec.run_id}"}) == []


def test_something_else_is_handed_over(container: Rig) -> None:
    """A program of the image that is called python3 and is not what it should be."""
    hands = container.folder / "python3"
    hands.write_text("#!/bin/sh\necho no listener\n")
    hands.chmod(0o755)
    masked = Mount(source=hands, target=_no_python(container).target)
    spec = container.spec(gateway=True, mounts=(masked,), helper="")
    with pytest.raises(RunnerError) as caught, container.kind.open(spec):
        pass
    assert "the skill names none" not in caught.value.message
    assert "no listener" in caught.value.message


def _no_python(container: Rig) -> Mount:
    """Hides the image's Python."""
    container.run(container.open(), "readlink -f $(command -v python3)")
    found = container.printed().decode().strip()
    container.out.clear()
    nothing = container.folder / "nothing"
    nothing.touch()
    return Mount(source=nothing, target=found)


def _own_addresses() -> list[str]:
    """This machine's addresses, as its neighbours know them."""
    said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout
    return said.split()


def test_no_name_is_found_and_nobody_is_asked(container: Rig) -> None:
    """Otherwise a name that holds a secret would carry it out."""
    sandbox: Any = container.open(gateway=True)
    look_up = "python3 -c 'import socket; socket.gethostbyname(\"example.com\")'"
    assert container.run(sandbox, look_up).code != 0
    assert door.client().inspect_container(sandbox.id)["HostConfig"]["Dns"] == ["127.0.0.1"]


def test_a_run_has_no_neighbours(container: Rig) -> None:
    """No device but the loopback one, which no other run shares."""
    sandbox: Any = container.open(gateway=True)
    container.run(sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1 | xargs; tail -n +2 /proc/net/route")
    assert container.printed() == b"lo\n"
    assert list(door.client().inspect_container(sandbox.id)["NetworkSettings"]["Networks"]) == ["none"]


def test_a_sandbox_without_a_gateway_has_no_address_for_it(container: Rig) -> None:
    with pytest.raises(RunnerError):
        container.open().listener()


def _read_on(line: socket.socket) -> None:
    while line.recv(1000):
        pass


def _bridge_address() -> str:
    """The host's address on the default bridge: the first of its subnet."""
    found = door.client().inspect_network("bridge")
    return str(next(ipaddress.ip_network(found["IPAM"]["Config"][0]["Subnet"]).hosts()))


def test_mounts_are_read_only_and_may_have_any_name(container: Rig, tmp_path: Path) -> None:
    tool = tmp_path / "a:tool"
    tool.mkdir()
    (tool / "x").write_text("tool")
    sandbox = container.open(mounts=(Mount(source=tool, target="/opt/tool"),))
    container.run(sandbox, "cat /opt/tool/x; touch /opt/tool/y 2>/dev/null || echo ' read-only'")
    assert container.printed() == b"tool read-only\n"


def test_a_mount_that_is_missing_is_not_created(container: Rig, tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        container.open(mounts=(Mount(source=tmp_path / "nothing", target="/opt/tool"),))
    assert str(tmp_path / "nothing") in caught.value.message
    assert not (tmp_path / "nothing").exists()


def test_values_are_not_in_the_containers_description(container: Rig) -> None:
    sandbox: Any = container.open()
    container.run(sandbox, "echo $KEY", variables={"KEY": "value-of-a-secret"})
    assert container.printed() == b"value-of-a-secret\n"
    assert "value-of-a-secret" not in str(door.client().inspect_container(sandbox.id))


def test_a_command_that_was_not_started_yet_has_not_ended(container: Rig) -> None:
    """An engine with much to do takes its time between the two, and what is printed then is not lost."""
    sandbox: Any = container.open()
    running = door.client().exec_create(sandbox.id, ["sh", "-c", "exit 3"])["Id"]
    has_ended = _Ended(sandbox, running, every=0)
    assert not has_ended()
    door.client().exec_start(running)
    assert has_ended()


def test_a_container_ends_by_itself_when_its_time_is_over(container: Rig) -> None:
    """Nobody else would end it, were its runner killed."""
    sandbox = container.open(lifetime=1)
    with pytest.raises(RunnerError) as caught:
        container.run(sandbox, "sleep 30", caps=Caps(timeout=20))
    assert caught.value.reason is Reason.ENGINE_FAILED
    assert "ended by itself" in caught.value.message


def test_git_and_python_work_for_a_user_who_is_nobody(container: Rig) -> None:
    sandbox = container.open()
    script = """
    git init -q . && git config user.email a@b && git config user.name a && echo x > x && git add x
    git commit -q -m x && git log --format=%s
    python3 -c "import json, ssl, subprocess, urllib.request; print('imported')"
    """
    ended = container.run(sandbox, script)
    assert (ended.code, container.printed("stderr")) == (0, b"")
    assert container.printed() == b"x\nimported\n"


def test_nothing_is_left_behind(container: Rig) -> None:
    spec = container.spec(gateway=True)
    with pytest.raises(LookupError), container.kind.open(spec):
        raise LookupError
    wanted = {"label": [f"{door.RUN_LABEL}={spec.run_id}"]}
    assert door.client().containers(all=True, filters=wanted) == []


def test_an_image_without_any_program_is_said_plainly(engine: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    subprocess.run(["tar", "cf", "empty.tar", "file"], cwd=tmp_path, check=True)
    packed = (tmp_path / "empty.tar").read_bytes()
    door.client().import_image_from_data(packed, repository="skillrunner/empty", tag="test")
    try:
        with opened_rig("docker", "skillrunner/empty:test", tmp_path) as rig:
            with pytest.raises(RunnerError) as caught:
                rig.run(rig.open(), "true")
            assert "the image's `sh` and `sleep`" in caught.value.message
            assert caught.value.hint == "docker run --rm --entrypoint sh skillrunner/empty:test -c 'sleep 1'"
    finally:
        door.client().remove_image("skillrunner/empty:test", force=True)


QUOTA = Resources(disk=64 * 1024**2)
FILL = "for n in $(seq 20); do head -c 8000000 /dev/zero > $HOME/$n; done; sleep 30"
HIDE = f"mkdir hidden; cd hidden; {FILL}".replace("$HOME", ".").replace(
    "; sleep", "; chmod 0 ../hidden; sleep"
)
REMOVE = """exec python3 -c 'import os, time
for n in range(20): f = os.open(str(n), 66); os.unlink(str(n)); os.posix_fallocate(f, 0, 8000000)
time.sleep(30)'"""


EMPTY = """exec python3 -c 'import time
for n in range(12000): open(f"empty{n}", "w").close()
time.sleep(30)'"""


FOLDERS = EMPTY.replace('open(f"empty{n}", "w").close()', 'os.mkdir(f"d{n}")').replace(
    "import time", "import os, time"
)


@pytest.mark.parametrize("script", [FILL, FILL.replace("$HOME", "."), HIDE, REMOVE, EMPTY, FOLDERS])
def test_what_fills_the_disk_is_ended(container: Rig, script: str) -> None:
    ended = container.run(container.open(resources=QUOTA), script, caps=Caps(timeout=25))
    assert (ended.cause, ended.code) == ("disk", None)


def test_one_file_has_the_same_limit(container: Rig) -> None:
    """As the kernel says it, before anything is allocated."""
    script = 'exec python3 -c \'import os; os.pwrite(os.open("x", 66), b"x", 8 * 1024**3)\''
    ended = container.run(container.open(resources=QUOTA), script, caps=Caps(timeout=25))
    assert ended.code != 0
    assert b"File too large" in container.printed("stderr")
    assert (container.folder / "workspace/x").stat().st_blocks == 0


RESERVE = """exec python3 -c 'import ctypes, errno, fcntl, os, struct
libc, file = ctypes.CDLL(None, use_errno=True), os.open("x", 66)
def ended(call):
    try: return call()
    except OSError as error: return errno.errorcode[error.errno]
print(libc.fallocate(file, 0, ctypes.c_long(0), ctypes.c_long(8000000)), errno.errorcode[ctypes.get_errno()])
room = struct.pack("hhxxxxqqiI16x", 0, 0, 0, 8000000, 0, 0)
print(*(ended(lambda: fcntl.ioctl(file, call, room)) for call in (0x40305828, 0x4030582A, 0x40305839)))
print(os.stat("x").st_blocks, os.posix_fallocate(file, 0, 100000), os.stat("x").st_size)
import termios; print(ended(lambda: fcntl.ioctl(file, termios.FIOCLEX)))'"""


def test_no_room_on_the_disk_is_reserved_faster_than_it_is_written(container: Rig) -> None:
    """By no system call; the C library writes instead, where it is asked for."""
    assert container.run(container.open(resources=QUOTA), RESERVE, caps=Caps(timeout=25)).code == 0
    said = container.printed().decode().split("\n")
    assert said == ["-1 ENOTSUP", "EPERM EPERM EPERM", "0 None 100000", "0", ""]


def test_a_full_disk_within_the_limit_is_nobodys_business(container: Rig) -> None:
    script = "for n in 1 2 3 4; do head -c 8000000 /dev/zero > $n; done; ln 1 5; sleep 2; echo done"
    assert container.run(container.open(resources=QUOTA), script, caps=Caps(timeout=25)).code == 0
    assert container.printed() == b"done\n"
