"""Every small fault that can be planted in a source file: a piece of its text and what takes its place."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

_Found = tuple[str, ast.AST, str]  # the kind, what is replaced, and by which text

_Operators = dict[type[ast.cmpop], type[ast.cmpop]]
_OPPOSITES: tuple[tuple[type[ast.cmpop], type[ast.cmpop]], ...] = (
    (ast.Eq, ast.NotEq),
    (ast.Lt, ast.GtE),
    (ast.Gt, ast.LtE),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
)
_FLIPPED: _Operators = {one: other for pair in _OPPOSITES for one, other in (pair, pair[::-1])}
_EDGES: _Operators = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_ALIKE = (
    ("min", "max"),
    ("any", "all"),
    ("and_", "or_"),
    ("startswith", "endswith"),
    ("bisect_left", "bisect_right"),
    ("lstrip", "rstrip"),
    ("removeprefix", "removesuffix"),
)
_NAMES = {one: other for pair in _ALIKE for one, other in (pair, pair[::-1])}
_UNWRAPPED = frozenset({"strip", "lstrip", "rstrip", "lower", "casefold", "sorted", "bool"})
_TYPES = frozenset({"Annotated", "Callable", "Mapping", "Sequence", "Iterator", "tuple", "list", "dict"})
_KEY = re.compile(r"[\w@/:.*~\[\]-]{1,40}")  # what a program compares; texts with spaces are for people
_LONG = 160
_FOR_PEOPLE = frozenset({"description", "examples", "message", "hint", "title"})
_TEXTS = frozenset({"Fault", "fault", "RunnerError", "BudgetError", "ValueError", "Field", "say", "compile"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One change of one place."""

    source: str
    module: str
    function: str
    kind: str
    text: str
    into: str
    number: int  # among equal ones of the function
    start: int
    end: int

    @property
    def identity(self) -> str:
        """What stays the same when the file is moved, or lines are added to it."""
        number = f" #{self.number}" if self.number else ""
        return f"{self.module}:{self.function} {self.change}{number}"

    @property
    def change(self) -> str:
        """The kind and both texts on one line; of a long table only what is at its differing place."""
        old, new = self.text, self.into
        if len(old) + len(new) > _LONG:
            pairs = zip(old, new.removeprefix("("), strict=False)
            same = next((at for at, (one, other) in enumerate(pairs) if one != other), len(old))
            begin = max(0, same - 20)
            old, new = old[begin : begin + _LONG], new[begin : begin + _LONG]
        return f"{self.kind}: {old} -> {new}"

    def plant(self, text: str) -> str:
        """The file with the fault in it."""
        data = text.encode()
        return (data[: self.start] + self.into.encode() + data[self.end :]).decode()


def faults_in(root: Path, source: str, module: str) -> list[Fault]:
    """All of them, in the order of the file."""
    text = (root / source).read_text()
    lines = [0]
    for line in text.encode().splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    seen = Counter[tuple[str, ...]]()
    faults = []
    for function, (kind, node, into) in _walk(ast.parse(text), ""):
        start, end = _span(node, lines)
        old = " ".join(text.encode()[start:end].decode().split())
        if old == into:
            continue
        named = (function, kind, old, into)
        faults.append(Fault(source, module, function, kind, old, into, seen[named], start, end))
        seen[named] += 1
    return faults


def _span(node: ast.AST, lines: Sequence[int]) -> tuple[int, int]:
    assert isinstance(node, ast.expr | ast.stmt)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset


def _walk(node: ast.AST, function: str) -> Iterator[tuple[str, _Found]]:
    """Each fault with the name of the function, class or table that it is in."""
    inner = _name(node, function)
    for found in _of(node):
        yield inner, found
    for child in _children(node):
        yield from _walk(child, inner)


def _name(node: ast.AST, outer: str) -> str:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return f"{outer}.{node.name}" if outer else node.name
    if not outer and isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return ast.unparse(target)
    return outer


def _children(node: ast.AST) -> list[ast.AST]:
    """What may hold a fault: no annotation, decorator, formatted text, message, or import for types alone."""
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Raise | ast.Assert):
        return []
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return []
    if isinstance(node, ast.Call) and _called(node) in _TEXTS:
        return [word.value for word in node.keywords if word.arg not in _FOR_PEOPLE]
    if isinstance(node, ast.FunctionDef):
        return [*node.args.defaults, *(one for one in node.args.kw_defaults if one), *node.body]
    if isinstance(node, ast.ClassDef):
        return list(node.body)
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in _TYPES:
        return []
    skipped = [getattr(node, "annotation", None)]
    skipped += [one for one in [getattr(node, "value", None)] if isinstance(node, ast.Expr) and _is_text(one)]
    if isinstance(node, ast.keyword) and node.arg in _FOR_PEOPLE:
        return []
    return [child for child in ast.iter_child_nodes(node) if child not in skipped]


def _is_text(node: object) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _of(node: ast.AST) -> Iterator[_Found]:
    yield from _of_logic(node)
    yield from _of_values(node)


