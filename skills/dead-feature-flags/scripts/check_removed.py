#!/usr/bin/env python3
"""Checks that removed flags are gone for good: nothing asks for them, and all Python that changed compiles.

Compares the tree with the commit that it stands on. Prints every fault and exits with 1 when there is one.
"""

import subprocess
import sys
from collections.abc import Iterator

sys.dont_write_bytecode = True  # a cache beside the scripts would be part of the change

from find_flags import arguments, git, read, references, registry  # noqa: E402


def removed(path: str) -> list[str]:
    """The flags that the registry of the commit has, and the registry here has not."""
    try:
        before = registry(git("show", f"HEAD:{path}"), path)
    except (SyntaxError, ValueError):
        return []
    return sorted(set(before) - set(registry(read(path), path)))


def faults(path: str, calls: list[str]) -> Iterator[str]:
    try:
        gone = removed(path)
    except (OSError, SyntaxError, ValueError) as error:
        yield f"{path}: cannot be read any more: {error}"
        return
    where, unread = references(calls)
    for flag in gone:
        yield from (f"{place}: still asks for the removed flag {flag}" for place in where.get(flag, []))
    changed = set(git("diff", "--name-only", "-z", "HEAD").split("\0"))
    yield from (one for one in unread if one.split(":")[0] in changed)


def main() -> int:
    given = arguments(__doc__).parse_args()
    inside = subprocess.run(["git", "rev-parse"], capture_output=True)
    if inside.returncode:
        print("this is no git repository", file=sys.stderr)
        return 2
    found = sorted(set(faults(given.registry, given.calls.split(","))))
    print("\n".join(found) if found else "no faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
