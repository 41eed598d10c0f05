"""The prices of models, and the exact cost of a call in US dollars.

The table of published prices is `prices.toml`; `prices:` in skillrunner.yaml goes before it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

from runner.config.options import PriceOptions
from runner.gateway.model.usage import TokenUsage

_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")  # the suffix of a model's snapshot in providers' names


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens, for each number of `TokenUsage`."""

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_written: Decimal
    cache_written_1h: Decimal | None = None  # None: as `cache_written`
    above: int | None = None  # prompt tokens beyond which `long` is the price of the whole call
    long: "Price | None" = None


Prices = Mapping[str, Price]
"""Prices by model name or glob."""


def cost(used: TokenUsage, price: Price) -> Decimal:
    """The cost of the tokens, without rounding."""
    if price.long is not None and price.above is not None and used.prompt > price.above:
        return cost(used, price.long)
    for_an_hour = price.cache_written if price.cache_written_1h is None else price.cache_written_1h
    dollars = (
        used.input * price.input
        + used.output * price.output
        + used.cached * price.cached
        + (used.cache_written - used.cache_written_1h) * price.cache_written
        + used.cache_written_1h * for_an_hour
    )
    return dollars.scaleb(-6)


def find_price(model: str, configured: Prices) -> Price | None:
    """The price of a model: from the configuration, else from the table, which does not list snapshots.

    A name goes before a glob, a longer glob before a shorter one. None: no price is known.
    """
    plain = _DATED.sub("", model.removeprefix("models/"))
    names = (model, plain)
    globs = sorted(
        (glob for glob in configured if fnmatchcase(plain, glob) or fnmatchcase(model, glob)), key=len
    )
    return next((configured[name] for name in names if name in configured), None) or (
        configured[globs[-1]] if globs else published_prices().get(plain)
    )


@cache
def published_prices() -> Prices:
    """The price table that comes with the program."""
    text = resources.files("runner.gateway.model").joinpath("prices.toml").read_text()
    return {model: _price(row) for model, row in tomllib.loads(text, parse_float=Decimal).items()}


def _price(row: Mapping[str, Any]) -> Price:
    numbers = {name: Decimal(value) for name, value in row.items() if name not in ("above", "long")}
    long = _price(row["long"]) if "long" in row else None
    return Price(**numbers, above=row.get("above"), long=long)


def configured_prices(options: Mapping[str, PriceOptions]) -> Prices:
    """The prices in the configuration. A float becomes the decimal number that the file says."""
    return {model: _price({name: str(value) for name, value in one}) for model, one in options.items()}
