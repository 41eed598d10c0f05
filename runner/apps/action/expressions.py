"""Finds what the `${{ }}` expressions in a workflow's text read, and who can write those values.

The grammar is that of GitHub's "Evaluate expressions in workflows and actions"; what strangers can write
is listed in its "Security hardening for GitHub Actions" and "Understanding the risk of script injections".
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from runner.apps.action.workflow_file import Texts

ExpressionPath = tuple[str, ...]
"""What an expression reads: ("github", "event", "issue", "title"), in lower case; "*": any, or computed."""

Test = Callable[[ExpressionPath], bool]

_SHOWN = 120  # characters of an expression in a message
_EXPRESSION = re.compile(r"((?:'[^']*'|[^'}]|}(?!}))*)}}")
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([a-z_][\w-]*)|(\d+)|\S")
_COMPUTED = frozenset({"contains", "startswith", "endswith", "hashfiles"})  # they tell, and pass nothing on


def expressions(text: str) -> Iterator[tuple[int, str]]:
    """(where it begins, what stands inside) of each expression; one that is not closed goes to the end."""
    at = text.find("${{")
    while at >= 0:
        inside = _EXPRESSION.match(text, at + 3)
        if inside is None:
            yield at, text[at + 3 :]
            return
        yield at, inside[1]
        at = text.find("${{", inside.end())


def paths(expression: str) -> Iterator[ExpressionPath]:
    """Every context whose value the expression returns, and every secret that it only tests."""
    tokens = [
        _Token(found[0], found[1] or found[2] or found[3]) for found in _TOKEN.finditer(expression.lower())
    ]
    tokens += [_Token("", None)] * 3
    at = told = 0  # before `told` values are only compared
    while at < len(tokens):
        here, name = at, tokens[at]
        at += 1
        if not name.is_name:
            continue
        if tokens[at].text == "(":
            if name.text in _COMPUTED and here >= told:
                told = _closing(tokens, at)
            continue
        path, at = _path(tokens, here)
        if here >= told or path[0] == "secrets":
            yield path


class _Token(NamedTuple):
    text: str
    word: str | None  # a name, a number, or what stands in quotes

    @property
    def is_name(self) -> bool:
        return self.text == self.word and not self.text[:1].isdigit()


def _path(tokens: list[_Token], at: int) -> tuple[ExpressionPath, int]:
    """The path that begins at `at`, and what comes after it. A computed part ends it."""
    path = [tokens[at].text]
    at += 1
    while tokens[at].text in (".", "["):
        if tokens[at].text == ".":
            path.append(tokens[at + 1].text)
            at += 2
        elif (word := tokens[at + 1].word) is not None and tokens[at + 2].text == "]":
            path.append(word)
            at += 3
        else:
            return (*path, "*"), at + 1
    return tuple(path), at


def _closing(tokens: list[_Token], at: int) -> int:
    """Behind the bracket that closes the one at `at`."""
    depth = 0
    for here in range(at, len(tokens)):
        depth += (tokens[here].text == "(") - (tokens[here].text == ")")
        if not depth:
            return here + 1
    return len(tokens)


_NO_TEXT = frozenset(
    {"action", "after", "before", "created_at", "draft", "id", "merged", "merged_at", "node_id", "number"}
    | {"sha", "updated_at"}
)
"""Fields of events that hold a number, a time, a hash or one of GitHub's own words."""


def is_typed_by_starter(path: ExpressionPath) -> bool:
    """Whether a path is an input that a person with write access typed to start the workflow."""
    return path[0] == "inputs" or path[:3] == ("github", "event", "inputs")


def is_foreign(path: ExpressionPath) -> bool:
    """Whether a path's text is written by somebody other than the workflow's author."""
    if path[0] != "github":
        return False
    if len(path) == 1 or path[1] == "*":
        return True
    if path[1] != "event":
        return path[1] in ("head_ref", "ref", "ref_name")
    free = len(path) > 2 and path[2] in ("client_payload", "inputs")
    return len(path) == 2 or free or path[-1] not in _NO_TEXT


def is_of_head(path: ExpressionPath) -> bool:
    """Whether a path names, or may name, the head of a pull request. Outputs of other steps may."""
    if path[0] in ("steps", "needs"):
        return True
    if path[0] != "github":
        return False
    if len(path) == 1 or path[1] in ("*", "head_ref"):
        return True
    if path[1] != "event":
        return False
    below = path[2:] or ("*",)
    ours = below[:2] in (("pull_request", "base"), ("workflow_run", "repository"))
    return not ours and below[0] in ("*", "pull_request", "workflow_run", "issue", "comment", "number")


def is_every_secret(path: ExpressionPath) -> bool:
    """Whether a path makes GitHub hand over all secrets; a computed name does."""
    return path[0] == "secrets" and (len(path) == 1 or path[1] == "*")


def read(text: str, test: Test) -> Iterator[tuple[int, str]]:
    """(offset, expression) for each expression in `text` that returns a path for which `test` holds."""
    for at, inside in expressions(text):
        if any(test(path) for path in paths(inside)):
            yield at, f"${{{{ {' '.join(inside.split())[:_SHOWN]} }}}}"


def carrier_variables(test: Test, *layers: Texts) -> frozenset[str]:
    """The variables, in lower case, whose value has a path for which `test` holds; inner layers go first."""
    held: frozenset[str] = frozenset()
    for layer in layers:
        names = {name.lower(): text.value for name, text in layer.items()}
        known = with_variables(test, held)
        held = (held - names.keys()) | {name for name, text in names.items() if any(read(text, known))}
    return held


def with_variables(test: Test, variables: frozenset[str]) -> Test:
    """A test that holds for `test`'s paths and for these variables."""
    whole = bool(variables)

    def either(path: ExpressionPath) -> bool:
        if path[0] != "env":
            return test(path)
        return whole if len(path) == 1 or path[1] == "*" else path[1] in variables or "*" in variables

    return either
