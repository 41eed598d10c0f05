"""Finds the new paths that `.gitignore` files ignore, without running git in the tree.

The plain `.gitignore` files are copied into an empty folder of ours, and git is asked about names there.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.clients.git import Git
from runner.core import safe_fs
from runner.core.model import Phase

_LIMIT = 1024**2  # bytes of one .gitignore


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The ignore rules of a tree. `scratch` is an empty folder, `repository` a private bare repository."""

    scratch: Path
    repository: Path

    def add_file(self, folder: str, descriptor: int) -> None:
        """Add the `.gitignore` of a folder. Neither git nor we follow a link here."""
        with suppress(OSError):
            rules = safe_fs.read_file(descriptor, ".gitignore", _LIMIT)
            here = self.scratch / folder
            here.mkdir(parents=True, exist_ok=True)
            (here / ".gitignore").write_bytes(rules)

    def ignored_paths(self, files: Iterable[str], folders: Iterable[str]) -> set[str]:
        """Those of the paths that are ignored. The rules of the folders above them must have been added."""
        asked = list(files)
        for folder in folders:
            (self.scratch / folder).mkdir(parents=True, exist_ok=True)
            asked.append(folder)
        if not asked:
            return set()
        flags = (f"--git-dir={self.repository}", f"--work-tree={self.scratch}")
        names = b"".join(b"./%s\0" % os.fsencode(path) for path in asked)  # "./:x" is a name, ":x" magic
        git = Git(self.scratch, {"GIT_LITERAL_PATHSPECS": "0"}, Phase.PROPOSAL)  # not known to check-ignore
        done = git.run(*flags, "check-ignore", "--no-index", "-z", "--stdin", stdin=names, ok=(0, 1))
        return {os.fsdecode(name.removeprefix(b"./")) for name in done.stdout.split(b"\0") if name}
