"""What passes through the doors to outside programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What git talks to. `variables` carry the credential as git configuration; the URL never does."""

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

    cause: Literal["exited", "timeout", "idle", "output", "memory", "cancelled"]
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

Say = Callable[[], bytes | None]
"""Asked again and again while a program runs, whenever it has taken what was said before: what is said to it
now. Empty: nothing at the moment. None: nothing any more, and its standard input ends."""
