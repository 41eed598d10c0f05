"""A report that is kept with the run: Markdown, HTML, or JSON by a schema that the skill states."""

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue, field_validator

from runner.config.documents import Text
from runner.core.model import DeclaredOutput, OutputSpec, Receipt, RunSpec
from runner.core.units import Maybe
from runner.publish.outputs import Offer, Output, _item

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.publish.forges import Forge
    from runner.workspace.changeset import Changeset

_TYPES = {
    "markdown": ("md", "text/markdown"),
    "html": ("html", "text/html"),
    "json": ("json", "application/json"),
}
_FAULTS = 20
_HEAD = (  # nothing in it runs or is loaded, wherever it is opened
    '<!doctype html>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy"'
    " content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
)


class ReportOptions(_item.ItemOptions):
    """A report that is kept with the run."""

    format: Literal["markdown", "html", "json"] = Field(
        default="markdown", description="What it is written in"
    )
    json_schema: Maybe[dict[str, JsonValue]] = Field(
        default=None, description="With `json`: the JSON Schema (2020-12) that it has to fit"
    )

    @field_validator("json_schema")
    @classmethod
    def _is_schema(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        if given is not None:
            from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]

            try:
                Draft202012Validator.check_schema(given)
            except SchemaError as error:
                where = "/".join(map(str, error.absolute_path)) or "its top"
                raise ValueError(f"is no JSON Schema: at {where}: {error.message}") from None
        return given


class ReportDeclaration(_item.ItemDeclaration):
    """A report."""

    title: Text = Field(description="its title")
    content: JsonValue = Field(
        description="the report: a text in Markdown or HTML, or the JSON value itself", examples=["Words."]
    )


class ReportOutput(Output):
    name = "report"
    options = ReportOptions
    declares = ReportDeclaration
    each = True

    def check(self, item: DeclaredOutput, spec: RunSpec, output: OutputSpec) -> "Sequence[str]":
        kind, content = output.options.get("format", "markdown"), item.fields["content"]
        if kind != "json":
            is_text = isinstance(content, str) and content.strip()
            return () if is_text else [f"has no text in `content`: the skill wants {kind}"]
        return schema_faults(content, output.options.get("json_schema"))

    def publish(self, offer: Offer, forge: "Forge", changeset: "Changeset") -> Receipt:
        """Write the report as a file of the run; the same again is the same file."""
        kind = str(offer.output.options.get("format", "markdown"))
        ending, media = _TYPES[kind]
        said = ReportDeclaration.model_validate(dict(offer.item.fields if offer.item else {}))
        name = f"report-{offer.position + 1}.{ending}" if offer.position else f"report.{ending}"
        content = _content(offer, said, kind).encode("utf-8", "replace")
        return _item.keep(offer, _item.item_key(offer), name, content, media)


PLUGINS = (ReportOutput,)


def schema_faults(content: object, schema: "Mapping[str, Any] | None") -> list[str]:
    """Everything for which a JSON value does not fit a schema; no schema is fetched from anywhere."""
    if schema is None:
        return []
    from jsonschema import Draft202012Validator
    from referencing import Registry

    validator = Draft202012Validator(dict(schema), registry=Registry())
    try:
        errors = sorted(validator.iter_errors(content), key=lambda one: list(map(str, one.absolute_path)))
    except Exception as error:  # noqa: BLE001 - a reference that leads nowhere, a pattern that is none
        return [f"cannot be checked by the skill's `json_schema`: {type(error).__name__}: {str(error)[:200]}"]
    return [
        f"does not fit the skill's `json_schema`: `content/{'/'.join(map(str, one.absolute_path))}`:"
        f" {one.message[:300]}"
        for one in errors[:_FAULTS]
    ]


def _content(offer: Offer, said: ReportDeclaration, kind: str) -> str:
    if kind == "json":
        return json.dumps(said.content, indent=2, ensure_ascii=False) + "\n"
    if kind == "html":
        return f"{_HEAD}{said.content}\n"
    return f"# {_item.title(offer, said.title)}\n\n{_item.words(offer, str(said.content), 1024**2)}\n"
