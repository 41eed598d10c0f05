"""What a call costs, to the last digit, by the published table or the user's own prices."""

from dataclasses import replace
from decimal import Decimal, Inexact, localcontext
from pathlib import Path

import pytest
from genai_prices.types import ModelPrice, Tier, TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from runner.config.settings import load_config
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.gateway.model import prices
from runner.gateway.model.prices import Price, cost, find_price
from runner.gateway.model.tokens import TokenUsage

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


def test_a_price_is_unknown_where_the_package_has_none_for_text() -> None:
    table = prices.published_prices()
    for model in ("gemma-3", "whisper-1", "text-embedding-3-small", "gpt-image-1.5", "gpt-9"):
        assert model not in table


def flat(dollars: int | str) -> Price:
    return Price(**dict.fromkeys(("input", "output", "cached", "cache_written"), Decimal(dollars)))  # type: ignore[arg-type]


def _of_tokens(price: Price) -> Price:
    return replace(price, search=None, long=price.long and _of_tokens(price.long))


def test_published_prices_are_those_of_their_day() -> None:
    """As the providers' own pages said on 2026-11-21."""
    published = prices.published_prices()
    assert published["claude-opus-4-5"].search == 10
    table = {name: _of_tokens(price) for name, price in published.items()}
    assert table["claude-opus-4-5"] == OPUS
    assert table["claude-mythos-5-1"] == table["claude-fable-5-1"]
    assert table["gpt-5"] == replace(flat("1.25"), cached=Decimal("0.125"), output=Decimal(10))
    long = replace(flat(4), cached=Decimal("0.4"), output=Decimal(15), cache_written=Decimal(5))
    expected = {"input": 2, "output": 10, "cached": Decimal("0.2"), "cache_written": Decimal("2.5")}
    assert table["gpt-6-sol"] == Price(**expected, above=272_000, long=long)  # type: ignore[arg-type]
    long = replace(flat("2.5"), cached=Decimal("0.25"), output=Decimal(15))
    expected = {"input": Decimal("1.25"), "output": 10, "cached": Decimal("0.125")}
    gemini = Price(**expected, cache_written=Decimal("1.25"), above=200_000, long=long)  # type: ignore[arg-type]
    assert table["gemini-2.5-pro"] == gemini


def test_several_tiers_hold_each_from_its_start() -> None:
    tiers = TieredPrices(
        base=Decimal(1), tiers=[Tier(start=10, price=Decimal(2)), Tier(start=20, price=Decimal(3))]
    )
    price = prices._published(ModelPrice(input_mtok=tiers, output_mtok=Decimal(7)))
    assert price is not None
    found = [cost(TokenUsage(input=size), price) * 10**6 / size for size in (10, 11, 20, 21)]
    assert found == [1, 2, 2, 3]


def test_every_published_price_is_plausible() -> None:
    for model, price in prices.published_prices().items():
        assert 0 < price.cached <= price.input, model
        assert price.output > 0, model
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
        ("gpt-5.1-codex", "gpt-5.1"),
        ("claude-mythos-5-20260801", "claude-fable-5"),
        ("gpt-5.5-ultra", None),
        ("claude-sonnet-4-5-ours", None),
        ("gpt-5.5-20", None),
        ("claude-opus", None),
        ("", None),
    ],
)
def test_a_model_is_known_by_its_name_alone(model: str, row: str | None) -> None:
    assert find_price(model, {}) == (prices.published_prices()[row] if row else None)


def test_the_users_own_prices_go_first_and_names_before_globs() -> None:
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
        ("m: {input: -1, output: 1, cached: 1, cache_written: 1}", "should be at least 0 (value: -1)"),
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
