#!/usr/bin/env python3
"""Removes one flag from Python code: what is decided is decided, and the branch that lost goes.

`if`, `else`, `not`, `and`, `or` and conditional expressions are simplified; the text of everything else stays
byte for byte. Where it is not sure it changes nothing and says where. The flag's line in the registry goes
when no Python asks for it any more. Needs Python 3.9 and git, nothing else.
"""

import ast
import json
import re
import sys
import textwrap
from typing import NamedTuple, Union

sys.dont_write_bytecode = True  # a cache beside the scripts would be part of the change

from find_flags import arguments, flag_of, git, read, registry  # noqa: E402

Decided = Union[bool, str]  # True, False, or the text of what is left of an expression


class UnsureError(Exception):
    """A place that a person has to look at."""


class Edit(NamedTuple):
    start: int
    end: int
    text: str


class Remover:
    """Simplifies one file for one flag."""

    def __init__(self, source: str, flag: str, value: bool, calls: list[str]) -> None:
        self.source, self.flag, self.value, self.calls = source, flag, value, calls
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.edits: list[Edit] = []

    def run(self) -> str:
        tree = ast.parse(self.source)
        self.visit(tree)
        text = self.source
        for edit in sorted(self.edits, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        left = [node for node in ast.walk(ast.parse(text)) if flag_of(node, self.calls) == self.flag]
        if left:
            raise UnsureError(f"line {left[0].lineno}: this use is not understood")  # type: ignore[attr-defined]
        return text

    def asks(self, node: ast.AST) -> bool:
        return any(flag_of(one, self.calls) == self.flag for one in ast.walk(node))

    def visit(self, node: ast.AST) -> None:
        """Edit the outermost pieces that the flag decides; look inside the others."""
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                for child in block:
                    self.statement(child, block)
        for handler in getattr(node, "handlers", []):
            self.visit(handler)
        for case in getattr(node, "cases", []):
            self.visit(case)

    def statement(self, node: ast.stmt, block: list[ast.stmt]) -> None:
        if isinstance(node, ast.If) and self.asks(node.test):
            self.branch(node, block)
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and self.asks(child):
                self.expression(child)
        self.visit(node)

    def branch(self, node: ast.If, block: list[ast.stmt]) -> None:
        decided = self.simplified(node.test)
        if isinstance(decided, str):
            self.replace(node.test, decided)
            self.visit(node)
            return
        if self.text(node).startswith("elif"):
            raise UnsureError(f"line {node.lineno}: the flag decides an `elif`")
        kept = node.body if decided else node.orelse
        start, end = self.starts[node.lineno - 1], self.starts[node.end_lineno or node.lineno]
        indent = " " * node.col_offset
        if not kept:
            alone = len(block) == 1
            self.edits.append(Edit(start, end, f"{indent}pass\n" if alone else ""))
            return
        header = node.test.end_lineno if decided else self.else_line(node)
        self.edits.append(Edit(start, end, self.moved(kept, indent, header or 0)))

    def else_line(self, node: ast.If) -> int:
        """The line of the `else:`; 0 where an `elif` stands in its place."""
        between = range((node.body[-1].end_lineno or 0) + 1, node.orelse[0].lineno)
        return next((line for line in between if re.match(r"\s*else\s*:", self.lines[line - 1])), 0)

    def moved(self, kept: list[ast.stmt], indent: str, header: int) -> str:
        """The statements of a branch, and the comments among them, at the level of its `if`."""
        first, last = kept[0], kept[-1]
        if not header or first.lineno == header:
            raise UnsureError(f"line {first.lineno}: the branch stands on the line of its condition")
        lines = self.lines[header : last.end_lineno]
        if any(self.asks(one) for one in kept):
            raise UnsureError(f"line {first.lineno}: the flag is asked for again inside the branch")
        for node in (one for top in kept for one in ast.walk(top)):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.lineno != node.end_lineno:
                raise UnsureError(f"line {node.lineno}: a text of several lines would change its indentation")
        return textwrap.indent(textwrap.dedent("".join(lines)), indent)

    def expression(self, node: ast.expr) -> None:
        if flag_of(node, self.calls) == self.flag or isinstance(node, (ast.BoolOp, ast.UnaryOp, ast.IfExp)):
            decided = self.simplified(node)
            self.replace(node, decided if isinstance(decided, str) else repr(decided))
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and self.asks(child):
                self.expression(child)
            elif self.asks(child):
                raise UnsureError(f"line {node.lineno}: this use is not understood")

    def simplified(self, node: ast.expr) -> Decided:
        if flag_of(node, self.calls) == self.flag:
            return self.value
        if not self.asks(node):
            return self.text(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.simplified(node.operand)
            return f"not {inner}" if isinstance(inner, str) else not inner
        if isinstance(node, ast.IfExp):
            return self.conditional(node)
        if isinstance(node, ast.BoolOp):
            return self.boolean(node)
        raise UnsureError(f"line {node.lineno}: this use is not understood")

    def conditional(self, node: ast.IfExp) -> Decided:
        test = self.simplified(node.test)
        if isinstance(test, bool):
            return self.simplified(node.body if test else node.orelse)
        raise UnsureError(f"line {node.lineno}: the flag is a part of this condition")

    def boolean(self, node: ast.BoolOp) -> Decided:
        """`and` ends at the first False, `or` at the first True; what is before may have effects."""
        ends = isinstance(node.op, ast.Or)
        left: list[str] = []
        for value in node.values:
            decided = self.simplified(value)
            if isinstance(decided, str):
                parsed = ast.parse(f"({decided})", mode="eval").body
                loose = isinstance(parsed, (ast.BoolOp, ast.IfExp, ast.Lambda))
                left.append(f"({decided})" if loose else decided)
            elif decided is ends:
                if left:
                    raise UnsureError(f"line {node.lineno}: what stands before the flag may have effects")
                return ends
        return (" or " if ends else " and ").join(left) if left else not ends

    def text(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.source, node) or ""

    def replace(self, node: ast.expr, text: str) -> None:
        self.edits.append(Edit(*self.span(node), text))

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Offsets in characters; the parser counts columns in UTF-8 bytes."""
        start, end = (
            self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())
            for line, column in (
                (node.lineno, node.col_offset),
                (node.end_lineno or 0, node.end_col_offset or 0),
            )
        )
        return start, end


def without_entry(text: str, path: str, flag: str) -> str:
    """The registry without the line of a flag. Raises UnsureError when it is not one line."""
    entry = re.compile(rf"^[ \t]*[\"']?{re.escape(flag)}[\"']?[ \t]*:[^\n{{\[]*,?[ \t]*\n", re.MULTILINE)
    if len(entry.findall(text)) != 1:
        raise UnsureError(f"{path}: the entry of {flag} is not one line of its own")
    text = entry.sub("", text)
    if path.endswith(".json"):
        text = re.sub(r",(\s*[}\]])", r"\1", text)
    if flag in registry(text, path):
        raise UnsureError(f"{path}: the entry of {flag} could not be removed")
    return text


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("flag")
    given = parser.parse_args()
    calls = given.calls.split(",")
    value = registry(read(given.registry), given.registry).get(given.flag)
    if not isinstance(value, bool):
        print(f"{given.flag} is {json.dumps(value)} in {given.registry}: it is not decided", file=sys.stderr)
        return 2
    unsure = 0
    for path in sorted(filter(None, git("ls-files", "-z", "*.py").split("\0"))):
        unsure += remove(path, given.flag, value, calls)
    if not unsure:
        unsure += strike(given.registry, given.flag)
    return 1 if unsure else 0


def remove(path: str, flag: str, value: bool, calls: list[str]) -> int:
    source = read(path)
    try:
        if path.startswith("skills/") or flag not in source:
            return 0
        text = Remover(source, flag, value, calls).run()
    except (UnsureError, SyntaxError, UnicodeDecodeError) as error:
        print(f"left alone: {path}: {error}")
        return 1
    if text != source:
        write(path, text)
        print(f"changed: {path}")
    return 0


def strike(path: str, flag: str) -> int:
    try:
        write(path, without_entry(read(path), path, flag))
    except (UnsureError, ValueError) as error:
        print(f"left alone: {error}")
        return 1
    print(f"changed: {path}")
    return 0


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