def _of_logic(node: ast.AST) -> Iterator[_Found]:
    match node:
        case ast.Compare():
            yield from _comparison(node)
        case ast.BoolOp():
            yield from _boolean(node)
        case ast.UnaryOp(op=ast.Not()):
            yield "dropped not", node, f"({ast.unparse(node.operand)})"
        case ast.If() | ast.IfExp() | ast.While():
            yield from _condition(node)
        case ast.comprehension():
            yield from (("condition", one, "True") for one in node.ifs)


def _of_values(node: ast.AST) -> Iterator[_Found]:
    match node:
        case ast.BinOp():
            yield from _arithmetic(node)
        case ast.Constant():
            yield from _constant(node)
        case ast.Call():
            yield from _call(node)
        case ast.Set() | ast.Tuple() | ast.List() | ast.Dict():
            yield from _elements(node)
        case ast.Return() | ast.Expr() | ast.AugAssign() | ast.Raise():
            yield from _statement(node)


def _is_truth(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) or (
        isinstance(node, ast.Call) and _called(node) in ("any", "all", "bool")
    )


def _changed(node: ast.expr, **fields: object) -> str:
    changed = deepcopy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return f"({ast.unparse(changed)})"


def _comparison(node: ast.Compare) -> Iterator[_Found]:
    for kind, table in (("comparison", _FLIPPED), ("edge", _EDGES)):
        for at, operator in enumerate(node.ops):
            if type(operator) in table:
                operators = [*node.ops[:at], table[type(operator)](), *node.ops[at + 1 :]]
                yield kind, node, _changed(node, ops=operators)


def _boolean(node: ast.BoolOp) -> Iterator[_Found]:
    yield "and or", node, _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for at in range(len(node.values)):
        yield "dropped operand", node, _changed(node, values=node.values[:at] + node.values[at + 1 :])
        one = ast.UnaryOp(ast.Not(), node.values[at])
        if isinstance(node.values[at], ast.Name | ast.Attribute | ast.Call):
            yield "operand", node, _changed(node, values=[*node.values[:at], one, *node.values[at + 1 :]])


def _condition(node: ast.If | ast.IfExp | ast.While) -> Iterator[_Found]:
    if ast.unparse(node.test) == "TYPE_CHECKING" or any(
        isinstance(one, ast.NamedExpr) for one in ast.walk(node.test)
    ):
        return
    if not isinstance(node, ast.While):  # one that never ends is not small
        yield "condition", node.test, f"not ({ast.unparse(node.test)})"
        yield "condition", node.test, "True"
    yield "condition", node.test, "False"


def _arithmetic(node: ast.BinOp) -> Iterator[_Found]:
    of_text = any(_is_text(one) or isinstance(one, ast.JoinedStr) for one in (node.left, node.right))
    if type(node.op) in _ARITHMETIC and not of_text:
        yield "arithmetic", node, _changed(node, op=_ARITHMETIC[type(node.op)]())


def _constant(node: ast.Constant) -> Iterator[_Found]:
    match node.value:
        case bool():
            yield "constant", node, str(not node.value)
        case int():
            yield "constant", node, str(node.value + 1)
            yield "constant", node, str(node.value - 1)
        case str() if _KEY.fullmatch(node.value):
            yield "text", node, repr(f"{node.value}~")


def _call(node: ast.Call) -> Iterator[_Found]:
    name = _called(node)
    if name in _NAMES and isinstance(node.func, ast.Name):
        yield "function", node.func, _NAMES[name]
    if name in _NAMES and isinstance(node.func, ast.Attribute):
        yield "function", node.func, f"{ast.unparse(node.func.value)}.{_NAMES[name]}"
    if name in _UNWRAPPED:
        yield "dropped call", node, _unwrapped(node)
    match node.args:
        case [ast.Name() | ast.Attribute() as first, ast.Name() | ast.Attribute() as second, *_] if (
            name != "isinstance"
        ):
            yield "swapped arguments", node, _changed(node, args=[second, first, *node.args[2:]])


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def _unwrapped(node: ast.Call) -> str:
    inner = node.func.value if isinstance(node.func, ast.Attribute) else node.args[0]
    return f"({ast.unparse(inner)})"


def _elements(node: ast.Set | ast.Tuple | ast.List | ast.Dict) -> Iterator[_Found]:
    """A table without one of its elements. A pair or a result is none: that fault would be a crash."""
    values = node.values if isinstance(node, ast.Dict) else node.elts
    if len(values) < 2 or not (isinstance(node, ast.Dict) or all(_is_fixed(one) for one in values)):
        return
    for at in range(len(values)):
        rest = [*values[:at], *values[at + 1 :]]
        if isinstance(node, ast.Dict):
            keys = [*node.keys[:at], *node.keys[at + 1 :]]
            yield "dropped element", node, _changed(node, keys=keys, values=rest)
        else:
            yield "dropped element", node, _changed(node, elts=rest)


def _is_fixed(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List):
        return all(_is_fixed(one) for one in node.elts)
    return isinstance(node, ast.Constant)


def _statement(node: ast.Return | ast.Expr | ast.AugAssign | ast.Raise) -> Iterator[_Found]:
    match node:
        case ast.Return(value=ast.Compare() | ast.BoolOp() | ast.Call() as value):
            yield "returned", value, f"not ({ast.unparse(value)})" if _is_truth(value) else "None"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise():
            yield "dropped statement", node, "pass"
