"""The prices of models, and the exact cost of a call in US dollars.

Published prices are those of the package genai-prices; `prices:` in skillrunner.yaml goes before them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from runner.config.options import PriceOptions
from runner.gateway.model.tokens import TokenUsage

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelPrice, TieredPrices

_PROVIDERS = ("anthropic", "openai", "google")  # a name of two of them means the first one's model
_SAME_PRICES = ("claude-mythos-", "claude-fable-")  # one model by two names; only the second are all listed
_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")  # the suffix of a model's snapshot in providers' names


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens, for each number of `TokenUsage`."""

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_written: Decimal
    cache_written_1h: Decimal | None = None  # None: as `cache_written`
    search: Decimal | None = None  # a search of the web, in US dollars per thousand; None: unknown
    above: int | None = None  # prompt tokens beyond which `long` is the price of the whole call
    long: "Price | None" = None


Prices = Mapping[str, Price]
"""Prices by model name or glob."""


def cost(usage: TokenUsage, price: Price) -> Decimal:
    """The cost of the tokens, without rounding."""
    price = tier(price, usage.prompt)
    for_an_hour = price.cache_written if price.cache_written_1h is None else price.cache_written_1h
    dollars = (
        usage.input * price.input
        + usage.output * price.output
        + usage.cached * price.cached
        + (usage.cache_written - usage.cache_written_1h) * price.cache_written
        + usage.cache_written_1h * for_an_hour
    )
    return dollars.scaleb(-6) + (usage.searches * (price.search or Decimal(0))).scaleb(-3)


def highest_cost(price: Price, prompt: int, output: int, *, for_an_hour: bool = False) -> Decimal:
    """The most that so many tokens may cost: all of the prompt may be written to a cache."""
    now = tier(price, prompt)
    lasting = now.cache_written_1h if for_an_hour and now.cache_written_1h is not None else now.cache_written
    return (prompt * max(now.input, now.cached, lasting) + output * now.output).scaleb(-6)


def tier(price: Price, prompt: int) -> Price:
    """The price of calls with so long a prompt."""
    if price.long is not None and price.above is not None and prompt > price.above:
        return tier(price.long, prompt)
    return price


def find_price(model: str, configured: Prices) -> Price | None:
    """The price of a model: from the configuration, else from the table, which does not list snapshots."""
    return own_price(model, configured) or published_prices().get(_plain(model))


def own_price(model: str, configured: Prices) -> Price | None:
    """The price in the configuration: by its exact name, else by the longest glob that fits."""
    plain = _plain(model)
    names = [name for name in (model, plain) if name in configured]
    globs = (glob for glob in configured if fnmatchcase(plain, glob) or fnmatchcase(model, glob))
    found = names[0] if names else max(globs, key=len, default=None)
    return None if found is None else configured[found]


def _plain(model: str) -> str:
    """A model's name without the snapshot."""
    return _DATED.sub("", model.removeprefix("models/"))


def published_prices() -> Prices:
    """Today's prices of the models of Anthropic, OpenAI and Google, by their exact names."""
    return _published_on(datetime.now(UTC).date())


@lru_cache(maxsize=1)
def _published_on(day: date) -> Prices:
    from genai_prices.data_snapshot import get_snapshot  # 0.1 s and 12 MB, which only a priced call needs

    providers = {provider.id: provider for provider in get_snapshot().providers}
    table: dict[str, Price] = {}
    for provider in (providers[name] for name in _PROVIDERS):
        for model in provider.models:
            price = _published(model.get_prices(datetime.combine(day, time(), UTC)))
            if price is not None:
                table = {**dict.fromkeys((model.id, *_names(model.match)), price), **table}
    newer, older = _SAME_PRICES
    same = {name.replace(older, newer): price for name, price in table.items() if name.startswith(older)}
    return {**same, **table}


def _names(match: "MatchLogic") -> Iterator[str]:
    """The names that mean a model exactly: what only begins like one may be another, at another price."""
    from genai_prices.types import ClauseEquals, ClauseOr

    if isinstance(match, ClauseEquals):
        yield match.equals
    elif isinstance(match, ClauseOr):
        for one in match.or_:
            yield from _names(one)


def _published(prices: "ModelPrice") -> Price | None:
    """The prices of a model that answers in text; None where one is missing or zero, and so is not known.

    What answers in sound or pictures has prices that the answer's plain numbers do not go with.
    """
    numbers: Mapping[str, Decimal | TieredPrices] = {
        name: value for name, value in vars(prices).items() if value is not None
    }
    if any(name.startswith("output_") and name != "output_mtok" for name in numbers):
        return None
    tiers = [tier.start for value in numbers.values() for tier in getattr(value, "tiers", ())]
    found: Price | None = None
    above: int | None = None
    for start in sorted({0, *tiers}, reverse=True):
        now = {name: _at(value, start) for name, value in numbers.items()}
        sent, received = now.get("input_mtok"), now.get("output_mtok")
        if not sent or not received:
            return None
        found = Price(
            input=sent,
            output=received,
            cached=now.get("cache_read_mtok", sent),
            cache_written=now.get("cache_write_mtok", sent),
            cache_written_1h=now.get("cache_write_1h_mtok"),
            search=now.get("web_searches_kcount"),
            above=above,
            long=found,
        )
        above = start
    return found


def _at(value: "Decimal | TieredPrices", start: int) -> Decimal:
    """A price for prompts longer than `start` tokens."""
    if isinstance(value, Decimal):
        return value
    return ([value.base] + [tier.price for tier in value.tiers if tier.start <= start])[-1]


def _price(row: Mapping[str, Any]) -> Price:
    numbers = {name: Decimal(value) for name, value in row.items() if name not in ("above", "long")}
    long = _price(row["long"]) if "long" in row else None
    return Price(**numbers, above=row.get("above"), long=long)


def configured_prices(options: Mapping[str, PriceOptions]) -> Prices:
    """The prices in the configuration. A float becomes the decimal number that the file says."""
    return {
        model: _price({name: str(value) for name, value in one if value is not None})
        for model, one in options.items()
    }
