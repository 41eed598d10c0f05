"""The template language: sandboxed Jinja2 without files, in which undefined names are errors."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import cast

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.config.documents import Data, closest
from runner.skills.fencing import Untrusted, as_text, find_untrusted, unwrap
from runner.skills.names import FIELDS
from runner.skills.template_limits import (
    TemplateLimitError,
    check_call,
    check_length,
    check_operands,
    check_printed,
)

_NO_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
NAME = "<skill>"
MAX_SECONDS = 5
_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))

Function = Callable[..., Data]

TemplateProblem = tuple[int, str, str, str]
"""Line in the template, the name that is wrong, message, hint."""


@contextmanager
def limited_time() -> Iterator[None]:
    """Templates that are rendered inside have MAX_SECONDS, all together."""
    token = _deadline.set(time.monotonic() + MAX_SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def check_time() -> None:
    """Raise TemplateLimitError when the time of the rendering is over."""
    if time.monotonic() > _deadline.get():
        raise TemplateLimitError(f"the template takes more than {MAX_SECONDS} seconds")


class _Code(CodeGenerator):
    """Compiles `~` to a call of the environment, so that joining an untrusted value gives one."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        self.write("environment.join_values((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        node.body.insert(0, _tick())
        super().visit_For(node, frame)

    def visit_Macro(self, node: nodes.Macro, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        node.body.insert(0, _tick())
        super().visit_Macro(node, frame)


def _tick() -> nodes.ExprStmt:
    """A statement that ends a template which takes too long."""
    return nodes.ExprStmt(nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None))


class Null(Undefined):
    """A null of the event, such as a deleted user or an empty body: nothing where it is printed or listed.

    It is not defined, and asking for something inside it is an error.
    """

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Null)

    __hash__ = Undefined.__hash__


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which every value computed from an untrusted one is untrusted as well."""

    code_generator_class = _Code
    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=check_printed
        )
        self.globals = {"range": self.globals["range"]}
        self.filters = {name: _spreading(function) for name, function in self.filters.items()}
        self.tests = {name: _seeing(cast("Function", test)) for name, test in self.tests.items()}
        self.tests["none"] = lambda value: unwrap(value) is None or isinstance(value, Null)
        self.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": _as_json}

    def getattr(self, obj: Data, attribute: str) -> Data:
        return self._child(obj, attribute) if isinstance(obj, Untrusted) else super().getattr(obj, attribute)

    def getitem(self, obj: Data, argument: Data) -> Data:
        return self._child(obj, argument) if isinstance(obj, Untrusted) else super().getitem(obj, argument)

    def tick(self) -> None:
        """Called for each turn of a loop. Raises TemplateLimitError when the rendering takes too long."""
        check_time()

    def call_binop(self, context: Context, operator: str, left: Data, right: Data) -> Data:
        check_operands(operator, unwrap(left), unwrap(right))
        return _spreading(super().call_binop)(context, operator, left, right)

    def call(__self, __context: Context, __obj: Function, *args: Data, **kwargs: Data) -> Data:  # noqa: N805
        # The names are Jinja2's, so that a call may have keyword arguments of any name.
        source = find_untrusted((args, kwargs))
        check_call(__obj, unwrap(args), unwrap(kwargs))
        result = super().call(__context, __obj, *unwrap(args), **unwrap(kwargs))
        return result if source is None else source.derive(result)

    def join_values(self, parts: tuple[Data, ...]) -> Data:
        """The result of `~` on these operands."""
        source = find_untrusted(parts)
        text = "".join(as_text(unwrap(part)) if isinstance(part, Untrusted) else str(part) for part in parts)
        check_length(len(text))
        return text if source is None else source.derive(text)

    def _child(self, obj: Untrusted, key: Data) -> Data:
        child = obj.child(key)
        if child is None:
            return self.undefined(hint=obj.missing(key))
        return Null(hint=child.null_message()) if unwrap(child) is None else child


def _as_json(value: Data) -> None:
    if not isinstance(value, Null):
        raise TypeError(f"{value!r} is not JSON")


def _spreading(function: Function) -> Function:
    @functools.wraps(function)
    def filtered(*args: Data, **kwargs: Data) -> Data:
        check_time()
        check_call(function, unwrap(args), unwrap(kwargs))
        source = find_untrusted((args, kwargs))
        if source is None:
            return function(*args, **kwargs)
        result = function(*unwrap(args), **unwrap(kwargs))
        if isinstance(result, Iterator):
            result = list(result)
        return source.derive(result)

    return filtered


def _seeing(function: Function) -> Function:
    @functools.wraps(function)
    def tested(*args: Data, **kwargs: Data) -> Data:
        return function(*unwrap(args), **unwrap(kwargs))

    return tested


@functools.cache
def environment() -> TemplateEnvironment:
    return TemplateEnvironment()


@functools.lru_cache(maxsize=1024)
def problems(source: str, inputs: tuple[str, ...]) -> tuple[TemplateProblem, ...]:
    """The problems of a template that can be found without an event."""
    return tuple(_problems(source, inputs))


def _problems(source: str, inputs: tuple[str, ...]) -> Iterator[TemplateProblem]:
    try:
        tree = environment().parse(source)
    except RecursionError:
        yield 1, "", "not a valid template: nested too deep", "write it in fewer brackets and blocks"
        return
    except TemplateSyntaxError as error:
        yield (
            error.lineno,
            "",
            f"not a valid template: {error.message}",
            "see docs/skills.md for the template language",
        )
        return
    local = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"} | {"loop"}
    for node in tree.find_all(nodes.Node):
        yield from _node_problems(node, local, inputs)


def _node_problems(node: nodes.Node, local: set[str], inputs: tuple[str, ...]) -> Iterator[TemplateProblem]:
    if isinstance(node, _NO_FILES):
        yield node.lineno, "", "a template cannot read other files", "write the text here"
    elif isinstance(node, nodes.Name) and node.name not in {*FIELDS, *local, "range"}:
        yield (
            node.lineno,
            node.name,
            f"unknown name `{node.name}` in the template",
            closest(node.name, FIELDS),
        )
    elif isinstance(node, (nodes.Filter, nodes.Test)):
        yield from _function_problems(node)
    elif isinstance(node, (nodes.Getattr, nodes.Getitem)) and isinstance(node.node, nodes.Name):
        yield from _field_problems(node, node.node.name, local, inputs)


def _function_problems(node: nodes.Filter | nodes.Test) -> Iterator[TemplateProblem]:
    filters = isinstance(node, nodes.Filter)
    known = environment().filters if filters else environment().tests
    if node.name not in known:
        kind = "filter" if filters else "test"
        yield (
            node.lineno,
            node.name,
            f"unknown {kind} `{node.name}` in the template",
            closest(node.name, known),
        )


def _field_problems(
    node: nodes.Getattr | nodes.Getitem, owner: str, local: set[str], inputs: tuple[str, ...]
) -> Iterator[TemplateProblem]:
    known = inputs if owner == "inputs" else FIELDS.get(owner)
    field = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
    if known is None or owner in local or not isinstance(field, str) or field in known:
        return
    hint = closest(field, known)
    if owner == "inputs":
        hint = hint or f"declare it in skill.yaml: inputs: {{{field}: {{type: string}}}}"
    yield node.lineno, f"{owner}.{field}", f"unknown variable `{owner}.{field}` in the template", hint


def line_of(trace: TracebackType | None) -> int:
    """The template's line that raised an exception; 1 when it is not known."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


__all__ = [
    "NAME",
    "TemplateEnvironment",
    "UndefinedError",
    "environment",
    "limited_time",
    "line_of",
    "problems",
]
