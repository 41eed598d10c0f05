#!/usr/bin/env python3
"""Checks the docs: links and anchors lead somewhere, code blocks are closed, Python in them compiles.

Prints every fault as page:line and exits with 1 when there is one. Needs Python 3.9 and nothing else.
"""

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|!\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*$")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
FENCE = re.compile(r"^( {0,3}|\s*[-*+] +|\s*\d+[.)] +|\s+)(`{3,}|~{3,})\s*([^`\s]*)")
ANCHOR = re.compile(r"<a\s+(?:id|name)=[\"']([^\"']+)[\"']|\{#([\w-]+)\}")

TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class Page(NamedTuple):
    lines: list[tuple[int, str]]  # outside of code blocks: number, text
    blocks: list[tuple[int, str, str]]  # line, language, code
    unclosed: int  # the line on which a block begins that never ends; 0: none


def read(path: str) -> Page:
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read().splitlines()
    lines: list[tuple[int, str]] = []
    blocks: list[tuple[int, str, str]] = []
    fence, began, language, code = "", 0, "", []  # type: Tuple[str, int, str, List[str]]
    for number, line in enumerate(text, 1):
        found = FENCE.match(line)
        if fence:
            if found and found[2][0] == fence[0] and len(found[2]) >= len(fence) and not found[3]:
                blocks.append((began, language, "\n".join(code)))
                fence = ""
            else:
                code.append(line)
        elif found:
            fence, began, language, code = found[2], number, found[3].lower(), []
        else:
            lines.append((number, line))
    return Page(lines, blocks, began if fence else 0)


def anchors(page: Page) -> dict[str, int]:
    """The anchors that GitHub makes of headings, and those that are written out."""
    found: dict[str, int] = {}
    for _, line in page.lines:
        heading = HEADING.match(line)
        if heading:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            slug = re.sub(r"[^\w\- ]", "", text.replace("`", "")).strip().replace(" ", "-")
            count = found.get(slug, 0)
            found[f"{slug}-{count}" if count else slug] = 1
            found[slug] = count + 1
        for one in ANCHOR.finditer(line):
            found[one[1] or one[2]] = 1
    return found


def links(page: Page) -> Iterator[tuple[int, str]]:
    for number, line in page.lines:
        plain = re.sub(r"`[^`]*`", "", line)
        for one in LINK.finditer(plain):
            yield number, one[1] or one[2]
        defined = DEFINITION.match(plain)
        if defined:
            yield number, defined[1]


def faults(path: str, pages: dict[str, Page]) -> Iterator[str]:
    page = pages[path]
    if page.unclosed:
        yield f"{path}:{page.unclosed}: the code block that begins here is never closed"
    for number, target in links(page):
        problem = link_problem(path, target, pages)
        if problem:
            yield f"{path}:{number}: {problem}"
    for number, language, code in page.blocks:
        problem = python_problem(language, code)
        if problem:
            yield f"{path}:{number}: {problem}"


def link_problem(path: str, target: str, pages: dict[str, Page]) -> str:
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", target):
        return ""  # elsewhere: this check uses no network
    name, _, anchor = unquote(target).partition("#")
    there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
    if name.startswith("/"):
        there = name.lstrip("/")
    if not os.path.exists(there):
        return f"the link leads to {there}, which is not there"
    if anchor and there in pages and anchor.lower() not in anchors(pages[there]):
        return f"{there} has no heading for #{anchor}"
    return ""


def python_problem(language: str, code: str) -> str:
    if language not in ("python", "py", "python3") or ">>>" in code or "..." in code:
        return ""
    try:
        compile(
            textwrap.dedent(code), "block", "exec", dont_inherit=True, flags=0x2000
        )  # allows top-level await
    except SyntaxError as error:
        return f"this Python does not compile: {error.msg} (line {error.lineno} of the block)"
    return ""


def markdown(paths: list[str]) -> Iterator[str]:
    for path in paths:
        if os.path.isfile(path):
            yield os.path.normpath(path)
        for folder, _, names in os.walk(path):
            yield from (
                os.path.normpath(os.path.join(folder, name)) for name in names if name.endswith(".md")
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", default=["docs", "README.md"], help="files or folders")
    pages = {path: read(path) for path in sorted(set(markdown(parser.parse_args().paths)))}
    found = [fault for path in pages for fault in faults(path, pages)]
    print("\n".join(found) if found else f"{len(pages)} pages, no faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
