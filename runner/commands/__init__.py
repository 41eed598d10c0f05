"""One file per verb of the command line. What all of them are given stands here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that stand before the verb."""

    root: Path  # where to look for the repository
    config: Path | None = None
    state_dir: Path | None = None
    quiet: bool = False
