"""What a test does when a real part is missing: visible locally, a failure in CI."""

import os
from typing import NoReturn

import pytest


def missing(part: str, hint: str) -> NoReturn:
    """Skip the test, saying what is missing; where CI is set every part must be there, so fail."""
    message = f"{part} is missing: {hint}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def require(present: object, part: str, hint: str) -> None:
    """Go on when `present` is true, else `missing`."""
    if not present:
        missing(part, hint)
