"""What a call costs, to the last digit, by the published table or the user's own prices."""

from decimal import Decimal, Inexact, localcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.gateway.model import prices
from runner.gateway.model.prices import Price, cost, find_price
from runner.gateway.model.usage import TokenUsage

OPUS = Price(
    input=Decimal(5),
    output=Decimal(25),
    cached=Decimal("0.5"),
    cache_written=Decimal("6.25"),
    cache_written_1h=Decimal(10),
)


def test_each_number_has_its_price() -> None:
    used = TokenUsage(input=1_000, output=100, cached=10_000, cache_written=3_000, cache_written_1h=1_000)
    expected = Decimal("0.005") + Decimal("0.0025") + Decimal("0.005") + Decimal("0.0125") + Decimal("0.01")
    assert cost(used, OPUS) == expected
    assert cost(TokenUsage(), OPUS) == 0


TOKENS = st.integers(0, 10**12 - 1)


@given(TOKENS, TOKENS, TOKENS, TOKENS, st.sampled_from(sorted(prices.published_prices())))
def test_nothing_is_ever_rounded(one: int, two: int, three: int, four: int, model: str) -> None:
    used = TokenUsage(input=one, output=two, cached=three, cache_written=four, cache_written_1h=four // 2)
    with localcontext() as context:
        context.traps[Inexact] = True
        assert cost(used, prices.published_prices()[model]) >= 0


@pytest.mark.parametrize(("output", "prompt", "dollars"), [(0, 100_000, "0.01"), (2, 100_001, "0.0500055")])
def test_a_long_prompt_has_prices_of_its_own(output: int, prompt: int, dollars: str) -> None:
    price = prices.published_prices()["claude-haiku-5-5"]
    assert cost(TokenUsage(input=prompt, output=output), price) == Decimal(dollars)
    cached = TokenUsage(input=prompt - 50_000, cached=40_000, cache_written=10_000)
    assert cost(cached, price) == cost(cached, price.long if prompt > 100_000 and price.long else price)


def test_every_published_price_is_plausible() -> None:
    table = prices.published_prices()
    assert {"claude-opus-5-5", "gpt-6-sol", "gemini-2.5-pro"} <= table.keys()
    for model, price in table.items():
        assert 0 < price.cached < price.input < price.output, model
        assert price.input <= price.cache_written <= 2 * price.input, model
        assert (price.above is None) is (price.long is None), model
        if price.long is not None:
            assert price.long.input > price.input, model
            assert price.long.output > price.output, model


@pytest.mark.parametrize(
    ("model", "row"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("gpt-5.5-2026-04-23", "gpt-5.5"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gpt-5.5-pro", None),
        ("gpt-5.5-20", None),
        ("claude-opus", None),
        ("", None),
    ],
)
def test_a_model_is_known_by_its_name_alone(model: str, row: str | None) -> None:
    assert find_price(model, {}) == (prices.published_prices()[row] if row else None)


def test_the_users_own_prices_go_first_and_names_before_globs() -> None:
    def flat(dollars: int) -> Price:
        return Price(**dict.fromkeys(("input", "output", "cached", "cache_written"), Decimal(dollars)))  # type: ignore[arg-type]

    own = {"*": flat(1), "gpt-*": flat(2), "gpt-5.*": flat(3), "gpt-5.5": flat(4)}
    found = [
        find_price(model, own) for model in ("o3", "gpt-4.1", "gpt-5.4", "gpt-5.5", "gpt-5.5-2026-04-23")
    ]
    assert found == [flat(1), flat(2), flat(3), flat(4), flat(4)]


def write(folder: Path, text: str) -> Path:
    (folder / "skillrunner.yaml").write_text(text)
    return folder


def test_prices_are_configured_exactly(tmp_path: Path) -> None:
    text = "prices:\n  gpt-5.5: {input: 0.1, output: 3, cached: 0.0123, cache_written: 0}\n"
    config = load_config(write(tmp_path, text), environ={})
    own = prices.configured_prices(config.prices)
    assert own == {
        "gpt-5.5": Price(
            input=Decimal("0.1"), output=Decimal(3), cached=Decimal("0.0123"), cache_written=Decimal(0)
        )
    }
    assert config.origin("prices.gpt-5.5.input") == str(tmp_path / "skillrunner.yaml")


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("m: {input: 1, output: 1, cached: 1}", "`cache_written` is missing"),
        ("m: {input: -1, output: 1, cached: 1, cache_written: 1}", "input"),
        ('m: {input: "1", output: 1, cached: 1, cache_written: 1}', "should be a number"),
        ("m: {input: 1, output: 1, cached: 1, cache_written: 1, thinking: 2}", "unknown key `thinking`"),
        ('"a b": {input: 1, output: 1, cached: 1, cache_written: 1}', "a b"),
    ],
)
def test_a_price_that_is_none_is_refused(tmp_path: Path, entry: str, fault: str) -> None:
    with pytest.raises(RunnerError) as caught:
        load_config(write(tmp_path, f"prices:\n  {entry}\n"), environ={})
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert fault in caught.value.message
