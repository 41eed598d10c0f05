"""Data with positions -> a Pydantic model, or faults in the words of people who write files."""

import json
import os
import types
from collections.abc import Iterator
from typing import Annotated, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, RootModel, Strict, StringConstraints, ValidationError

from runner.config.documents.diagnostics import closest
from runner.config.documents.wording import should
from runner.config.documents.yaml import Data, Document, DocumentPath

# Pydantic would import and search all installed packages for plugins of its own, which takes longer than
# reading a skill; nothing but these models decides what a file may say.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
"""Text that is not blank."""

Many = Annotated[tuple[T, ...], Strict(strict=False)]
"""A list in the file, a tuple in the model."""


class Model(BaseModel):
    """What every model of a file has in common: nothing unknown, nothing guessed, nothing changed later.

    Where one is another's default, `model_construct` makes it: it holds nothing that would have to be
    checked, and a validator for it alone need not be built each time the program starts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def check(model: type[M], document: Document) -> M | None:
    """The data as `model`, or None with the reasons added to the document's faults."""
    if not isinstance(document.data, dict):
        message = "file is empty" if document.data is None else "file is not a mapping"
        document.fault((1, 1), message, document.data, "write `key: value` lines")
        return None
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            if not _follows(document, problem):
                _fault(model, document, problem)
        _drop_echoes(document)
        return None


def _follows(document: Document, problem: Data) -> bool:
    """Whether this error only follows from a fault that is reported already.

    A list counts as too short without its faulty items; what a fault of the text replaced has no value.
    """
    path, value = _locate(document.data, problem["loc"])
    if problem["type"] == "too_short":
        return len(value) >= int(problem["ctx"]["min_length"])
    return value is None and any(f.line_column == document.value(path) for f in document.faults)


def _drop_echoes(document: Document) -> None:
    """Drop the fault of a missing key where the fault of a misspelt one explains it."""
    meant = {f.hint for f in document.faults if f.message.startswith("unknown key")}
    document.faults[:] = [
        f for f in document.faults if f"did you mean {f.message.removesuffix(' is missing')}?" not in meant
    ]


def _fault(model: type[BaseModel], document: Document, problem: Data) -> None:
    kind, loc = problem["type"], problem["loc"]
    path, value = _locate(document.data, loc)
    if kind == "union_tag_not_found":
        kind, loc = "missing", (*loc, problem["ctx"]["discriminator"].strip("'"))
    if kind == "missing":
        example = _example(model, loc)
        document.fault(document.value(path), f"`{loc[-1]}` is missing", None, example)
    elif kind == "extra_forbidden":
        hint = closest(str(loc[-1]), known_keys(model, loc[:-1]))
        document.fault(document.key(path), f"unknown key `{loc[-1]}`", value, hint)
    elif kind == "union_tag_invalid":
        name = problem["ctx"]["discriminator"].strip("'")
        hint = closest(problem["ctx"]["tag"], _expected(problem["ctx"]["expected_tags"]))
        document.fault(document.value((*path, name)), f"unknown {name}", value[name], hint)
    elif loc and loc[-1] == "[key]":
        document.fault(document.key(path), _message(problem), path[-1], _hint(model, problem, value))
    else:
        document.fault(document.value(path), _message(problem), value, _hint(model, problem, value))


def _locate(data: Data, loc: tuple[str | int, ...]) -> tuple[DocumentPath, Data]:
    """The part of `data` that `loc` speaks of: Pydantic also puts the names of union members into it."""
    path: list[str | int] = []
    for part in loc:
        inside = part in data if isinstance(data, dict) else False
        if isinstance(data, list) and isinstance(part, int):
            inside = part < len(data)
        if inside:
            data = data[part]
            path.append(part)
    return tuple(path), data


def _message(problem: Data) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if words := should(kind, context):
        return f"should {words}"
    text = str(problem["msg"])
    return text[:1].lower() + text[1:]


