"""The commands in what people write on a forge: lines that begin with `/name`, or with a mention. Pure.

A text is parsed as CommonMark. Only what its writer says counts: no code, no quotation, no list, nothing that
is hidden in HTML.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the parser is loaded for texts that may hold a command
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MAY_HOLD = re.compile(r"^ {0,3}[/@][A-Za-z0-9]", re.MULTILINE)
_LINE = re.compile(
    r"(?:/(?P<name>[A-Za-z][A-Za-z0-9-]{0,38})|@(?P<mention>[A-Za-z0-9][A-Za-z0-9-]{0,38})[,:]?)(?=\s|$)"
)
_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9-]{0,38})(?=\s|$)")
_KEY = r"[A-Za-z_][\w-]{0,63}="
_WORD = re.compile(rf"""(?:{_KEY})?(?:"[^"]*"|'[^']*')(?!\S)|\S+""")
_FOLD = re.compile(r"<(/?)(?:details|blockquote)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """One line that begins with a command, such as `/docs core depth=2 "a few words"`."""

    name: str  # in lower case, without the slash; empty: a mention with nothing after it
    words: tuple[str, ...] = ()  # what follows; quotation marks keep words together, and are taken away
    values: Mapping[str, str] = field(default_factory=dict)  # of the words that are written NAME=VALUE
    rest: str = ""  # what follows the name, as it was written
    mention: str = ""  # the login that the line begins with, where it begins with none of its own
    text: str = ""  # what follows the mention, as it was written


def command_lines(text: str) -> tuple[CommandLine, ...]:
    """Every command in a text, in its order."""
    if not _MAY_HOLD.search(text):
        return ()
    found = (_command(line) for line in _own_lines(text))
    return tuple(one for one in found if one is not None)


def _command(line: str) -> CommandLine | None:
    if (begin := _LINE.match(line)) is None:
        return None
    rest, name = line[begin.end() :].strip(), begin["name"] or ""
    text = rest if begin["mention"] else ""
    if begin["mention"] and (first := _NAME.match(rest)):
        name, rest = first[1], rest[first.end() :].strip()
    words, values = _arguments(rest)
    return CommandLine(
        name=name.lower(), words=words, values=values, rest=rest, mention=begin["mention"] or "", text=text
    )


def _arguments(rest: str) -> tuple[tuple[str, ...], Mapping[str, str]]:
    words: list[str] = []
    values: dict[str, str] = {}
    for word in _WORD.findall(rest):
        key = re.match(_KEY, word)
        text = word[key.end() :] if key else word
        text = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
        if key:
            values[key[0].removesuffix("=")] = text
        else:
            words.append(text)
    return tuple(words), values


def _own_lines(text: str) -> Iterator[str]:
    """The lines of the paragraphs that stand for themselves."""
    folded, is_title = 0, False
    for token in _parser().parse(text.replace("\r\n", "\n")):
        if token.type == "html_block":
            folded += sum(-1 if closes else 1 for closes in _FOLD.findall(token.content))
        elif token.type == "heading_open":
            is_title = token.markup.startswith("#")
        elif token.type == "paragraph_open":
            is_title = False
        elif token.type == "inline" and token.level == 1 and folded <= 0 and not is_title:
            yield from _lines(token)


def _lines(paragraph: "Token") -> Iterator[str]:
    line = ""
    for token in paragraph.children or ():
        if token.type in ("softbreak", "hardbreak"):
            yield line.strip()
            line = ""
        elif token.type == "text":
            line += token.content
        elif token.type == "code_inline":  # a value may be written as code, but a command may not
            line += token.content if line.strip() else "`"
        elif not token.content.startswith("<!--"):
            line += token.content
        elif not line.strip():
            line = "<"
    yield line.strip()


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # A signature's dashes make a heading of the line above; emphasis would eat the `_` of a file's name.
    return MarkdownIt("commonmark").disable(["emphasis", "entity", "escape", "link", "image", "autolink"])
