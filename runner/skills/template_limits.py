"""What a template may ask for: sizes that a prompt could have, and no more of the machine."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment
from jinja2.exceptions import TemplateRuntimeError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context

from runner.config.documents import Data

MAX_LENGTH = 1024**2  # of a text or list that a template makes on its way
_MAX_BITS = 4096  # of a number
_WIDE_FIELD = re.compile(
    r"%[-+ #0]*(\*|[0-9]*\.?\*|[0-9]{6,}|[0-9]*\.[0-9]{6,})|\{[^{}]*?[0-9]{6,}|\{[^{}]*\{"
)


class TemplateLimitError(TemplateRuntimeError):
    """A template asks for too much."""


def check_length(length: int) -> None:
    """Raise TemplateLimitError where a text or list would be longer than MAX_LENGTH."""
    if length > MAX_LENGTH:
        raise TemplateLimitError(
            f"the template makes a value of more than {MAX_LENGTH:,} characters or items"
        )


def check_operands(operator: str, left: Data, right: Data) -> None:
    """Raise TemplateLimitError where an operator would make too much."""
    sized, number = (left, right) if isinstance(right, int) else (right, left)
    if operator == "*" and isinstance(number, int) and isinstance(sized, (str, list, tuple)):
        check_length(len(sized) * max(0, number))
    elif operator == "+" and isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
        check_length(len(left) + len(right))
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * max(1, right))
    elif operator == "*" and isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    elif operator == "%":
        check_format((left,))


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise TemplateLimitError("the template makes a number that is too large")


def check_format(values: Sequence[Data]) -> None:
    """Raise TemplateLimitError for a text that asks for a very wide field, if it is used as a format."""
    for value in values:
        if isinstance(value, str) and _WIDE_FIELD.search(value):
            raise TemplateLimitError("the template asks for a field that is too wide")


def check_call(function: Callable[..., Data], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TemplateLimitError where a filter or method would make too much of what it is given."""
    owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
    name = getattr(function, "__name__", "").removeprefix("do_")
    own = (owner,) if isinstance(owner, str) else ()
    given = (*own, *(one for one in args if not isinstance(one, (EvalContext, Environment, Context))))
    if name in ("format", "format_map"):
        check_format(given[:1])
    elif name == "replace" and len(given) > 2 and all(isinstance(one, str) for one in given[:3]):
        check_length(len(given[0]) + given[0].count(given[1]) * len(given[2]))
    elif name == "join" and len(given) > 1:
        _check_join(given)
    elif name in _SIZED and any(
        isinstance(one, int) and abs(one) > _WIDEST for one in (*args, *kwargs.values())
    ):
        raise TemplateLimitError(f"the template asks `{name}` for more than {_WIDEST:,}")


def _is_wide(value: Data) -> bool:
    return isinstance(value, int) and abs(value) > _WIDEST


def check_printed(value: Data) -> Data:
    """The value itself, which is to be printed. Raises TemplateLimitError where it has too many parts."""
    parts, count = [value], 0
    while parts:
        one = parts.pop()
        count += 1
        check_length(count)
        if isinstance(one, (list, tuple, dict)):
            check_length(count + len(parts) + len(one))
            parts.extend(one.values() if isinstance(one, dict) else one)
    return value


def _check_join(given: Sequence[Any]) -> None:
    """What is joined may be an iterator of a length that nobody knows, so the text between is short."""
    if isinstance(given[1], str) and len(given[1]) > _LONGEST_JOINT:
        raise TemplateLimitError(f"the template joins by a text of more than {_LONGEST_JOINT:,} characters")


_LONGEST_JOINT = 1_000
_WIDEST = 100_000
_SIZED = frozenset(
    {"center", "ljust", "rjust", "zfill", "expandtabs", "indent", "wordwrap", "batch", "slice", "sync_slice"}
    | {"round", "truncate", "urlize", "tojson", "to_bytes"}
)
