"""Rates as people write them; durations and sizes are tried with the files that use them."""

import pytest

from runner.core.units import Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "meant"), [("5/min", Rate(5, 60)), ("20/h", Rate(20, 3600)), ("100/d", Rate(100, 86400))]
)
def test_a_rate_is_a_number_in_a_stretch_of_time(text: str, meant: Rate) -> None:
    assert parse_rate(text) == meant
    assert str(meant) == text


@pytest.mark.parametrize("text", ["", "0/h", "5", "5/s", "5 / h", "-1/h", "5/hour", "5/h\n", 5, None])
def test_what_is_no_rate_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match=r"20/h"):
        parse_rate(text)
