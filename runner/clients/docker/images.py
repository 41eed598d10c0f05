"""Resolves names of images to digests, and pulls missing images."""

import re
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from runner.clients.docker import engine as docker
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from docker import APIClient

PULL_TIMEOUT = 15 * 60.0  # seconds that the pull of an image may take; no limit of the skill counts it
_SILENCE = 120.0  # seconds without output of a pull
_PASSES = re.compile(
    r"toomanyrequests|takes longer|timed? ?out|connection re|unavailable|\b(429|50[0234])\b"
    r"|no such host|server misbehaving|name resolution|lookup \S+ on |not resolve|unreachable"
    r"|no route to host|deadline exceeded|TLS handshake|unexpected EOF|: EOF\b",
    re.IGNORECASE,
)
"""Matches errors of registries, name servers and engines that may be gone at the next try."""


def resolve(image: str, say: Callable[[str], None], anonymous: bool = False) -> str:
    """The digest of an image, which is pulled first when the engine does not have it.

    `anonymous`: its registry gets none of this machine's credentials.
    Raises RunnerError IMAGE_NOT_FOUND naming image, cause and the next command.
    """
    if not image:
        raise _no_image(
            image, "the skill names none, and none is configured", "write `image:` in skillrunner.yaml"
        )
    found = _inspect(image)
    if found is None:
        _pull(image, say, anonymous)
        found = _inspect(image)
    if found is None:
        raise _no_image(image, "it was pulled and is still not there", f"docker pull {image}")
    if "@" in image:
        return pinned(image, image.rpartition("@")[2])
    digests = [str(digest) for digest in found.get("RepoDigests") or ()]
    own = [digest for digest in digests if digest.startswith(f"{_name_and_tag(image)[0]}@")]
    return [*own, *digests, str(found["Id"])][0]


def pinned(image: str, digest: str) -> str:
    """The reference to one content of an image, whatever its tag says meanwhile."""
    return f"{_name_and_tag(image.partition('@')[0])[0]}@{digest}"


def is_temporary(cause: str) -> bool:
    """Whether an error of a registry, in its or the engine's words, may be gone at the next try."""
    return _PASSES.search(cause) is not None


def registry(image: str) -> str:
    """The registry that an image comes from, as `docker login` names it."""
    from docker.auth import resolve_index_name, split_repo_name

    return str(resolve_index_name(split_repo_name(image)[0]))


def triggers(image: str) -> str:
    """What an image that is there does in each Dockerfile that begins with it: its ONBUILD instructions."""
    found = _inspect(image) or {}
    return "\n".join(map(str, (found.get("Config") or {}).get("OnBuild") or ()))


def is_present(image: str) -> bool:
    """Whether the engine has the image already."""
    return _inspect(image) is not None


def _inspect(image: str) -> dict[str, Any] | None:
    from docker.errors import ImageNotFound

    with docker.engine_errors(f"look for the image {image}"):
        try:
            return dict(docker.client().inspect_image(image))  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None


def _pulling() -> "APIClient":
    """A connection for one pull: the shared one would wait for ever for a silent engine."""
    from docker import APIClient

    class Impatient(APIClient):
        answer: Any = None

        def post(self, url: Any, data: Any = None, json: Any = None, **options: Any) -> Any:
            self.answer = super().post(url, data, json, **{**options, "timeout": _SILENCE})
            return self.answer

        def close(self) -> None:
            if self.answer is not None:
                self.answer.close()
            super().close()

    return Impatient(**docker.address(), version="auto")


def _pull(image: str, say: Callable[[str], None], anonymous: bool) -> None:
    import requests
    import urllib3
    from docker.errors import APIError

    say(f"pulling {image}")
    name, tag = _name_and_tag(image)
    seen: set[str] = set()
    failure, until = "", time.monotonic() + PULL_TIMEOUT
    try:
        with closing(_pulling()) as engine:
            lines = engine.pull(
                name, tag=tag, stream=True, decode=True, auth_config={} if anonymous else None
            )
            for line in lines:
                failure = failure or str(line.get("error", ""))  # read on: it frees the connection
                status = str(line.get("status", ""))
                if status and "id" not in line and status not in seen:
                    seen.add(status)
                    say(status)
                if time.monotonic() > until:
                    failure = f"its pull takes longer than {PULL_TIMEOUT:.0f} s"
                    break
    except (APIError, requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _no_image(image, docker.error_text(error), f"docker pull {image}") from error
    if failure:
        raise _no_image(image, failure, f"docker pull {image}")


def _name_and_tag(image: str) -> tuple[str, str | None]:
    if "@" in image:
        return image, None
    name, colon, tag = image.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (image, "latest")


def _no_image(image: str, cause: str, hint: str) -> RunnerError:
    return RunnerError(
        Phase.SANDBOX,
        Reason.IMAGE_NOT_FOUND,
        f"the image {image or '(none)'} cannot be had: {cause}",
        hint=hint,
        retryable=is_temporary(cause),
    )
