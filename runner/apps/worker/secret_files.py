"""Secrets that lie in files: where NAME_FILE names one, its content stands in for the variable NAME.

That is how containers and systemd hand secrets over, so that no environment that others can read holds them.
Only the variables that the configuration names, and the keys of models, are looked for.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason

if TYPE_CHECKING:
    from runner.config.settings import Config


class Variables:
    """The secrets of NAME_FILE variables in this process's environment, which change with their files."""

    def __init__(self) -> None:
        self._set: set[str] = set()

    def replace(self, read: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Set what `read` finds in the environment as it was at the start. Raises RunnerError of `read`."""
        given = {name: value for name, value in os.environ.items() if name not in self._set}
        found = read(given)
        for gone in self._set - set(found):
            os.environ.pop(gone, None)
        os.environ.update(found)
        self._set = set(found)


def from_files(config: "Config", environ: Mapping[str, str]) -> dict[str, str]:
    """The variables whose values lie in files, and these values.

    Raises RunnerError INVALID_CONFIG where both NAME and NAME_FILE are set, or the file holds nothing.
    """
    if not any(name.endswith("_FILE") and name != "SSL_CERT_FILE" for name in environ):
        return {}  # and nobody is asked which keys the harnesses know
    given = sorted(name for name in set(_wanted(config)) if environ.get(f"{name}_FILE"))
    for name in given:
        if environ.get(name):
            raise _invalid(f"{name} and {name}_FILE are both set", f"unset one of {name} and {name}_FILE")
    return {name: _content(name, Path(environ[f"{name}_FILE"])) for name in given}


def _wanted(config: "Config") -> Iterator[str]:
    from runner.harnesses import HARNESSES
    from runner.publish.forges import FORGES
    from runner.publish.signing import KEY_VARIABLE

    worker = config.worker
    yield from filter(None, (kind.token_variable(config) for kind in FORGES.all().values()))
    yield KEY_VARIABLE
    yield from ("PGPASSWORD", worker.database) if worker.database else ()
    yield from (name for names in worker.secret_names().values() for name in names)
    yield from (name for names in worker.secrets.values() for name in names)
    if worker.app and worker.app.private_key_env:
        yield worker.app.private_key_env
    for harness in HARNESSES.all().values():
        ways = (harness.model, *harness.models.values())
        yield from (one.key_variable for one in ways if one is not None)
        yield from config.other_keys(harness.name)


def _content(name: str, file: Path) -> str:
    try:
        value = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is no text"
        raise _invalid(f"{name}_FILE: {file} cannot be read: {cause}", f"ls -l {file}") from error
    if not value:
        raise _invalid(f"{name}_FILE: {file} is empty", f"write the value of {name} into it")
    return value


def _invalid(message: str, hint: str) -> RunnerError:
    return RunnerError(Phase.LOAD, Reason.INVALID_CONFIG, message, hint=hint)
