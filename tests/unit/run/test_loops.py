"""The order of all that a run does again is written down once, with the bounds that the code has."""

from pathlib import Path

from runner.config.options import LimitOptions
from runner.core.model import Limits

DOC = Path(__file__).parents[3] / "docs" / "runs.md"
LOOPS = [
    ("provider's retries", "as the agent program does by itself", ""),
    ("correction", "1", ""),
    ("repair", "1", "`limits.repairs`"),
    ("attempt", "1, the first one included", "`limits.attempts`"),
]


def rows() -> list[tuple[str, str, str]]:
    lines = DOC.read_text().split("## The order of the loops")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [(name, most, option) for name, _, _, most, option in cells[2:]]


def test_the_table_of_loops_is_in_order_and_has_the_defaults() -> None:
    assert rows() == LOOPS
    for _, most, option in LOOPS:
        if option:
            name = option.strip("`").removeprefix("limits.")
            assert name in LimitOptions.model_fields
            assert most.startswith(str(getattr(Limits(), name)))
