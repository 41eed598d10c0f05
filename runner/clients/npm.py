"""Fetches one package of the npm registry without npm, and checks its digest.

Source: npm docs, "package-lock.json" (`integrity`), and the registry's own API: `GET /<package>/<version>`.
"""

import base64
import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

_REGISTRY = "https://registry.npmjs.org"
_TIMEOUT = (10, 60)  # seconds to connect, and without a byte
_LARGEST = 1024**3  # bytes of a package, packed and unpacked
_PIECE = 1024**2


def registry_url() -> str:
    """The registry's URL: npm's own, or the one that npm's environment variable names."""
    return os.environ.get("NPM_CONFIG_REGISTRY") or _REGISTRY


def unpack(registry: str, name: str, version: str, sha512: str, folder: Path) -> None:
    """Put the files of a package into `folder`, which has to be empty; the archive is beside it meanwhile.

    `sha512` is what its digest has to be, in base64; empty: what the registry says. Install scripts are not
    run, and other packages are not fetched. Raises RunnerError.
    """
    what = f"{name} {version}"
    archive = folder.with_suffix(".tgz")
    try:
        with _speaking(registry, what):
            told = _described(registry, name, version)
            _fetch(told["tarball"], archive, sha512 or _sha512(told, what), what)
            _extract(archive, folder)
    finally:
        archive.unlink(missing_ok=True)


def _described(registry: str, name: str, version: str) -> Mapping[str, Any]:
    """(URL of the archive, its digest) from the registry's `dist` object."""
    import requests

    where = f"{registry.rstrip('/')}/{quote(name, safe='@')}/{quote(version)}"
    answer = requests.get(where, timeout=_TIMEOUT, headers={"Accept": "application/json"})
    if answer.status_code == 404:
        raise _error(
            f"{registry} has no {name} {version}", "correct the version under `harnesses`", again=False
        )
    answer.raise_for_status()
    dist = answer.json().get("dist")
    if not isinstance(dist, dict) or not isinstance(dist.get("tarball"), str):
        raise _error(f"{registry} does not say where {name} {version} is", f"open {where}")
    return dist


def _sha512(told: Mapping[str, Any], what: str) -> str:
    algorithm, _, digest = str(told.get("integrity", "")).partition("-")
    if algorithm != "sha512":
        raise _error(f"the registry gives no SHA-512 of {what}", "name another version", again=False)
    return digest


def _fetch(url: str, archive: Path, expected: str, what: str) -> None:
    import requests

    digest, size = hashlib.sha512(), 0
    with requests.get(url, timeout=_TIMEOUT, stream=True) as answer, archive.open("wb") as file:
        answer.raise_for_status()
        for piece in answer.iter_content(_PIECE):
            size += len(piece)
            if size > _LARGEST:
                raise _error(f"{what} has more than {_LARGEST:,} bytes", "name another version", again=False)
            digest.update(piece)
            file.write(piece)
    if base64.b64encode(digest.digest()).decode() != expected:
        hint = "try again; where the same is told, somebody between here and the registry changes packages"
        raise _error(f"what came for {what} is not what was published: its digest differs", hint)


def _extract(archive: Path, folder: Path) -> None:
    """Extract an archive without the one folder that each archive of npm has at its top."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, _below_top(packed), filter="data")


def _below_top(packed: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    size = 0
    for member in packed:
        size += member.size
        if size > _LARGEST:
            raise tarfile.TarError(f"more than {_LARGEST:,} bytes")
        _, _, path = member.name.partition("/")
        if path and (member.isfile() or member.isdir()):
            yield member.replace(name=path)


@contextmanager
def _speaking(registry: str, what: str) -> Iterator[None]:
    """Turn errors raised inside into RunnerError."""
    import requests

    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code
        message = f"{registry} answered {status} for {what}"
        raise _error(message, "look at the registry's state", again=status not in (401, 403)) from error
    except (requests.RequestException, ValueError) as error:
        message = f"{what} cannot be fetched from {registry}: {type(error).__name__}"
        raise _error(
            message, f"curl -I {registry}, or set NPM_CONFIG_REGISTRY to one that answers"
        ) from error
    except (tarfile.TarError, OSError) as error:
        raise _error(f"{what} cannot be unpacked: {error}", "is there room on the disk?") from error


def _error(message: str, hint: str, again: bool = True) -> RunnerError:
    return RunnerError(Phase.SANDBOX, Reason.HARNESS_MISSING, message, hint=hint, retryable=again)
