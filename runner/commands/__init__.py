"""One file per verb of the command line. What all of them are given stands here."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.wire import Here


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that stand before the verb."""

    root: Path  # where to look for the repository
    config: Path | None = None
    state_dir: Path | None = None
    quiet: bool = False


def here(options: Options, **flags: str | None) -> "Here":
    """The repository and the configuration that the options name; `flags` are configuration keys."""
    from runner import wire

    state_dir = str(options.state_dir.absolute()) if options.state_dir else None
    return wire.here(options.root, options.config, {**flags, "state_dir": state_dir})
