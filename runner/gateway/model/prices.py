"""What models cost, and what a call of one did: exact, in US dollars.

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

_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")  # how providers name a model's snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens, for each of the numbers of `Used`."""

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_written: Decimal
    cache_written_1h: Decimal | None = None  # None: as `cache_written`
    above: int | None = None  # tokens of a prompt beyond which `long` holds, for the whole call
    long: "Price | None" = None


Prices = Mapping[str, Price]
"""By a model's name, or a glob over names."""


def cost(used: TokenUsage, price: Price) -> Decimal:
    """What the tokens cost; no rounding."""
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


def find(model: str, own: Prices) -> Price | None:
    """The price of a model by its name: among the user's own, or in the table, where snapshots are not named.

    A name goes before a glob, and a longer glob before a shorter one. None where no price is known.
    """
    plain = _DATED.sub("", model.removeprefix("models/"))
    names = (model, plain)
    globs = sorted((glob for glob in own if fnmatchcase(plain, glob) or fnmatchcase(model, glob)), key=len)
    return next((own[name] for name in names if name in own), None) or (
        own[globs[-1]] if globs else published_prices().get(plain)
    )


@cache
def published_prices() -> Prices:
    """The table that comes with the program."""
    text = resources.files("runner.gateway.model").joinpath("prices.toml").read_text()
    return {model: _price(row) for model, row in tomllib.loads(text, parse_float=Decimal).items()}


def _price(row: Mapping[str, Any]) -> Price:
    numbers = {name: Decimal(value) for name, value in row.items() if name not in ("above", "long")}
    long = _price(row["long"]) if "long" in row else None
    return Price(**numbers, above=row.get("above"), long=long)


def configured_prices(options: Mapping[str, PriceOptions]) -> Prices:
    """The prices that the configuration states. A float is written back as it stood in the file."""
    return {model: _price({name: str(value) for name, value in one}) for model, one in options.items()}
