"""How harnesses and their models are reached: the `harnesses:` section of the configuration."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from runner.config.documents import Many, Model, Text
from runner.config.options import Variable
from runner.core.model import Route
from runner.core.units import Maybe

Upstream = Annotated[
    str, Field(pattern=r"^(https://[^\s@/?#]+|http://(127\.0\.0\.1|localhost)(:\d+)?)(/[^\s?#]*)?$")
]
"""An address that a key may be sent to."""


class FallbackOptions(Model):
    """Another provider of the same API, asked when those before it are busy, fail or cannot be reached."""

    upstream: Upstream = Field(
        description="Its address, as the harness's own variable for it would hold it",
        examples=["https://models.example.com"],
    )
    key: Variable = Field(description="The name of the secret that holds its key", examples=["OTHER_API_KEY"])
    model: Maybe[Text] = Field(default=None, description="What is asked for there; default: the same model")


class RouteConditions(Model):
    """What has to hold of a request, all of it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    prompt_tokens_over: Maybe[Annotated[int, Field(ge=0)]] = Field(
        default=None, description="Its prompt is longer, at four bytes a token"
    )
    turns_over: Maybe[Annotated[int, Field(ge=0)]] = Field(
        default=None, description="The model has had more turns in this conversation"
    )
    first: Maybe[bool] = Field(default=None, description="Whether the model has had no turn yet")
    tools: Maybe[bool] = Field(
        default=None, description="Whether it offers tools; side questions, such as for a title, do not"
    )
    spent_over: Maybe[Annotated[float, Field(ge=0, le=1)]] = Field(
        default=None, description="More than this share of `limits.cost_usd` is spent"
    )


def _something(when: RouteConditions) -> RouteConditions:
    if not when.model_fields_set:
        raise ValueError("should have at least one condition; leave `when` out in the last rule")
    return when


class RouteOptions(Model):
    """A rule of `model: auto`."""

    when: Maybe[Annotated[RouteConditions, AfterValidator(_something)]] = Field(
        default=None, description="Which requests it is for; the last rule is for all others, and has none"
    )
    model: Text = Field(description="The model that they get, by its provider's name for it")

    @property
    def route(self) -> Route:
        return Route(model=self.model, **(self.when.model_dump() if self.when else {}))


def _complete(routes: tuple[RouteOptions, ...]) -> tuple[RouteOptions, ...]:
    last = len(routes) - 1
    for number, one in enumerate(routes):
        if (one.when is None) != (number == last):
            wrong = (
                "the last rule should have no `when`"
                if number == last
                else f"rule {number + 1} has no `when`"
            )
            raise ValueError(f"{wrong}: the last one, and no other, is for all requests that are left")
    return routes


class HarnessConfig(Model):
    """How one kind of harness is reached on this machine."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["binary", "version"]}})

    version: Maybe[Annotated[str, Field(pattern=r"^(tested|[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*)$")]] = Field(
        default=None,
        description="Installed from the npm registry and shown to the sandbox: a version, or `tested`",
        examples=["tested"],
    )
    binary: Maybe[Annotated[str, Field(pattern=r"^(/|~/)")]] = Field(
        default=None, description="A program of this machine that the sandbox sees, read-only"
    )
    variables: dict[Variable, str] = Field(default={}, description="Environment variables of the harness")
    fallback: Many[FallbackOptions] = Field(
        default=(), description="Who else is asked for the model, in this order"
    )
    routes: Annotated[Many[RouteOptions], AfterValidator(_complete)] = Field(
        default=(), description="The rules of `model: auto`: the first that fits a request decides"
    )

    @model_validator(mode="after")
    def _one_program(self) -> "HarnessConfig":
        if self.binary and self.version:
            raise ValueError("names binary and version: keep one of them")
        return self
