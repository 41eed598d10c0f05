"""Opens a socket that listens inside a container and is held outside.

A socket belongs to the network in which it was made, whoever holds it. So a container that has no network at
all gets one address that leads anywhere: a program inside opens a socket on the loopback device there, hands
it over through a Unix socket in the exchange folder, and ends before anything untrusted begins. Linux only.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.clients.docker import engine, images
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.sandboxes import SandboxSpec
from runner.sandboxes.docker import options

_NAME = "listener"
_WAITING = 128  # connections that nobody has taken up yet

# `_socket` is there also where an image has no more than the smallest Python.
_PROGRAM = f"""
import _socket as s, sys
inside = s.socket(s.AF_INET, s.SOCK_STREAM)
inside.bind(("127.0.0.1", 0))
inside.listen({_WAITING})
out = s.socket(s.AF_UNIX, s.SOCK_STREAM)
out.connect(sys.argv[1])
out.sendmsg([b"."], [(s.SOL_SOCKET, s.SCM_RIGHTS, inside.fileno().to_bytes(4, sys.byteorder))])
"""
_COMMAND = ("python3", "-I", "-S", "-c", _PROGRAM, f"{options.PLACES.exchange}/{_NAME}")


def open_listener(spec: SandboxSpec, container: str) -> socket.socket:
    """A socket that listens on a loopback address inside a running container.

    The container's own Python makes it, or that of `spec.helper`. Raises RunnerError when neither can.
    """
    with _outside(spec.exchange) as outside, engine.engine_errors("open a socket in the container"):
        said = engine.exec_output(container, _COMMAND)
        if (made := _taken(outside)) is not None:
            return made
        if spec.helper:
            images.resolve(spec.helper, lambda _: None)
            said += engine.output_of(*options.helper_options(spec, container, _COMMAND))
        if (made := _taken(outside)) is not None:
            return made
    raise RunnerError(
        Phase.SANDBOX,
        Reason.ENGINE_FAILED,
        f"no socket could be had from inside the container: {said.decode(errors='replace').strip()[-500:]}",
        hint="run on the Linux machine on which the Docker engine runs",
    )


@contextmanager
def _outside(exchange: Path) -> Iterator[socket.socket]:
    """Where the program inside hands over what it made. Such a path must be short, and ours may be long."""
    folder = os.open(exchange, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as outside:
            path = Path(f"/proc/self/fd/{folder}/{_NAME}")
            outside.bind(str(path))
            path.chmod(0o666)
            outside.listen(1)
            outside.setblocking(False)
            yield outside
    finally:
        os.unlink(_NAME, dir_fd=folder)
        os.close(folder)


def _taken(outside: socket.socket) -> socket.socket | None:
    """The socket that was passed out, if there is one."""
    try:
        connection, _ = outside.accept()
    except BlockingIOError:
        return None
    with connection:
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    if not descriptors:
        return None
    made = socket.socket(fileno=descriptors[0])
    listens = made.family is socket.AF_INET and made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listens:
        return made
    made.close()
    return None
