"""The filters of several skills -> those of one workflow, which lets through what any of them asks for. Pure.

GitHub's "Workflow syntax for GitHub Actions" says what `on.<event>` can be filtered by.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

ALL = ("**",)
_GLOBS = ("branches", "tags")
_SAME = re.compile(r"[A-Za-z0-9_*.#@-][A-Za-z0-9_*.#@/-]*")
"""Globs that mean the same in GitHub's filter patterns, which read `?`, `+`, `[]` and `!` in another way."""


def union(filters: Sequence[Mapping[str, Sequence[str]]]) -> Mapping[str, list[str]] | None:
    """What lets through all that one of `filters` does, at least; None: everything.

    A filter that one skill does not have is none of the workflow's. Where no branch, or no tag, is let
    through, GitHub wants nothing said of them.
    """
    shared = [name for name in filters[0] if all(name in one for one in filters)]
    found = {name: _union(name, [one[name] for one in filters]) for name in shared}
    if all(found[name] == [*ALL] for name in shared if name in _GLOBS):
        found = {name: values for name, values in found.items() if name not in _GLOBS}
    return {name: values for name, values in found.items() if values} or None


def _union(name: str, several: Iterable[Sequence[str]]) -> list[str]:
    values = {_on_github(one) if name in _GLOBS else one for those in several for one in those}
    return [*ALL] if name in _GLOBS and "**" in values else sorted(values)


def _on_github(glob: str) -> str:
    whole = f"{glob}**" if glob.endswith("/") else glob
    return whole if _SAME.fullmatch(whole) else "**"