def _hint(model: type[BaseModel], problem: Data, value: Data) -> str:
    kind, loc = problem["type"], problem["loc"]
    if kind == "literal_error" and isinstance(value, str):
        return closest(value, _expected(problem["ctx"]["expected"]))
    if kind == "string_type" and isinstance(value, (int, float, bool)):
        return "put it in quotes"
    if kind == "bool_type" and isinstance(value, str):
        return "write true or false, without quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "write a number, without quotes"
    if kind in ("list_type", "tuple_type"):
        return _list_hint(model, loc, value)
    if kind in ("model_type", "model_attributes_type", "dict_type") and isinstance(value, (str, list)):
        return _mapping_hint(model, loc, value)
    return ""


def _list_hint(model: type[BaseModel], loc: DocumentPath, value: Data) -> str:
    """How one value becomes a list of one: of a mapping, where the items are mappings."""
    items = [one for one in _owners(model, loc) if one not in _owners(model, loc[:-1])]
    needed = (name for one in items for name, field in one.model_fields.items() if field.is_required())
    first = next(needed, "")
    if isinstance(value, dict) and items:
        return "write `- ` before its first line, and indent the others"
    if first and isinstance(value, str):
        return f"write a list: `- {first}: {json.dumps(value, ensure_ascii=False)}`"
    if isinstance(value, (str, int, float)) and not items:
        text = json.dumps(value, ensure_ascii=False)
        return f"write [{text}]" if len(text) <= 40 else "write a list: one `- item` a line"
    return "write a list: one `- item` a line"


def _mapping_hint(model: type[BaseModel], loc: DocumentPath, value: Data) -> str:
    """How names become the keys that they were meant as."""
    names = [value] if isinstance(value, str) else value
    known = known_keys(model, loc)
    if loc and isinstance(value, str) and any(value in _tags(one) for one in _owners(model, loc)):
        return f"write `{loc[-1]}: {{kind: {value}}}`"
    if loc and names and all(isinstance(name, str) and name in known for name in names):
        return f"write `{loc[-1]}: {{{', '.join(f'{name}: {{}}' for name in names)}}}`"
    return f"write a mapping; known here: {', '.join(known[:12])}" if known and loc else ""


def _expected(text: str) -> list[str]:
    return [word.strip("' ") for word in text.replace(" or ", ", ").split(",")]


def known_keys(model: type[BaseModel], loc: DocumentPath) -> list[str]:
    """The keys that a mapping at `loc` may have."""
    return sorted({key for one in _owners(model, loc) for key in one.model_fields})


def _owners(model: type[BaseModel], loc: DocumentPath) -> list[type[BaseModel]]:
    """The models that a mapping at `loc` may have to fit; a union's member is named in `loc` by its tag."""
    here: list[type[BaseModel]] = [model]
    for part in loc:
        tagged = [one for one in here if str(part) in _tags(one)]
        here = tagged or [inner for one in here for inner in _step(one, part)] or here
    return here


def _tags(model: type[BaseModel]) -> list[str]:
    fields = (model.model_fields.get(name) for name in ("kind", "type"))
    return [str(tag) for field in fields if field is not None for tag in get_args(field.annotation)]


def _step(model: type[BaseModel], part: str | int) -> Iterator[type[BaseModel]]:
    field = model.model_fields.get(str(part))
    if field is not None:
        yield from models_in(field.annotation)


_CONTAINERS: tuple[object, ...] = (list, tuple, dict, Annotated, Union, types.UnionType)


def models_in(annotation: Data) -> Iterator[type[BaseModel]]:
    """Every model that an annotation speaks of, at any depth of lists, mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from models_in(annotation.model_fields["root"].annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in _CONTAINERS:
        for argument in get_args(annotation):
            yield from models_in(argument)


def _example(model: type[BaseModel], loc: DocumentPath) -> str:
    """The first example that the schema gives for a field that is missing."""
    for one in _owners(model, loc[:-1]):
        field = one.model_fields.get(str(loc[-1]))
        if field is not None and field.examples:
            return f"write, for example, `{loc[-1]}: {json.dumps(field.examples[0])}`"
    return f"add `{loc[-1]}:`"
