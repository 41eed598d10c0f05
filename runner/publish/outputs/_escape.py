"""An agent's words for a pull request, so that they say something and do nothing.

On a forge text acts: `@name` calls people, `fixes #1` closes issues, an image reports who looked, HTML hides.
"""

import re

from runner.core.redact import escape_invisible

_ZERO = "\u200b"  # between a sign and a name: looks the same, links nothing
_MENTION = re.compile(r"(?<![\w`/])@(?=[A-Za-z0-9])")
_CLOSING = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?\s+)(?=(?:[\w.-]+/[\w.-]+)?#\d|https?://)", re.IGNORECASE
)
_REFERENCE = re.compile(r"(?<!&)(#|\bGH-)(?=\d)")
_IMAGE = re.compile(r"!\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])?")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(\s*<?([^)\s>]*)>?[^)]*\)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:.*$", re.MULTILINE)
_FENCE = re.compile(r"`{3,}|~{3,}")
_CUT = "\n\n*(cut)*"


def neutralise(text: str, limit: int) -> str:
    """`text` as Markdown that calls nobody, closes nothing and loads nothing; at most `limit` characters."""
    text = escape_invisible(text).strip()
    text = text if len(text) <= limit else text[: limit - len(_CUT)].rstrip() + _CUT
    text = text.replace("<", "&lt;").replace(">", "&gt;")
    text = _DEFINITION.sub("", text)
    text = _IMAGE.sub(lambda found: f"(image: {found[1] or 'untitled'})", text)
    text = _LINK.sub(_linked, text)
    text = _CLOSING.sub(lambda found: f"{found[1]}{_ZERO}{found[2]}", text)
    text = _REFERENCE.sub(lambda found: f"{found[1]}{_ZERO}", text)
    return _closed(_MENTION.sub(f"@{_ZERO}", text))


def one_line(text: str, limit: int) -> str:
    """`text` as a title: one line, neutralised."""
    line = " ".join(neutralise(text, 10 * limit).replace("&lt;", "<").replace("&gt;", ">").split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def fence(text: str) -> str:
    """`text` as a code block that it cannot end, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{escape_invisible(text)}\n{fence}"


def _linked(found: re.Match[str]) -> str:
    if found[2].startswith("https://"):
        return found[0]
    return f"{found[1]} (`{found[2]}`)" if found[2] else found[1]


def _closed(text: str) -> str:
    """A code block that is left open would swallow what stands below it."""
    marks = _FENCE.findall(text)
    return f"{text}\n{marks[-1]}" if len(marks) % 2 else text
