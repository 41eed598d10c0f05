"""Images that the engine builds: with a time limit, and an end as soon as the run has to stop."""

import json
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Any

from runner.clients.docker import engine, images
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Resources

REPOSITORY = "skillrunner/built"
LABEL = "skillrunner.built"
UNUSED_AFTER = 14 * 24 * 3600.0  # seconds after which an unused image is removed
_GLANCE = 0.2  # seconds between two checks whether the run has to stop
_REGISTRY = re.compile(r'(Get|Head) "?https?://[^" ]+/v2/|failed to resolve source metadata')
"""Matches what an engine says when it cannot get a base image; what a `RUN` says ends otherwise."""
_KEPT = 20  # lines of output in a failure's message


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """An image to build, unless one with the same key exists."""

    key: str  # hexadecimal; equal keys are the same image
    name: str  # of the Dockerfile, for people
    dockerfile: str  # its path in the context
    write: Callable[[IO[bytes]], None]  # writes the context, a tar archive
    resources: Resources
    timeout: float  # seconds
    stop: Callable[[], None] = lambda: None  # raises when the run has to stop


def build(image: Build, say: Callable[[str], None], log: Callable[[str], None]) -> str:
    """The tag of the image. `log` gets the build's output, `say` its steps.

    Raises RunnerError IMAGE_BUILD_FAILED with the end of the output, WALL_CLOCK after the time limit.
    """
    tag = f"{REPOSITORY}:{image.key}"
    if _used(tag, image.key):
        say(f"the image of {image.name} is there already: {tag}")
        return tag
    with suppress(RunnerError):  # another time, then
        for old in prune():
            say(f"no run has used {old} for long: it is removed")
    say(f"building the image of {image.name}: {tag}")
    lines: list[str] = []
    with TemporaryFile() as context, engine.engine_errors(f"build {image.name}"):
        image.write(context)
        context.seek(0)
        for line in _Stream(image, tag, context).lines():
            log(line)
            lines = [*lines[1 - _KEPT :], line]
            if line.startswith("Step "):
                say(line)
    if not images.is_present(tag):
        raise _failed(image, "\n".join(lines))
    return tag


def prune(unused_for: float = UNUSED_AFTER) -> list[str]:
    """Remove built images that no run has used for so many seconds; return their tags.

    One that a container has stays, whatever its age. Raises RunnerError when no engine answers.
    """
    removed: list[str] = []
    with engine.engine_errors("look for images that nobody uses"):
        for image in engine.client().images(filters={"label": LABEL}):
            tags = [tag for tag in image.get("RepoTags") or () if tag.startswith(f"{REPOSITORY}:")]
            removed += [tag for tag in tags if _age(tag) > unused_for and _removed(tag)]
    return removed


def _used(tag: str, key: str) -> bool:
    """Whether the image exists. Tagging it again makes the engine remember when it was last used."""
    from docker.errors import NotFound

    with engine.engine_errors(f"look for the image {tag}"):
        try:
            engine.client().tag(tag, REPOSITORY, key)
        except NotFound:
            return False
    return True


def _age(tag: str) -> float:
    """Seconds since it was last tagged; 0 when the engine does not say, or the image is gone."""
    from docker.errors import NotFound

    with suppress(NotFound, ValueError):
        found: Any = engine.client().inspect_image(tag)  # type: ignore[no-untyped-call]
        named = str(found.get("Metadata", {}).get("LastTagTime", ""))
        if named and not named.startswith("0001-"):
            return time.time() - datetime.fromisoformat(named[:19] + "+00:00").timestamp()
    return 0.0


def _removed(tag: str) -> bool:
    from docker.errors import APIError

    try:
        engine.client().remove_image(tag)
    except APIError as error:
        if error.status_code not in (404, 409):  # 409: a container has it
            raise
        return False
    return True


def _failed(wanted: Build, output: str) -> RunnerError:
    message = f"the image of {wanted.name} could not be built\n{output}".rstrip()
    hint = f"docker build -f {wanted.name} ."
    last = output.rpartition("\n")[2]
    away = _REGISTRY.search(last) is not None and images.is_temporary(last)
    return RunnerError(Phase.SANDBOX, Reason.IMAGE_BUILD_FAILED, message, hint=hint, retryable=away)


class _Stream:
    """Reads the engine's build output in a thread, so that the engine cannot block us."""

    def __init__(self, wanted: Build, tag: str, context: IO[bytes]) -> None:
        self._wanted, self._tag, self._context = wanted, tag, context
        self._said: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        self._socket: socket.socket | None = None
        self._until = monotonic() + wanted.timeout

    def lines(self) -> Iterator[str]:
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        try:
            while (said := self._next()) is not None:
                text = str(said.get("stream") or said.get("error") or said.get("status") or "")
                yield from (line for line in text.splitlines() if line.strip() and "id" not in said)
        finally:
            # The engine ends a build whose client has gone.
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            reader.join(_GLANCE)

    def _next(self) -> dict[str, Any] | None:
        while True:
            self._wanted.stop()
            if monotonic() > self._until:
                took = f"took longer than {self._wanted.timeout:.0f} s to build"
                message = f"the image of {self._wanted.name} {took}"
                hint = "make it smaller, or raise `environment.build_timeout`"
                raise RunnerError(Phase.SANDBOX, Reason.WALL_CLOCK, message, hint=hint)
            with suppress(queue.Empty):
                said = self._said.get(timeout=_GLANCE)
                if isinstance(said, Exception):
                    raise said
                return said

    def _read(self) -> None:
        from docker.errors import DockerException
        from urllib3.exceptions import HTTPError

        api: Any = engine.connect()
        try:
            response = self._ask(api)
            found: Any = api._get_raw_response_socket(response)
            self._socket = getattr(found, "_sock", found)
            for said in api._stream_helper(response, decode=True):
                self._said.put(said)
            self._said.put(None)
        except HTTPError as error:  # the SDK lets these through where it reads a stream
            self._said.put(DockerException(str(error)))
        except Exception as error:  # noqa: BLE001 - a thread's edge: it is raised again where it is waited for
            self._said.put(error)
        finally:
            api.close()

    def _ask(self, api: Any) -> Any:
        """`APIClient.build`, but it returns the response, so that it can be closed."""
        resources = self._wanted.resources
        asked = {
            "t": self._tag,
            "dockerfile": self._wanted.dockerfile,
            "rm": True,
            "forcerm": True,
            "memory": resources.memory,
            "memswap": resources.memory,
            "cpuperiod": 100_000,
            "cpuquota": int(resources.cpus * 100_000),
            "labels": json.dumps({LABEL: self._wanted.key}),
        }
        headers = {"Content-Type": "application/tar"}
        api._set_auth_headers(headers)
        limit = (engine.API_TIMEOUT, self._wanted.timeout + engine.API_TIMEOUT)
        response = api._post(
            api._url("/build"), data=self._context, params=asked, headers=headers, stream=True, timeout=limit
        )
        api._raise_for_status(response)
        return response
