"""Globs mean the same however they are matched, and none takes long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import globs
from runner.core.globs import _TOKEN, _expression, _Steps, _token

PIECES = st.sampled_from(["**/", "**", "*", "?", "/", "a", "b", ".", "[ab]", "[!a]", "é"])
PATHS = st.text("ab/.é", max_size=8)


@given(st.lists(PIECES, max_size=5).map("".join), PATHS, st.booleans())
def test_both_ways_agree(pattern: str, path: str, ignore_case: bool) -> None:
    tokens = [_token(token) for token in _TOKEN.findall(pattern)]
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    wanted = re.fullmatch("".join(_expression(token) for token in tokens), path, flags) is not None
    assert _Steps(tokens, ignore_case).match(path) is wanted


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**/**/**/a*b*c*/d", "x/y/aabbcc/d", True),
        ("**/**/**/a*b*c*/d", "aXbYc/d", True),
        ("**/**/**/a*b*c*/d", "aXb/Yc/d", False),
        ("*a*a*a*a*", "aaaa", True),
        ("*a*a*a*a*", "aaa", False),
        ("src/**/test_*/**/*.py", "src/a/b/test_x/c.py", True),
        ("src/**/test_*/**/*.py", "src/test_x/deep/er/c.py", True),
        ("src/**/test_*/**/*.py", "src/test_x.py", False),
        ("*/*/*/", "a/b/c/d/e", True),
        ("*/*/*/", "a/b/c", False),
    ],
)
def test_many_wildcards(pattern: str, path: str, expected: bool) -> None:
    assert globs.matches(path, [pattern]) is expected


def test_case_is_ignored_where_asked() -> None:
    assert globs.matches("X/.GitHub/Y/Z.yml", ["**/.github/**/*.yml"], ignore_case=True)
    assert not globs.matches("X/.GitHub/Y/Z.yml", ["**/.github/**/*.yml"])


@pytest.mark.parametrize(
    "pattern", ["*a" * 60, "**/" * 60 + "b", "**/*a" * 40, "*" * 200 + "b", "[ab]*" * 50 + "c"]
)
def test_a_hostile_glob_ends(pattern: str) -> None:
    """A backtracking matcher would still be at it when the test's time is over."""
    assert not globs.matches("a" * 4000 + "!", [pattern])
