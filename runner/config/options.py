"""Options of both skill files and the configuration: limits, resources, names and paths."""

import re
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
    model_validator,
)

from runner.config.documents import Many, Model
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


KindName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


_RULES = ("always", "paths", "max_lines", "changed_skill", "outputs")
_ANY_RULE: JsonValue = [{"required": [name]} for name in _RULES]


class ApprovalOptions(Model):
    """When a proposal waits for a person before it is published. Any rule that fits is enough."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _ANY_RULE})

    always: bool = Field(default=False, description="Every proposal, as `approval: required` says in short")
    paths: Annotated[Many[Glob], Field(max_length=200)] = Field(
        default=(), description="If a changed path matches one of these globs"
    )
    max_lines: Maybe[Annotated[int, Field(ge=0)]] = Field(
        default=None, description="If more lines than this are added and removed"
    )
    changed_skill: bool = Field(
        default=False, description="If nothing was published by the skill as it is written now"
    )
    outputs: Annotated[Many[KindName], Field(max_length=50)] = Field(
        default=(), description="If the skill publishes by one of these kinds of output"
    )
    expires: Duration = Field(
        default=model.ApprovalRules().expires,
        description="How long a proposal waits; after that it is not published",
        validate_default=False,
    )

    @model_validator(mode="after")
    def _has_a_rule(self) -> "ApprovalOptions":
        if not self.model_fields_set & {*_RULES}:
            raise ValueError(f"names no rule: give one of {', '.join(_RULES)}")
        return self

    def rules(self) -> model.ApprovalRules:
        """The record that the policy reads."""
        return model.ApprovalRules(
            **{one.name: getattr(self, one.name) for one in fields(model.ApprovalRules)}
        )


_IS_RULES = Discriminator(lambda given: "rules" if isinstance(given, (dict, ApprovalOptions)) else "word")
Required = Annotated[Literal["required"], Tag("word")]
ApprovalChoice = Annotated[Required | Annotated[ApprovalOptions, Tag("rules")], _IS_RULES]


def approval_choice(options: type[ApprovalOptions]) -> Any:
    """The annotation of an `approval` with more exact options."""
    return Annotated[Required | Annotated[options, Tag("rules")], _IS_RULES]


def approval_rules(choice: Literal["required"] | ApprovalOptions | None) -> model.ApprovalRules:
    """What a file says under `approval`; None: nothing."""
    if choice is None:
        return model.ApprovalRules()
    return model.ApprovalRules(always=True) if choice == "required" else choice.rules()


def all_approval_rules(*rules: model.ApprovalRules) -> model.ApprovalRules:
    """All rules together: each only adds, and the shortest time of those that say anything counts."""
    said = [one for one in rules if one != model.ApprovalRules()]
    lines = [one.max_lines for one in said if one.max_lines is not None]
    return model.ApprovalRules(
        always=any(one.always for one in said),
        paths=tuple(dict.fromkeys(path for one in said for path in one.paths)),
        max_lines=min(lines, default=None),
        changed_skill=any(one.changed_skill for one in said),
        outputs=tuple(dict.fromkeys(kind for one in said for kind in one.outputs)),
        expires=min((one.expires for one in said), default=model.ApprovalRules().expires),
    )


def both_approvals(ours: ApprovalChoice | None, theirs: ApprovalChoice | None) -> ApprovalChoice | None:
    """What two files say under `approval`, as one would: neither takes any of the other's away."""
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    found = all_approval_rules(approval_rules(ours), approval_rules(theirs))
    return ApprovalOptions.model_construct(**asdict(found))


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
    repairs: Maybe[Annotated[int, Field(ge=0, le=10)]] = Field(
        default=None, description="Times that a failed verification goes back to the agent; default 1"
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
    repairs: Maybe[Annotated[int, Field(ge=0, le=10)]] = Field(
        default=None, description="Times that a failed verification goes back to the agent"
    )
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
