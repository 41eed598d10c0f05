"""A secret by its name: from the environment, a file, a command, the system's keyring or the platform.

No error here shows a value, nor what a program printed.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from runner.clients import oidc, process
from runner.config.settings import SecretSource
from runner.core.errors import RunnerError
from runner.core.model import Caps, Phase, Reason, Stream
from runner.core.paths import with_home

MAX_VALUE = 64 * 1024
"""The maximum length of a value in bytes."""

_TIMEOUT = 60.0  # seconds for a command, which may have to ask a server, or somebody for a PIN


class Secrets:
    """Reads the secrets of one run, each once, from their configured sources."""

    def __init__(self, sources: Mapping[str, SecretSource]) -> None:
        self._sources = sources
        self._known: dict[str, str] = {}

    def value(self, name: str, whose: str) -> str:
        """The value of a secret. Raises RunnerError SECRET_MISSING with a hint."""
        if name not in self._known:
            found = _looked_up(name, whose, self._sources.get(name) or SecretSource(env=name))
            if "\0" in found:
                raise _missing(name, whose, "it has a null byte in it", "store it as a text")
            self._known[name] = found
        return self._known[name]


def _looked_up(name: str, whose: str, source: SecretSource) -> str:
    if source.file:
        return _from_file(name, whose, with_home(source.file))
    if source.command:
        return _from_command(name, whose, tuple(source.command))
    if source.keyring:
        return _from_keyring(name, whose, source.keyring)
    if source.oidc:
        return _from_platform(name, whose, source.oidc)
    variable = source.env or name
    if not (found := os.environ.get(variable, "")):
        where = "" if variable == name else f" (as {variable})"
        message = f"{whose} needs {name}, and the environment does not hold it{where}"
        raise RunnerError(Phase.PLAN, Reason.SECRET_MISSING, message, hint=f"export {variable}=...")
    return found


def _from_file(name: str, whose: str, path: Path) -> str:
    if path.exists() and not path.is_file():
        raise _missing(name, whose, f"{path} is no file", f"ls -l {path}")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_VALUE + 1)
    except OSError as error:
        raise _missing(name, whose, f"{path} cannot be read: {error.strerror}", f"ls -l {path}") from None
    return _text(name, whose, str(path), content, f"ls -l {path}")


def _from_command(name: str, whose: str, argv: tuple[str, ...]) -> str:
    printed = bytearray()

    def take(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            printed.extend(data)

    caps, hint = Caps(timeout=_TIMEOUT, output=MAX_VALUE), "run the command by hand, as the same user"
    try:
        ended = process.run(argv, cwd=Path("/"), variables=os.environ, on_output=take, caps=caps)
    except RunnerError as error:
        raise _missing(name, whose, error.message, f"correct `secrets.{name}.command`") from None
    if ended.cause != "exited":
        over = f"took longer than {_TIMEOUT:.0f} s" if ended.cause == "timeout" else "printed too much"
        raise _missing(name, whose, f"{argv[0]} {over}", hint)
    if ended.code != 0:
        raise _missing(name, whose, f"{argv[0]} ended with code {ended.code}", hint)
    return _text(name, whose, argv[0], bytes(printed), hint)


def _from_keyring(name: str, whose: str, entry: str) -> str:
    service, _, user = entry.rpartition("/")
    try:
        keyring: Any = import_module("keyring")
    except ImportError:
        cause = "the package `keyring` is not installed"
        raise _missing(name, whose, cause, "pip install keyring, beside skillrunner") from None
    try:
        found = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - each of its backends has errors of its own
        cause = f"the keyring does not answer ({type(error).__name__})"
        raise _missing(name, whose, cause, "keyring diagnose") from None
    hint = f"keyring set {service} {user}"
    return _text(name, whose, f"{entry} in the keyring", (found or "").encode("utf-8", "replace"), hint)


def _from_platform(name: str, whose: str, audience: str) -> str:
    try:
        return oidc.identity_token(audience)
    except RunnerError as error:
        raise _missing(name, whose, error.message, error.hint) from None


def _text(name: str, whose: str, where: str, content: bytes, hint: str) -> str:
    """The decoded value, stripped of white space."""
    if len(content) > MAX_VALUE:
        raise _missing(name, whose, f"{where} has more than {MAX_VALUE:,} bytes", hint)
    try:
        found = content.decode().strip()
    except UnicodeDecodeError:
        raise _missing(name, whose, f"{where} holds no text", hint) from None
    if not found:
        raise _missing(name, whose, f"{where} holds nothing", hint)
    return found


def _missing(name: str, whose: str, cause: str, hint: str) -> RunnerError:
    return RunnerError(Phase.PLAN, Reason.SECRET_MISSING, f"{whose} needs {name}: {cause}", hint=hint)
