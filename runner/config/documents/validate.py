"""Data with positions -> a Pydantic model, or faults in the words of people who write files."""

import json
import os
import re
import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, RootModel, Strict, StringConstraints, ValidationError

from runner.config.documents.diagnostics import closest
from runner.config.documents.wording import should
from runner.config.documents.yaml import Data, Document, DocumentPath, resolve
from runner.core.payload import parse_json

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
            if not _follows(model, document, problem):
                _fault(model, document, problem)
        _drop_echoes(document)
        return None


def _follows(model: type[BaseModel], document: Document, problem: Data) -> bool:
    """Whether this error only follows from a fault that is reported already.

    A list counts as too short without its faulty items; what a fault of the text replaced has no value.
    """
    path, value, _ = _locate(model, document.data, problem["loc"])
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
    path, value, owners = _locate(model, document.data, loc)
    if kind == "union_tag_not_found":
        kind, loc = "missing", (*loc, problem["ctx"]["discriminator"].strip("'"))
    if kind == "missing":
        document.fault(document.value(path), f"`{loc[-1]}` is missing", None, _example(owners, str(loc[-1])))
    elif kind == "extra_forbidden":
        hint = closest(str(loc[-1]), _known_keys(_locate(model, document.data, loc[:-1])[2]))
        document.fault(document.key(path), f"unknown key `{loc[-1]}`", value, hint)
    elif kind == "union_tag_invalid":
        name = problem["ctx"]["discriminator"].strip("'")
        hint = closest(problem["ctx"]["tag"], _expected(problem["ctx"]["expected_tags"]))
        document.fault(document.value((*path, name)), f"unknown {name}", value[name], hint)
    elif loc and loc[-1] == "[key]":
        document.fault(document.key(path), _message(problem), path[-1], _hint(model, document, problem))
    else:
        document.fault(document.value(path), _message(problem), value, _hint(model, document, problem))


def _locate(
    model: type[BaseModel], data: Data, loc: tuple[str | int, ...]
) -> tuple[DocumentPath, Data, Sequence[type[BaseModel]]]:
    """(path, value, models) of what `loc` speaks of: the models are those that a mapping there has to fit.

    Pydantic also puts the tags of union members into `loc`, and a tag may be the name of a key as well.
    """
    path: list[str | int] = []
    here: Sequence[type[BaseModel]] = [model]
    for part in loc:
        members = [one for one in here if part in _tags(one)] if len(here) > 1 else []
        if members and isinstance(data, dict) and part in (data.get("kind"), data.get("type")):
            here = members
            continue
        if (part in data) if isinstance(data, dict) else _is_index(part, data):
            data = data[part]
            path.append(part)
        here = [inner for one in here for inner in _step(one, part)] or here
    return tuple(path), data, here


def _is_index(part: str | int, data: Data) -> bool:
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _message(problem: Data) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if words := should(kind, context):
        return f"should {words}"
    text = str(problem["msg"])
    return text[:1].lower() + text[1:]


def _hint(model: type[BaseModel], document: Document, problem: Data) -> str:
    kind, loc = problem["type"], problem["loc"]
    _, value, owners = _locate(model, document.data, loc)
    if kind == "literal_error" and isinstance(value, str):
        return closest(value, _expected(problem["ctx"]["expected"]))
    if kind == "string_type" and isinstance(value, (int, float, bool)):
        return "put it in quotes"
    if kind == "bool_type" and isinstance(value, str):
        return "write true or false, without quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "write a number, without quotes"
    if kind in ("list_type", "tuple_type"):
        above = _locate(model, document.data, loc[:-1])[2]
        return _list_hint([one for one in owners if one not in above], value)
    if kind in ("model_type", "model_attributes_type", "dict_type") and isinstance(value, (str, list)):
        return _mapping_hint(str(loc[-1]) if loc else "", owners, value)
    return ""


