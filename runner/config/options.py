"""Options of both skill files and the configuration: limits, resources, names and paths."""

import re
from dataclasses import fields
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from runner.config.documents import Model
from runner.core import model
from runner.core.units import Duration, Maybe, Size

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
GLOB = r"^(?!!)(?!(.*/)?\.{0,2}/)(?!(.*/)?\.{1,2}$)(?!(.*/)?\.git(/|$))[^\\\s]([^\\]*[^\\\s])?$"


def _check_glob(text: str) -> str:
    """The glob itself. Raises ValueError where no path of a repository could match it."""
    if re.search(GLOB, text) and not text.endswith("\n"):
        return text
    if text.startswith("!"):
        raise ValueError("begins with `!`, which excludes nothing here: name what is meant")
    if "\\" in text:
        raise ValueError("has a backslash: write `/` between folders")
    if text.startswith("/"):
        raise ValueError("begins with `/`: write it as it lies below the repository's root")
    raise ValueError(
        "matches no path of a repository: it has an empty part, `.`, `..`, `.git`, or a space at an end"
    )


Glob = Annotated[
    str,
    Field(max_length=500),
    AfterValidator(_check_glob),
    WithJsonSchema({"type": "string", "pattern": GLOB, "maxLength": 500}),
]


class ResourceOptions(Model):
    """How much of the machine a run may use."""

    cpus: Maybe[Annotated[float, Field(gt=0, le=1024)]] = Field(default=None, description="CPUs; default 2")
    memory: Maybe[Size] = Field(default=None, description='Memory, such as "4g", which is the default')
    pids: Maybe[Annotated[int, Field(ge=16, le=1_000_000)]] = Field(
        default=None, description="Processes and threads; default 512"
    )

    disk: Maybe[Size] = Field(
        default=None,
        description='What the workspace and the home may take, such as "6g", which is the default',
    )

    def merge(self, defaults: model.Resources) -> model.Resources:
        """These resources, completed by `defaults`."""
        return model.Resources(**_over(self, defaults))


class LimitOptions(Model):
    """When a run is stopped."""

    timeout: Maybe[Duration] = Field(default=None, description="Wall-clock time; default 45m")
    idle: Maybe[Duration] = Field(default=None, description="Time without output; default 10m")
    output: Maybe[Size] = Field(default=None, description="What the harness may print; default 4g")
    cost_usd: Maybe[Annotated[float, Field(gt=0)]] = Field(
        default=None, description="US dollars; default none"
    )
    attempts: Maybe[Annotated[int, Field(ge=1, le=10)]] = Field(
        default=None, description="Launches; default 1"
    )

    def merge(self, defaults: model.Limits) -> model.Limits:
        """These limits, completed by `defaults`."""
        return model.Limits(**_over(self, defaults))


class MaximaOptions(Model):
    """What no skill may exceed, whatever it says."""

    cpus: Maybe[Annotated[float, Field(gt=0, le=1024)]] = Field(default=None, description="CPUs")
    memory: Maybe[Size] = Field(default=None, description="Memory")
    pids: Maybe[Annotated[int, Field(ge=16, le=1_000_000)]] = Field(
        default=None, description="Processes and threads"
    )
    disk: Maybe[Size] = Field(default=None, description="What the workspace and the home may take")
    timeout: Maybe[Duration] = Field(default=None, description="Wall-clock time of each command")
    idle: Maybe[Duration] = Field(default=None, description="Time without output")
    output: Maybe[Size] = Field(default=None, description="What the harness may print")
    cost_usd: Maybe[Annotated[float, Field(gt=0)]] = Field(default=None, description="US dollars of a run")
    attempts: Maybe[Annotated[int, Field(ge=1, le=10)]] = Field(default=None, description="Launches")
    build_timeout: Maybe[Duration] = Field(default=None, description="How long an image may take to build")
    run: Maybe[Duration] = Field(
        default=None, description="Wall-clock time of an attempt, until it publishes"
    )


Usd = Annotated[float, Field(ge=0, le=1_000_000)]


class PriceOptions(Model):
    """What a model costs, in US dollars per million tokens."""

    input: Usd = Field(description="Input that neither came from a cache nor went into one")
    output: Usd = Field(description="Output, with what the model thought")
    cached: Usd = Field(description="Input that was read from a cache")
    cache_written: Usd = Field(description="Input that was written to a cache")
    cache_written_1h: Maybe[Usd] = Field(
        default=None, description="Input that was written to a cache for an hour; default: `cache_written`"
    )
    search: Maybe[Usd] = Field(
        default=None, description="A thousand searches of the web by the provider; default: unknown"
    )


def _over(options: Model, defaults: model.Limits | model.Resources) -> dict[str, Any]:
    said = {name: value for name in options.model_fields_set if (value := getattr(options, name)) is not None}
    return {field.name: said.get(field.name, getattr(defaults, field.name)) for field in fields(defaults)}
