"""Images that the engine builds: with a time limit, and an end as soon as the run has to stop."""

import base64
import json
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Any

from runner.clients.docker import dockerfile, engine, images
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Resources
from runner.core.payload import parse_json

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
    text: str  # what it says
    write: Callable[[IO[bytes]], None]  # writes the context, a tar archive
    resources: Resources
    timeout: float  # seconds
    registries: tuple[str, ...] = ()  # those that get this machine's credentials
    network: bool = True  # what RUN reaches; the engine itself fetches nothing but images
    stop: Callable[[], None] = lambda: None  # raises when the run has to stop


def build(image: Build, say: Callable[[str], None], log: Callable[[str], None]) -> str:
    """The tag of the image. `log` gets the build's output, `say` its steps.

    Raises RunnerError IMAGE_BUILD_FAILED with the end of the output, or for a Dockerfile that has the engine
    fetch something; WALL_CLOCK after the time limit.
    """
    _refuse_fetching(image.name, image.text)
    tag = f"{REPOSITORY}:{image.key}"
    if _used(tag, image.key):
        say(f"the image of {image.name} is there already: {tag}")
        return tag
    with suppress(RunnerError):  # another time, then
        for old in prune():
            say(f"no run has used {old} for long: it is removed")
    _get_bases(image, say)
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


def _refuse_fetching(name: str, text: str) -> None:
    """The engine has the host's network: ADD would read what listens on its loopback address, or metadata."""
    if found := dockerfile.remote_sources(text):
        raise RunnerError(
            Phase.SANDBOX,
            Reason.IMAGE_BUILD_FAILED,
            f"{name} has the engine fetch {found[0]}: ADD takes files of the repository only",
            hint="fetch it with RUN (curl, git), or commit it; no file's name begins with a variable there",
        )


def _get_bases(image: Build, say: Callable[[str], None]) -> None:
    """Pull the images that a build begins with, and look at what they do in it."""
    try:
        bases = dockerfile.base_images(image.text)
    except ValueError as error:
        message = f"{image.name} names an image that cannot be told before it is built: FROM {error}"
        hint = "write the image's name, or give its variables values with ARG before the first FROM"
        raise RunnerError(Phase.SANDBOX, Reason.IMAGE_BUILD_FAILED, message, hint=hint) from None
    for base in bases:
        known = images.registry(base) in image.registries
        with _advice(images.registry(base), known):
            images.resolve(base, say, anonymous=not known)
        _refuse_fetching(f"the image {base}, from which {image.name} begins,", images.triggers(base))


@contextmanager
def _advice(registry: str, known: bool) -> Iterator[None]:
    """Say which key would have sent credentials, where an image cannot be had without."""
    try:
        yield
    except RunnerError as error:
        if error.reason is Reason.IMAGE_NOT_FOUND and not known and not error.retryable:
            wanted = f"builds: {{registries: [{registry}]}}"
            error.hint = f"is it private? Whoever runs this may write in skillrunner.yaml: {wanted}"
        raise


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


def _credentials(api: Any, registries: Collection[str]) -> dict[str, str]:
    """The header with this machine's credentials for these registries, and for no others."""
    from docker import auth

    every: dict[str, str] = {}
    api._set_auth_headers(every)
    known = parse_json(base64.urlsafe_b64decode(every.get("X-Registry-Config", "e30=")))
    mine = {name: one for name, one in known.items() if auth.resolve_index_name(name) in registries}
    return {"X-Registry-Config": auth.encode_header(mine).decode()} if mine else {}


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
            "networkmode": "default" if self._wanted.network else "none",
            "labels": json.dumps({LABEL: self._wanted.key}),
        }
        headers = {"Content-Type": "application/tar", **_credentials(api, self._wanted.registries)}
        limit = (engine.API_TIMEOUT, self._wanted.timeout + engine.API_TIMEOUT)
        response = api._post(
            api._url("/build"), data=self._context, params=asked, headers=headers, stream=True, timeout=limit
        )
        api._raise_for_status(response)
        return response
