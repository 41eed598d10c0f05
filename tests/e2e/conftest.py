"""End-to-end tests show that the parts work together."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def unmeasured_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coverage counts what runs in the tests' own process: measuring each child as well takes far longer.

    Tests that are `measured` run what no other test does: workers, and the Action.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("measured") is None:
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield
