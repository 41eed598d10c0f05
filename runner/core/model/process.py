"""Records that the clients of outside programs take and return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A git remote. `variables` hold the credential as git configuration; the URL never does."""

    url: str
    variables: Mapping[str, str] = field(default_factory=dict)


Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Paths as a program inside the sandbox sees them."""

    workspace: str
    exchange: str
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a command ended."""

    cause: Literal["exited", "timeout", "idle", "output", "memory", "disk", "cancelled"]
    code: int | None  # None when it was stopped; negative: died by that signal
    duration: float
    output_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Limits on one command. None: no limit."""

    timeout: float | None = None
    idle: float | None = None
    output: int | None = None


OnOutput = Callable[[Stream, bytes], None]

NextInput = Callable[[], bytes | None]
"""Returns the next bytes for a program's standard input; called when the program has read everything before.
Empty: nothing at the moment. None: the input ends."""