def _list_hint(items: Sequence[type[BaseModel]], value: Data) -> str:
    """How one value becomes a list of one: of a mapping, where the items are mappings."""
    needed = (name for one in items for name, field in one.model_fields.items() if field.is_required())
    first = next(needed, "")
    if isinstance(value, dict) and items:
        return "write `- ` before its first line, and indent the others"
    if first and isinstance(value, str):
        return f"write a list: `- {first}: {json.dumps(value, ensure_ascii=False)}`"
    if isinstance(value, str) and _is_list(value):
        return "write the list without quotes around it"
    if isinstance(value, (str, int, float)) and not items:
        text = json.dumps(value if isinstance(value, str) else json.dumps(value), ensure_ascii=False)
        return f"write [{text}]" if len(text) <= 40 else "write a list: one `- item` a line"
    return "write a list: one `- item` a line"


def _is_list(text: str) -> bool:
    """Whether a text is a list that somebody put into quotes."""
    try:
        return isinstance(parse_json(text), list)
    except ValueError:
        return False


def _mapping_hint(key: str, owners: Sequence[type[BaseModel]], value: Data) -> str:
    """How names become the keys that they were meant as, with what each has to have."""
    names = [value] if isinstance(value, str) else value
    known = _known_keys(owners)
    if not key or not names:
        return ""
    if isinstance(value, str) and (members := [one for one in owners if value in _tags(one)]):
        return f"write `{key}: {_flow({_tag_key(members[0]): value, **_least(members[0])})}`"
    if all(isinstance(name, str) and name in known for name in names):
        fields = {name: field for one in owners for name, field in one.model_fields.items()}
        return f"write `{key}: {_flow({name: _least_value(fields[name].annotation) for name in names})}`"
    return f"write a mapping; known here: {', '.join(known[:12])}" if known else ""


def _least(model: type[BaseModel]) -> Data:
    """The least that a mapping of this model has to say, by the examples of its fields."""
    needed = {name: field for name, field in model.model_fields.items() if field.is_required()}
    return {name: (field.examples or [None])[0] for name, field in needed.items() if field.examples}


def _least_value(annotation: Data) -> Data:
    model = next((one for one in models_in(annotation)), None)
    least = _least(model) if model is not None else {}
    return [least] if _is_of_items(annotation) else least


def _is_of_items(annotation: Data) -> bool:
    """Whether the value is a list, by itself or as what a root model holds."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _is_of_items(annotation.model_fields["root"].annotation)
    origin: object = get_origin(annotation)
    if origin in (list, tuple):
        return True
    return origin in _CONTAINERS and any(_is_of_items(one) for one in get_args(annotation))


def _tag_key(model: type[BaseModel]) -> str:
    return "kind" if "kind" in model.model_fields else "type"


def _flow(value: Data) -> str:
    """A value in YAML's short form, with quotes only around texts that are no plain words."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    is_word = isinstance(value, str) and re.fullmatch(r"[a-z][a-z_-]*", value) and resolve(value) == value
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)


def _expected(text: str) -> list[str]:
    return [word.strip("' ") for word in text.replace(" or ", ", ").split(",")]


def _known_keys(owners: Sequence[type[BaseModel]]) -> list[str]:
    return sorted({key for one in owners for key in one.model_fields})


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


def _example(owners: Sequence[type[BaseModel]], key: str) -> str:
    """The first example that the schema gives for a field that is missing, or the words that it may be."""
    for one in owners:
        field = one.model_fields.get(key)
        if field is not None and field.examples:
            return f"write, for example, `{key}: {json.dumps(field.examples[0], ensure_ascii=False)}`"
    words = [str(word) for one in owners if key in one.model_fields for word in _words(one, key)]
    return f"add `{key}:`, with one of: {', '.join(words)}" if words else f"add `{key}:`"


def _words(model: type[BaseModel], key: str) -> tuple[Data, ...]:
    annotation = model.model_fields[key].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()
