"""The Docker engine, through its own SDK. Nothing else in the program calls it."""

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Stream
from runner.core.payload import parse_json

if TYPE_CHECKING:
    from docker import APIClient

RUN_LABEL = "skillrunner.run"
_DEFAULT_SOCKET = "unix:///var/run/docker.sock"  # the SDK's
_HEADER = 8  # bytes before each piece of a multiplexed stream: Docker Engine API, "Attach to a container"
_STREAMS: Mapping[int, Stream] = {1: "stdout", 2: "stderr"}
API_TIMEOUT = 120  # seconds for one call; streams have limits of their own


@cache
def client() -> "APIClient":
    """The shared connection to the engine. Raises RunnerError ENGINE_UNAVAILABLE when none answers."""
    return connect()


def connect() -> "APIClient":
    """A connection of one's own, to be closed. Raises RunnerError ENGINE_UNAVAILABLE when none answers."""
    from docker import APIClient
    from docker.errors import DockerException

    where = address()
    try:
        _check_socket(str(where.get("base_url") or _DEFAULT_SOCKET))
        return APIClient(**where, version="auto", timeout=API_TIMEOUT)
    except (DockerException, OSError) as error:
        raise RunnerError(
            Phase.SANDBOX,
            Reason.ENGINE_UNAVAILABLE,
            f"no Docker engine answers: {error_text(error)}",
            hint="start Docker (systemctl start docker), or use --sandbox process, which isolates nothing",
            retryable=True,
        ) from error


def _check_socket(url: str) -> None:
    """Raise OSError where nothing listens on a socket: the SDK would leave its own one open."""
    scheme, _, path = url.partition("://")
    if scheme in ("unix", "http+unix"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(API_TIMEOUT)
            try:
                probe.connect("/" + path.lstrip("/"))
            except OSError as error:
                raise OSError(f"{url}: {error.strerror or error}") from error


def address() -> dict[str, Any]:
    """Where the engine is: what DOCKER_HOST says, else the context that the `docker` command uses."""
    from docker.context import ContextAPI
    from docker.utils import kwargs_from_env

    found = dict(kwargs_from_env())
    if "base_url" not in found:
        current = ContextAPI.get_current_context()
        if current is not None and current.Host:
            found["base_url"] = current.Host
    if found.get("tls") or str(found.get("base_url")).startswith(("ssh:", "https:")):
        raise RunnerError(
            Phase.SANDBOX,
            Reason.UNSUPPORTED,
            f"the Docker engine at {found.get('base_url')} is on another machine and sees none of our files",
            hint="unset DOCKER_HOST, or use a context of this machine: docker context use default",
        )
    return found


def nameservers() -> list[str]:
    """Name servers that a container can ask itself, for as long as it has a network.

    Where the host's own one listens on a loopback address, an engine before 26.0 asks it on behalf of
    containers, even of those whose network is internal (CVE-2024-29018). Naming others prevents that.
    """
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        with suppress(OSError):
            found = re.findall(r"^nameserver[ \t]+(\S+)", Path(path).read_text(), re.MULTILINE)
            if usable := [address for address in found if not address.startswith(("127.", "::1"))]:
                return usable
    return ["8.8.8.8", "8.8.4.4"]  # as the engine itself does when it finds none


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn the engine's errors raised inside into RunnerError; `what` says what was asked of it."""
    import requests
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, requests.exceptions.RequestException) as error:
        message = error_text(error)
        full = "no space left on device" in message
        raise RunnerError(
            Phase.SANDBOX,
            Reason.DISK_FULL if full else Reason.ENGINE_FAILED,
            f"Docker could not {what}: {message}",
            hint="docker system df" if full else "look at `docker info`, then run it again",
            retryable=True,
        ) from error


def remove(container: str) -> None:
    """Kill and remove a container; one that is gone already is fine."""
    from docker.errors import APIError

    try:
        client().remove_container(container, v=True, force=True)
    except APIError as error:
        if error.status_code not in (404, 409):  # 409: its removal is under way
            raise


def wait_for_end(container: str, seconds: int) -> bool:
    """Whether a container has ended, or ends within `seconds`."""
    import requests
    from docker.errors import NotFound

    try:
        client().wait(container, timeout=seconds)
    except NotFound:
        return True
    except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
        return False
    return True


def exec_output(container: str, argv: Sequence[str]) -> bytes:
    """The output of a short command in a running container, also when it fails or cannot be run."""
    made = client().exec_create(container, list(argv))
    return bytes(client().exec_start(made["Id"]))


def process_ids(container: str) -> list[int]:
    """The numbers of a container's processes, as the host counts them. Raises RunnerError."""
    with engine_errors("list the container's processes"):
        found: Any = client().top(container, "-eo pid")
    return [int(row[0]) for row in found["Processes"] or ()]  # null: its last one has just ended


def output_of(options: Mapping[str, Any], host: Mapping[str, Any]) -> bytes:
    """The output of a container that is created for this and removed afterwards."""
    container = client().create_container(**options, host_config=client().create_host_config(**host))["Id"]
    try:
        client().start(container)
        client().wait(container)
        return bytes(client().logs(container))
    finally:
        remove(container)


def remove_dead_containers(alive: Callable[[Mapping[str, str]], bool]) -> list[str]:
    """Remove the containers of runs that are not alive, by their labels; return their runs' ids."""
    filters = {"label": [RUN_LABEL]}
    with engine_errors("list what earlier runs left"):
        swept = []
        for container in client().containers(all=True, filters=filters):
            if not alive(container["Labels"]):
                remove(container["Id"])
                swept.append(container["Labels"][RUN_LABEL])
        return sorted(set(swept))


class Frames:
    """Reads a multiplexed stream from an attached socket: pieces of standard output and error in turn."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._header = bytearray()
        self._stream: Stream = "stdout"
        self._left = 0  # bytes of the present piece that are still to come

    def fileno(self) -> int:
        return self._descriptor

    def decode(self, data: bytes) -> Iterable[tuple[Stream, bytes]]:
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                yield self._stream, piece
            else:
                taken = data[at : at + _HEADER - len(self._header)]
                at += len(taken)
                self._header += taken
                self._begin()

    def _begin(self) -> None:
        if len(self._header) == _HEADER:
            self._stream = _STREAMS.get(self._header[0], "stdout")
            self._left = int.from_bytes(self._header[4:8], "big")
            self._header.clear()


def error_text(error: Exception) -> str:
    """The engine's own message in an error of the SDK."""
    explanation = getattr(error, "explanation", None)
    if isinstance(explanation, bytes):
        explanation = explanation.decode(errors="replace")
    if explanation:
        try:
            return str(parse_json(explanation)["message"])
        except (ValueError, KeyError, TypeError):
            return str(explanation)
    return str(error)
