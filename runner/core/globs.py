"""Path globs as skill files write them: `*` and `?` stay inside one folder, `**` crosses folders.

A glob is a regular expression where that is quick. One with many wildcards could keep a regular expression
busy for minutes, so such a glob is stepped through in time that grows with the lengths of path and pattern.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

_TOKEN = re.compile(r"(?:\*\*/)+|\*{2,}|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)
_REGEX = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_QUICK = 2  # wildcards of any length that a regular expression is trusted with

Match = Callable[[str], bool]


def fold(path: str) -> str:
    """The path as file systems compare it for which neither case nor Unicode form counts."""
    return unicodedata.normalize("NFC", path).casefold()


def matches(path: str, patterns: Iterable[str], *, ignore_case: bool = False) -> bool:
    """Whether any pattern matches the whole path; a pattern that ends in `/` matches all below it."""
    return any(_matcher(pattern, ignore_case)(path) for pattern in patterns)


@lru_cache(maxsize=4096)
def _matcher(pattern: str, ignore_case: bool) -> Match:
    whole = pattern + "**" if pattern.endswith("/") else pattern
    tokens = [_token(token) for token in _TOKEN.findall(whole)]
    if sum(token in ("**/", "**", "*") for token in tokens) > _QUICK:
        return _Steps(tokens, ignore_case).match
    body = "".join(_expression(token) for token in tokens)
    compiled = re.compile(body, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
    return lambda path: compiled.fullmatch(path) is not None


def _token(text: str) -> str:
    """Several wildcards in a row mean what one of them means."""
    if text.startswith("**/"):
        return "**/"
    return "**" if text.startswith("**") else text


def _expression(token: str) -> str:
    if token in _REGEX:
        return _REGEX[token]
    if len(token) > 1 and token.startswith("["):
        inner = token[1:-1].replace("\\", "\\\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(token)


class _Steps:
    """A glob as an automaton: the states it can be in are the bits of a number, moved on by each character.

    A token that matches one character is a state that leads to the next one. A wildcard is a state that also
    leads to itself. `**/` is three: one that may skip it, one that stays on any character, and one for `/`.
    """

    def __init__(self, tokens: Iterable[str], ignore_case: bool) -> None:
        self._flags = re.IGNORECASE if ignore_case else 0
        self._one: list[re.Pattern[str] | None] = []  # by state: the character that leads on
        self._any = self._inside = self._skip = self._free = 0  # bits of states
        for token in tokens:
            self._add(token)
        self._end = 1 << len(self._one)
        self._moves: dict[str, int] = {}

    def _add(self, piece: str) -> None:
        bit = 1 << len(self._one)
        if piece == "**/":
            self._skip |= bit
            self._any |= bit << 1
            self._free |= bit | bit << 1
            self._one += [None, None, re.compile("/")]
        elif piece in ("**", "*"):
            self._any |= bit if piece == "**" else 0
            self._inside |= bit if piece == "*" else 0
            self._free |= bit
            self._one.append(None)
        else:
            self._one.append(re.compile(_expression(piece), re.DOTALL | self._flags))

    def match(self, path: str) -> bool:
        states = self._closed(1)
        for character in path:
            stay = self._any | (self._inside if character != "/" else 0)
            states = self._closed((states & stay) | (states & self._leading_on(character)) << 1)
        return bool(states & self._end)

    def _closed(self, states: int) -> int:
        """With the states that are reached without a character."""
        while (more := states | (states & self._free) << 1 | (states & self._skip) << 3) != states:
            states = more
        return states

    def _leading_on(self, character: str) -> int:
        if character not in self._moves:
            bits = (1 << at for at, one in enumerate(self._one) if one and one.fullmatch(character))
            self._moves[character] = sum(bits)
        return self._moves[character]
