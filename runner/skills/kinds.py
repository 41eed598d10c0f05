"""Builds the model of `skill.yaml` from its fixed keys and the installed kinds."""

from collections.abc import Mapping
from functools import cache
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, RootModel, create_model

from runner.config.documents import Many, Model, Text
from runner.config.options import ApprovalOptions, approval_choice
from runner.core.units import Absent
from runner.harnesses import HARNESSES
from runner.publish.outputs import OUTPUTS
from runner.skills.models import AllowanceOptions, SkillFile
from runner.triggers import TRIGGERS

TypeForm = Any
"""An annotation that is made at run time."""


@cache
def skill_model() -> type[SkillFile]:
    """The model of a skill file with all installed triggers, harnesses and outputs."""
    triggers = _choice("On", _triggers(), "What starts the skill", {})
    outputs = _choice("Output", _outputs(), "What is published", _output_rules())
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
        "approval": (
            Annotated[approval_choice(_approval()) | None, Absent()],
            Field(
                default=None,
                description="When a proposal waits for a person before it is published: required, or rules",
                examples=["required", {"paths": ["src/**"], "max_lines": 200}],
            ),
        ),
        "strangers": (
            Many[_kinds_for_strangers()],  # type: ignore[misc]
            Field(
                default=(),
                description="The outputs that runs on a stranger's pull request may publish; default: none",
            ),
        ),
        "output": (
            Annotated[outputs, AfterValidator(_fit_together)],
            Field(description="What is published: one kind, or several", examples=[_OUTPUT_EXAMPLE]),
        ),
    }
    return create_model("Skill", __base__=SkillFile, __doc__="A skill file.", **fields)


_OUTPUT_EXAMPLE = {"pull_request": {"title": "docs: update"}}


def _fit_together(output: Model) -> Model:
    """Any outputs, but what publishes nothing stands alone, and the changed files go to one place."""
    named = {kind: OUTPUTS.get(kind) for kind in sorted(output.model_fields_set)}
    if not named:
        raise ValueError("should name at least one output")
    if len(named) > 1 and (alone := [kind for kind, one in named.items() if not one.publishes]):
        raise ValueError(f"names `{alone[0]}`, which publishes nothing, beside others: keep one of them")
    if len(files := [kind for kind, one in named.items() if one.files]) > 1:
        raise ValueError(f"publishes the changed files by {' and '.join(files)}: keep one of them")
    return output


def _approval() -> TypeForm:
    kinds: TypeForm = Literal[tuple(OUTPUTS.all())]
    fields: dict[str, Any] = {
        "outputs": (Many[kinds], Field(default=(), description="If it publishes by one of these outputs"))
    }
    return create_model(
        "ApprovalOptions", __base__=ApprovalOptions, __doc__=ApprovalOptions.__doc__, **fields
    )


def _kinds_for_strangers() -> TypeForm:
    """The outputs that publish no files: a stranger's files in a branch of ours would run with our rights."""
    return Literal[tuple(kind for kind, one in OUTPUTS.all().items() if not (one.publishes and one.files))]


def _output_rules() -> dict[str, Any]:
    """The same in a schema's words."""
    alone = [kind for kind, one in OUTPUTS.all().items() if not one.publishes]
    files = [kind for kind, one in OUTPUTS.all().items() if one.files and one.publishes]
    rules = [
        *({"if": {"required": [kind]}, "then": {"maxProperties": 1}} for kind in alone),
        *({"not": {"required": [*pair]}} for pair in combinations(files, 2)),
    ]
    return {"minProperties": 1, "allOf": rules}


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


def _triggers() -> Mapping[str, type[BaseModel]]:
    return {name: trigger.options for name, trigger in TRIGGERS.all().items()}


def _outputs() -> Mapping[str, type[BaseModel]]:
    """The options of every output; one that publishes files also says which files it may."""
    return {
        kind: _with_allowance(kind, one.options) if one.files else one.options
        for kind, one in OUTPUTS.all().items()
    }


def _with_allowance(kind: str, options: type[BaseModel]) -> type[BaseModel]:
    title = "".join(word.title() for word in kind.split("_")) + "Output"
    return create_model(title, __base__=(options, AllowanceOptions), __doc__=options.__doc__)


def _harness() -> TypeForm:
    models = [_with_kind(kind, harness.options) for kind, harness in HARNESSES.all().items()]
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
