"""End-to-end tests show that the parts work together; which lines run is measured by the other tiers."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_cover() -> Iterator[None]:
    """Coverage pauses by this fixture's name, which pytest-cov knows; child processes measure nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield
