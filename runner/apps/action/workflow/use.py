"""How a workflow uses the action: choices that are stored in the comment at the head of its file."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from runner.core.errors import RunnerError
from runner.core.model import Limits, Phase, Reason
from runner.core.payload import parse_json

FILE = ".github/workflows/skillrunner.yml"
FIND_ACTION = (
    "git ls-remote https://github.com/OWNER/skillrunner 'refs/tags/v*' prints each release's commit (^{});\n"
    "then skillrunner workflow sync --action 'OWNER/skillrunner@COMMIT # TAG'"
)

_ACTION = re.compile(r"\./|[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}( # [\w.+-]+)?", re.ASCII)
_HEAD = "# Written by `skillrunner workflow sync`. Do not edit it: change the skills, and run that again.\n"
_CHOICES = "# choices: "
_KEPT = {
    "action": (str,),
    "app": (bool,),
    "config": (str, type(None)),
    "plugins": (str,),
    "runs_on": (str,),
    "sandbox": (str, type(None)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How the workflow uses the action. Raises RunnerError INVALID_INPUT where `action` is not pinned."""

    action: str  # "OWNER/skillrunner@<40 hex> # v0.3.0", or "./" in the repository that holds the action
    config: str | None = None  # the configuration file, where it is not skillrunner.yaml
    sandbox: str | None = None
    app: bool = False  # publish as a GitHub App
    plugins: str = ""  # packages to install besides, one a line
    runs_on: str = "ubuntu-latest"
    limits: Limits = Limits()  # of skills that state none
    other_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)  # secrets, by kind of harness
    signed: bool = False  # whether its jobs get the key that signs hidden marks
    identities: frozenset[str] = frozenset()  # secrets that are identity tokens of the platform

    def __post_init__(self) -> None:
        if _ACTION.fullmatch(self.action) is None:
            message = (
                f"{self.action!r} names no action by its commit: OWNER/skillrunner@ and 40 hex digits, or ./"
            )
            raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint=FIND_ACTION)


def header_comment(use: Use) -> str:
    """The comment at the head of the file."""
    kept = {name: value for name, value in asdict(use).items() if name in _KEPT}
    if not use.plugins:
        del kept["plugins"]
    return f"{_HEAD}{_CHOICES}{json.dumps(kept, sort_keys=True)}\n"


def choices(text: str) -> dict[str, Any]:
    """The choices in the head comment of `text`, by the fields of `Use`. Raises RunnerError without one."""
    second = next(iter(text.splitlines()[1:2]), "")
    if not second.startswith(_CHOICES):
        message = f"{FILE}:2: is no `{_CHOICES.strip()}`: `skillrunner workflow sync` did not write this file"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="move it away, or delete it")
    kept = _read(second.removeprefix(_CHOICES))
    if kept is None:
        message = f"{FILE}:2: `{_CHOICES.strip()}` holds what this version does not write (value: {second!r})"
        raise RunnerError(Phase.LOAD, Reason.INVALID_INPUT, message, hint="delete the file, and sync again")
    return kept


def _read(text: str) -> dict[str, Any] | None:
    try:
        kept = parse_json(text)
    except ValueError:
        return None
    if not isinstance(kept, dict) or {"plugins", *kept} != _KEPT.keys():
        return None
    return kept if all(isinstance(value, _KEPT[name]) for name, value in kept.items()) else None
