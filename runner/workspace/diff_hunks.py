"""The hunks of a change between two commits, by path."""

import os
import re
from collections.abc import Mapping

from runner.clients.git import Git
from runner.core.hunks import Hunk, parse_hunks

_FILE = re.compile(r"^diff --git ", re.MULTILINE)


def diff_hunks(git: Git, old: str, new: str, *, context: int = 3) -> Mapping[str, tuple[Hunk, ...]]:
    """By path: the hunks that turn `old` into `new`, each with so many unchanged lines around it.

    A path without hunks is binary, or has another mode alone. Names are read from the list that git prints
    before the patches, where it quotes none.
    """
    flags = ("-r", "-z", "--raw", "-p", "--no-renames", "--no-ext-diff", "--no-textconv", f"-U{context}")
    out = os.fsdecode(git.run("diff-tree", *flags, "--end-of-options", old, new).stdout)
    listing, _, patches = out.partition("\0\0")
    paths = listing.split("\0")[1::2]
    return dict(zip(paths, map(parse_hunks, _FILE.split(patches)[1:]), strict=True))
