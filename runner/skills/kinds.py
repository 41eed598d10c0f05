"""The whole of `skill.yaml` as one model: the fixed keys, and the kinds that are installed."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, RootModel, create_model

from runner.config.documents import Model, Text
from runner.core import plugins
from runner.core.units import Absent
from runner.skills.models import AllowanceOptions, SkillFile

TypeForm = Any
"""An annotation that is made at run time."""


@cache
def skill_model() -> type[SkillFile]:
    """The model of a skill file with all installed triggers, harnesses and outputs."""
    triggers = _choice("On", plugins.kinds("triggers"), "What starts the skill", {})
    outputs = _choice("Output", _outputs(), "What is published: exactly one kind", _EXACTLY_ONE)
    fields: dict[str, Any] = {
        "on": (
            triggers,
            Field(
                default=triggers.model_construct(),
                description="What starts the skill; by hand it always can be",
            ),
        ),
        "continue": (
            bool,
            Field(
                default=False,
                description="Whether a new event on the same issue or pull request goes on from the last run",
            ),
        ),
        "harness": (
            _harness(),
            Field(description="The agent CLI that does the work", examples=[{"kind": "claude-code"}]),
        ),
        "output": (
            Annotated[outputs, AfterValidator(_exactly_one)],
            Field(description="What is published: exactly one kind", examples=[_OUTPUT_EXAMPLE]),
        ),
    }
    return create_model("Skill", __base__=SkillFile, __doc__="A skill file.", **fields)


_OUTPUT_EXAMPLE = {"pull_request": {"title": "docs: update"}}
_EXACTLY_ONE = {"minProperties": 1, "maxProperties": 1}


def _exactly_one(output: Model) -> Model:
    count = len(output.model_fields_set)
    if count != 1:
        raise ValueError(f"should name exactly one output, not {count}")
    return output


def _choice(name: str, kinds: Mapping[str, type[BaseModel]], doc: str, extra: dict[str, Any]) -> type[Model]:
    """A mapping of kinds to their options; where all options have defaults, nothing need be said."""
    base = type(name, (Model,), {"model_config": {"json_schema_extra": extra}, "__doc__": doc})
    fields: dict[str, Any] = {kind: (_options(options), None) for kind, options in kinds.items()}
    return create_model(name, __base__=base, __doc__=doc, **fields)


def _options(options: type[BaseModel]) -> TypeForm:
    bare = not issubclass(options, RootModel) and not any(
        field.is_required() for field in options.model_fields.values()
    )
    if not bare:
        return Annotated[options | None, Absent()]
    return Annotated[options | None, AfterValidator(lambda given: options() if given is None else given)]


def _outputs() -> Mapping[str, type[BaseModel]]:
    """The options of every output; one that publishes files also says which files it may."""
    return {
        kind: _with_allowance(kind, options) if takes_files(kind) else options
        for kind, options in plugins.kinds("outputs").items()
    }


def takes_files(kind: str) -> bool:
    """Whether an output publishes changed files."""
    return bool(getattr(plugins.module("outputs", kind), "FILES", False))


def _with_allowance(kind: str, options: type[BaseModel]) -> type[BaseModel]:
    title = "".join(word.title() for word in kind.split("_")) + "Output"
    return create_model(title, __base__=(options, AllowanceOptions), __doc__=options.__doc__)


def _harness() -> TypeForm:
    models = [_with_kind(kind, options) for kind, options in plugins.kinds("harnesses").items()]
    if len(models) == 1:
        return models[0]
    union: Any = models[0]
    for one in models[1:]:
        union = union | one
    return Annotated[union, Field(discriminator="kind")]


def _with_kind(kind: str, options: type[BaseModel]) -> type[BaseModel]:
    title = "".join(word.title() for word in kind.split("-")) + "Harness"
    fields: dict[str, Any] = {
        "kind": (Literal[kind], Field(description="The harness")),
        "model": (
            Annotated[Text | None, Absent()],
            Field(default=None, description="The model, by the harness's own name for it"),
        ),
    }
    return create_model(title, __base__=(options, Model), __doc__=options.__doc__, **fields)
