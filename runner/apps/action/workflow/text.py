"""Data -> YAML as people would write it: blocks, and quotes only where they are needed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"\$\{\{ [\w .()\[\]'-]+ \}\}|[A-Za-z_][\w .,;()\[\]'!=/*-]*", re.ASCII)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "off", "y", "n"})


class Verbatim(str):
    """A text that is written as it is: with a comment behind it."""

    __slots__ = ()


def emit(tree: Mapping[str, Any]) -> str:
    """The document."""
    return "".join(f"{line}\n" for line in _mapping(tree))


def _mapping(tree: Mapping[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield f"{_scalar(key)}:"
            yield from (f"  {line}" for line in _mapping(value))
        elif isinstance(value, list):
            yield f"{_scalar(key)}:"
            yield from (f"  {line}" for item in value for line in _item(item))
        else:
            yield f"{_scalar(key)}: {_scalar(value)}".rstrip()


def _item(item: object) -> Iterator[str]:
    lines = list(_mapping(item)) if isinstance(item, Mapping) and item else [_scalar(item)]
    yield f"- {lines[0]}".rstrip()
    yield from (f"  {line}" for line in lines[1:])


def _scalar(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (bool, int)):
        return str(value).lower()
    text = str(value)
    plain = isinstance(value, Verbatim) or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS)
    return text if plain and text == text.strip() else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(_character(char) for char in text) + '"'


def _character(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"
