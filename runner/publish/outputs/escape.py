"""Texts of others, so that they say something and do nothing: an agent's words, an event's values.

On a forge text acts: `@name` calls people, `fixes #1` closes issues, an image reports who looked, HTML hides,
`[skip ci]` keeps tests from running, a heading can look like ours. A text is parsed as CommonMark, and only
what is on the list below is written again. Sources: spec.commonmark.org 0.31; GitHub, "Autolinked
references and URLs", "Linking a pull request to an issue", "Skipping workflow runs".
"""

import re
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from runner.core.redact import escape_invisible

if TYPE_CHECKING:  # the parser is loaded where something is published
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_ZERO = "\u200b"  # between a sign and a name: looks the same, links nothing
# GitHub's words are of ASCII letters: after any other letter a mention or reference begins.
_MENTION = re.compile(r"(?<![A-Za-z0-9_])@(?=[A-Za-z0-9])")
_CLOSING = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?\s+)(?=(?:[\w.-]+/[\w.-]+)?#\d|https?://)", re.IGNORECASE
)
_REFERENCE = re.compile(r"(#|(?<![A-Za-z0-9_])GH-)(?=\d)", re.IGNORECASE)
# GitHub links a commit by 7 to 40 digits of base 16 (those that are but digits or but letters are words).
_COMMIT = re.compile(
    r"(?<![A-Za-z0-9/._-])(?:(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{7,40}|[0-9a-f]{40})(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"^(\s*)/(?=[A-Za-z])", re.MULTILINE)  # bots take orders from the first word of a line
_MATH = re.compile(r"\$(?![\s\d])|(?<=\S)\$(?!\w)")
_USER = re.compile(r"(https?://)[^\s/@<>()\[\]]{1,200}@", re.IGNORECASE)
_ON_GITHUB = re.compile(
    r"(?<![\w.@-])((?:https?:)?//)?(?:www\.)?(github\.com)\.?(?::\d*)?(/[^\s<>()\[\]]*)", re.IGNORECASE
)
_ACTING_PATH = re.compile(r"/(?:issues|pulls?|discussions|commits?)/", re.IGNORECASE)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_SKIP = re.compile(
    r"\[([^\[\]\n]*\b(?:skip|no)\b[^\[\]\n]*)\]|(?:\*\*\*)?(\bNO_CI\b)(?:\*\*\*)?|\bskip-(checks)(?=\s*:)",
    re.IGNORECASE,
)
_INFO = re.compile(r"[A-Za-z0-9+#.-]{1,20}")
_ACTING_CODE = frozenset({"suggestion", "mermaid", "geojson", "topojson", "stl"})
_CUT = "\n\n*(cut)*"
_READ = 2  # times the limit: what stands behind it is not looked at
_SPARE = 8  # characters
_TABLES = ("table", "strikethrough")


def neutralise(text: str, limit: int) -> str:
    """`text` as Markdown that calls nobody, closes nothing and loads nothing; at most `limit` characters.

    Emphasis, lists, quotes, tables, code and https links stay. A heading becomes a bold line.
    """
    shown = escape_invisible(text).strip()
    room = min(len(shown), _READ * limit)
    written = _written(shown[:room]) + (_CUT if room < len(shown) else "")
    while len(written) > limit and room > 0:
        # Markdown is slow to write: the room is guessed by how much longer the text became, and a bit less.
        room = min(room * max(limit - len(_CUT), 0) // len(written), room - 1) - _SPARE
        written = _written(shown[: max(room, 0)].rstrip()) + _CUT
    return written if len(written) <= limit else ""


def one_line(text: str, limit: int) -> str:
    """`text` as a title or a line of a commit message: plain, and nothing in it acts."""
    line = _inert(" ".join(escape_invisible(text).split()))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def fence(text: str) -> str:
    """`text` as a code block that it cannot end, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{escape_invisible(text)}\n{fence}"


def _inert(text: str) -> str:
    text = _ON_GITHUB.sub(_elsewhere, _USER.sub(r"\1", text))
    text = _CLOSING.sub(rf"\1{_ZERO}\2", text)
    text = _REFERENCE.sub(rf"\1{_ZERO}", text)
    text = _MATH.sub(f"${_ZERO}", _COMMAND.sub(rf"\1{_ZERO}/", text))
    text = _COMMIT.sub(lambda found: _ZERO.join(re.findall(r".{1,6}", found[0])), text)
    text = _SKIP.sub(_no_directive, _TAG.sub(f"<{_ZERO}", text))
    return _MENTION.sub(f"@{_ZERO}", text).replace("[!", f"[{_ZERO}!")


def _elsewhere(found: re.Match[str]) -> str:
    """An address of an issue and its like, by a host that leads there and leaves no note at the other end.

    However it is written: with a port, a dot at the end, or letters in per cent.
    """
    if not _ACTING_PATH.search(unquote(found[3])):
        return found[0]
    return f"{found[1] or ''}redirect.{found[2]}{found[3]}"


def _no_directive(found: re.Match[str]) -> str:
    if found[1] is not None:
        return f"({found[1]})"
    return f"NO_{_ZERO}CI" if found[2] else f"skip {found[3]}"


def _written(text: str) -> str:
    """The text, parsed and written again from the tokens that are allowed."""
    from mdformat.plugins import PARSER_EXTENSIONS
    from mdformat.renderer import MDRenderer

    parser = _parser()
    env: dict[str, object] = {}
    tokens = list(_allowed(parser.parse(text, env)))
    options = {
        "mdformat": {"number": True, "wrap": "keep", "end_of_line": "lf"},
        "parser_extension": [PARSER_EXTENSIONS["tables"], _Strikethrough],
        "codeformatters": {},
    }
    return MDRenderer().render(tokens, options, {"used_refs": set()}).strip()


class _Strikethrough:
    """What the renderer asks of an extension."""

    RENDERERS: ClassVar = {
        "s": lambda node, context: f"~~{''.join(one.render(context) for one in node.children)}~~"
    }
    POSTPROCESSORS: ClassVar[dict[str, object]] = {}


def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(list(_TABLES))
    # A bad link is not left to the parser: it is shown as text.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


def _allowed(tokens: "Sequence[Token]") -> "Iterator[Token]":
    """Blocks: without rules and HTML; headings as bold paragraphs; code as it is."""
    bold = False
    for token in tokens:
        match token.type:
            case "hr":
                continue
            case "html_block":
                yield from _paragraph(token.content.strip())
            case "heading_open" | "heading_close":
                bold = token.type == "heading_open"
                token.type, token.tag = token.type.replace("heading", "paragraph"), "p"
                yield token
            case "fence":
                token.info = _language(token.info)
                token.content = (
                    token.content.removesuffix("\n") + "\n"
                )  # one that was left open may end without
                yield token
            case "inline":
                children = list(_inert_texts(_allowed_inline(token.children or [])))
                token.children = _strong(children) if bold and children else children
                yield token
            case _:
                yield token


def _language(info: str) -> str:
    name = info.split()[0] if info.split() else ""
    return name if _INFO.fullmatch(name) and name.lower() not in _ACTING_CODE else "text"


def _paragraph(text: str) -> "Iterator[Token]":
    from markdown_it.token import Token

    yield Token("paragraph_open", "p", 1, block=True)
    yield Token("inline", "", 0, content=text, children=list(_lines(text)), block=True)
    yield Token("paragraph_close", "p", -1, block=True)


def _lines(text: str) -> "Iterator[Token]":
    from markdown_it.token import Token

    for number, line in enumerate(line.strip() for line in text.splitlines() if line.strip()):
        if number:
            yield Token("softbreak", "br", 0)
        yield _plain(_inert(line))


def _plain(content: str) -> "Token":
    from markdown_it.token import Token

    return Token("text", "", 0, content=content)


def _inert_texts(children: "Iterator[Token]") -> "Iterator[Token]":
    """Texts that stand side by side once a link between them is gone are read as one, and made inert."""
    for kind, group in groupby(children, lambda token: token.type):
        if kind == "text":
            yield _plain(_inert("".join(token.content for token in group)))
        else:
            yield from group


def _strong(children: "list[Token]") -> "list[Token]":
    from markdown_it.token import Token

    if any(token.type.startswith("strong") for token in children):
        return children
    return [Token("strong_open", "strong", 1, markup="**"), *children, Token("strong_close", "strong", -1)]


def _allowed_inline(children: "Sequence[Token]") -> "Iterator[Token]":
    dropped: list[str] = []  # the addresses of links that are open and not written
    for token in children:
        match token.type:
            case "text" | "html_inline":
                yield _plain(token.content)
            case "image":
                yield _plain(f"(image: {token.content or 'untitled'})")
            case "link_open" if not str(token.attrs.get("href", "")).startswith("https://"):
                dropped.append(str(token.attrs.get("href", "")))
            case "link_open":
                dropped.append("")
                address = _USER.sub(r"\1", str(token.attrs["href"]))
                token.attrs = {"href": _ON_GITHUB.sub(_elsewhere, address)}
                token.info = token.markup = ""
                yield token
            case "link_close":
                yield from _end_of_link(token, dropped.pop() if dropped else "")
            case _:
                yield token


def _end_of_link(token: "Token", address: str) -> "Iterator[Token]":
    from markdown_it.token import Token

    if not address:
        token.info = token.markup = ""
        yield token
        return
    yield _plain(" (")
    yield Token("code_inline", "code", 0, content=address.replace("`", "%60"), markup="`")
    yield _plain(")")
