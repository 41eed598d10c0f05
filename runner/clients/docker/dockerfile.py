"""What the engine fetches for a Dockerfile: with its own network, which is the host's. Pure.

The engine reads a Dockerfile in its own way, and that changes with its version: what is read here is rather
too much than too little. The format: https://docs.docker.com/reference/dockerfile/
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from runner.core.payload import parse_json

_SPACE = re.compile(r"[\t\v\f\r ]+")
_ADD = re.compile(r"(?:ONBUILD[\t\v\f\r ]+)*ADD[\t\v\f\r ]+(.*)", re.IGNORECASE | re.DOTALL)
_FROM = re.compile(r"FROM[\t\v\f\r ]+(.*)", re.IGNORECASE | re.DOTALL)
_ARG = re.compile(r"ARG[\t\v\f\r ]+(.*)", re.IGNORECASE | re.DOTALL)
_ESCAPE = re.compile(r"#[ \t]*escape[ \t]*=[ \t]*([\\`])", re.IGNORECASE)
_ESCAPES = "\\`"
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|git@", re.IGNORECASE)
_BEGINNINGS = ("http://", "https://", "git://", "ssh://", "ftp://", "git@")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^{}$]*))?\}|(\w+))")


def remote_sources(text: str) -> list[str]:
    """The sources of ADD that may be on another machine, in any reading of the text."""
    lines = _lines(text)
    found: dict[str, None] = {}
    for start in range(len(lines)):
        for escape in _ESCAPES:
            if added := _ADD.match(_joined(lines, start, escape)[0]):
                found |= dict.fromkeys(word for word in _sources(added[1]) if _may_be_remote(word))
    return list(found)


def base_images(text: str) -> list[str]:
    """The images that FROM names, but for earlier stages. Raises ValueError where a name cannot be told."""
    found: dict[str, None] = {}
    stages, arguments = {"scratch"}, dict[str, str]()
    for line in _instructions(text):
        if (given := _ARG.match(line)) and not found:
            arguments |= _defaults(given[1], arguments)
        if named := _FROM.match(line):
            words = [word for word in _SPACE.split(named[1].strip()) if not word.startswith("--")]
            image = _expanded(words[0] if words else "", arguments)
            if image.lower() not in stages:
                found[image] = None
            if len(words) == 3 and words[1].lower() == "as":  # IMAGE AS NAME
                stages.add(words[2].lower())
    return list(found)


def _lines(text: str) -> list[str]:
    """The lines that count: empty ones and comments may stand inside an instruction, and are left out."""
    lines = (line.strip() for line in text.removeprefix("\ufeff").split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _joined(lines: list[str], start: int, escape: str) -> tuple[str, int]:
    """The instruction that begins at a line, and how many lines it has."""
    whole = ""
    for count, line in enumerate(lines[start:], 1):
        if not line.endswith(escape):
            return whole + line, count
        whole += line.removesuffix(escape)
    return whole, len(lines) - start


def _instructions(text: str) -> Iterator[str]:
    said = _ESCAPE.match(text.removeprefix("\ufeff").lstrip())
    lines, at = _lines(text), 0
    while at < len(lines):
        whole, count = _joined(lines, at, said[1] if said else "\\")
        at += count
        yield whole


def _sources(rest: str) -> list[str]:
    rest = re.sub(r"^(--\S*\s+)*", "", rest.strip())
    words = _SPACE.split(rest)
    if rest.startswith("["):
        with suppress(ValueError):
            words = [str(word) for word in parse_json(rest)]
    return words[:-1] or words  # the last one is where they go


def _may_be_remote(word: str) -> bool:
    """Whether a source is on another machine, or a variable can make it so."""
    plain = re.sub(r"""["'\\`]""", "", word)
    known = plain.partition("$")[0].lower()
    return bool(_REMOTE.match(plain)) or ("$" in plain and any(one.startswith(known) for one in _BEGINNINGS))


def _defaults(rest: str, before: Mapping[str, str]) -> dict[str, str]:
    """The values that ARG gives to names; a name without one is empty."""
    pairs = (word.partition("=") for word in _SPACE.split(rest.strip()) if word)
    return {name: _expanded(value.strip("\"'"), before, empty=True) for name, _, value in pairs}


def _expanded(word: str, arguments: Mapping[str, str], empty: bool = False) -> str:
    def value(found: re.Match[str]) -> str:
        return arguments.get(found[1] or found[3], "") or found[2] or ""

    plain = _VARIABLE.sub(value, word).strip("\"'")
    if re.search(r"""[$"'\\`\s]""", plain) or not (plain or empty):
        raise ValueError(word)
    return plain
