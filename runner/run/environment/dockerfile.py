"""The part of its context that a Dockerfile can read. Pure.

The format: https://docs.docker.com/reference/dockerfile/
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import takewhile

from runner.core.payload import parse_json

_UNKNOWN = re.compile(r"[$`\\]|<<")  # variables, other escapes, texts in the file: not read here
_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*://|^git@")
_GLOB = re.compile(r"[*?\[]")
_LINK = 0o120000


def context_paths(text: str, modes: Mapping[str, int]) -> frozenset[str]:
    """The paths among `modes` (path -> mode) that COPY and ADD can name: too many rather than too few."""
    sources = _sources(text)
    if sources is None:
        return frozenset(modes)
    found: set[str] = set()
    for source in sources:
        named = {path for path in modes if _is_below(path, source)}
        if (source and not named) or any(modes[path] == _LINK for path in named):
            return frozenset(modes)  # behind a link may be any other path
        found |= named
    return frozenset(found)


def _is_below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _sources(text: str) -> list[str] | None:
    """The files and folders that COPY and ADD name, "" for all of them; None: this cannot be determined."""
    if re.match(r"\s*#\s*escape\s*=", text):
        return None
    found: list[str] = []
    for word, rest in _instructions(text):
        if word == "ONBUILD" or (word == "RUN" and "--mount" in rest):
            return None
        if word in ("COPY", "ADD"):
            named = _named(rest)
            if named is None:
                return None
            found += named
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\[ \t]*\n", " ", "\n".join(lines)).split("\n"):
        word, _, rest = line.strip().partition(" ")
        yield word.upper(), rest.strip()


def _named(rest: str) -> list[str] | None:
    if _UNKNOWN.search(rest):
        return None
    try:
        words = shlex.split(rest) if "[" not in rest else _as_list(rest)
    except ValueError:
        return None
    if any(word.startswith("--from=") for word in words):
        return []
    plain = [word for word in words if not word.startswith("--")][:-1]
    return [_folder(word) for word in plain if not _REMOTE.match(word)]


def _as_list(rest: str) -> list[str]:
    flags, bracket, listed = rest.partition("[")
    return [*flags.split(), *map(str, parse_json(bracket + listed))]


def _folder(source: str) -> str:
    """The path before its first part that is a glob, with no dots in it."""
    parts = [part for part in source.split("/") if part not in ("", ".")]
    return "" if ".." in parts else "/".join(takewhile(lambda part: not _GLOB.search(part), parts))
