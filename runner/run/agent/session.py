"""An agent's own session: copied from the home in which its program left it into one archive.

The agent could write to that home. No link in it is followed, only plain files are copied, their number and
size have limits, and every secret in them is masked.
"""

import errno
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.core import safe_fs
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason
from runner.core.payload import parse_json
from runner.core.redact import Redactor
from runner.harnesses import Sessions

NAME = "session.tar"
MAX_BYTES = 64 * 1024**2
MAX_ENTRIES = 2_000  # files and folders
_HOME, _ABOUT = "home/", "session.json"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SessionError(Exception):
    """Why a session cannot be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSession:
    """A session that a harness can continue."""

    harness: str  # the kind
    id: str
    workspace: str  # the path at which the harness saw it
    files: Mapping[str, bytes]  # path below the home -> content


def is_session_id(text: str) -> bool:
    """Whether the text can be the id of a session: it becomes part of a command line."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", text) is not None


def collect_files(exchange: Path, sessions: Sessions, redactor: Redactor) -> dict[str, bytes]:
    """The files of the sessions in the home of an exchange folder, masked. Raises SessionError, OSError."""
    found: dict[str, bytes] = {}
    left = MAX_BYTES
    for path, folder, name in _plain_files(exchange, ("home", *sessions.folder.split("/"))):
        try:
            content = safe_fs.read_file(folder, name, left)
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise SessionError(f"it has more than {MAX_BYTES:,} bytes") from error
            continue  # it is no plain file any more, or cannot be read
        left -= len(content)
        if redactor.redact(path) != path:
            raise SessionError("the name of one of its files holds a secret")
        found[path] = redactor.feed(content) + redactor.end()
    return found


def _plain_files(exchange: Path, start: tuple[str, ...]) -> Iterator[tuple[str, int, str]]:
    """For each plain file its path below the home, the folder that it is in, and its name there."""
    top, waiting, seen = os.open(exchange, _FOLDER), [start], 0
    try:
        while waiting:
            parts = waiting.pop()
            try:
                here = safe_fs.open_folder(top, parts)
            except OSError:
                continue
            try:
                for entry in _entries(here):
                    seen += 1
                    if seen > MAX_ENTRIES:
                        raise SessionError(f"it has more than {MAX_ENTRIES:,} files and folders")
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((*parts, entry.name))
                    elif entry.is_file(follow_symlinks=False) and entry.name.isprintable():
                        yield "/".join((*parts[1:], entry.name)), here, entry.name
            finally:
                os.close(here)
    finally:
        os.close(top)


def _entries(folder: int) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        yield from entries


def write_session(path: Path, session: AgentSession) -> None:
    about = {"harness": session.harness, "session_id": session.id, "workspace": session.workspace}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, _ABOUT, json.dumps(about).encode())
        for name, content in sorted(session.files.items()):
            _add(archive, f"{_HOME}{name}", content)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def read_session(path: Path) -> AgentSession:
    """Read an archive. Raises RunnerError when `write_session` did not write it."""
    try:
        with tarfile.open(path, "r:") as archive:
            content = {member.name: _content(archive, member) for member in archive}
        about: Mapping[str, Any] = parse_json(content.pop(_ABOUT))
        files = {name.removeprefix(_HOME): data for name, data in content.items()}
        return AgentSession(
            harness=about["harness"], id=about["session_id"], workspace=about["workspace"], files=files
        )
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        message = f"the session in {path} cannot be read: {error}"
        hint = "start a new run: skillrunner run SKILL"
        raise RunnerError(Phase.STORE, Reason.INVALID_INPUT, message, hint=hint) from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isreg() else None
    if file is None or ".." in member.name.split("/"):
        raise ValueError(f"{member.name} has no place in it")
    return file.read()
