"""Path globs as skill files write them: `*` and `?` stay inside one folder, `**` crosses folders."""

import re
from collections.abc import Iterable
from functools import lru_cache

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)
_REGEX = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@lru_cache(maxsize=1024)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    body = "".join(_translate(token) for token in _TOKEN.findall(pattern))
    return re.compile(body, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _translate(token: str) -> str:
    if token in _REGEX:
        return _REGEX[token]
    if len(token) > 1 and token.startswith("["):
        inner = token[1:-1].replace("\\", "\\\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(token)


def matches(path: str, patterns: Iterable[str], *, ignore_case: bool = False) -> bool:
    """Whether any pattern matches the whole path; a pattern that ends in `/` matches all below it."""
    return any(
        _compiled(pattern + "**" if pattern.endswith("/") else pattern, ignore_case).fullmatch(path)
        for pattern in patterns
    )
