"""The files in schemas/ are what the models say, and both take and refuse the same documents."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError
from ruamel import yaml

from runner.config.settings import Config
from runner.core.model import FileChange, FileEdit, Proposal, TranscriptEvent, Unknown
from runner.skills import skill_model
from runner.skills.schema import schema_text, schemas, write
from tests.parts.patience import examples
from tests.parts.skills import YAML

ROOT = Path(__file__).parents[3]
SCHEMAS = schemas()
SKILL = Draft202012Validator(SCHEMAS["skill"])
CONFIG = Draft202012Validator(SCHEMAS["config"])
WHOLE: dict[str, Any] = yaml.YAML(typ="safe", pure=True).load(YAML)

# What a schema cannot say: whether a date ever comes, a zone exists, a default is among the options.
BEYOND = ("cron", "time zone", "is not one of the options")


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_files_are_what_the_models_say(name: str) -> None:
    path = ROOT / "schemas" / f"{name}.schema.json"
    assert path.read_text() == schema_text(SCHEMAS[name]), "run `make generate`"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_the_generator_writes_every_file(tmp_path: Path) -> None:
    assert sorted(path.name for path in write(tmp_path / "new")) == sorted(
        f"{name}.schema.json" for name in ("skill", "config", "run", "proposal", "transcript", "attestation")
    )


def taken(document: Any) -> bool | None:
    """Whether the model takes it; None where it refuses for a reason that a schema cannot state."""
    try:
        skill_model().model_validate(document)
    except ValidationError as error:
        found = error.errors()
        # A list whose only item is wrong is also called too short: that is no second fault.
        inner = [one["loc"] for one in found]
        messages = [
            one["msg"]
            for one in found
            if not any(len(loc) > len(one["loc"]) and loc[: len(one["loc"])] == one["loc"] for loc in inner)
        ]
        return None if all(any(word in text for word in BEYOND) for text in messages) else False
    return True


def agree(document: Any) -> None:
    verdict = taken(document)
    assert verdict is None or SKILL.is_valid(document) == verdict, document


def test_both_take_the_whole_skill() -> None:
    assert taken(WHOLE)
    assert SKILL.is_valid(WHOLE)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, item in items for inner in paths(item, (*path, key)))]


def changed(path: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(WHOLE)
    here = document
    for part in path[:-1]:
        here = here[part]
    if path:
        here[path[-1]] = value
        return document
    return value


plain = (
    st.none()
    | st.booleans()
    | st.integers(-3, 2_000_000)
    | st.floats(0.1, 9).filter(lambda number: not number.is_integer())
    | st.text(max_size=6).filter(lambda text: not text.endswith("\n"))
    | st.sampled_from(
        ["45m", "1h30m", "0s", "4g", "4G", "docs/**", "/etc", "../x", "skip", "published", "never"]
    )
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(paths(WHOLE)), values)
@settings(max_examples=examples(400))
def test_both_judge_a_changed_value_alike(path: tuple[Any, ...], value: Any) -> None:
    agree(changed(path, value))


@given(st.sampled_from([path for path in paths(WHOLE) if path and isinstance(path[-1], str)]))
def test_both_judge_a_missing_key_alike(path: tuple[Any, ...]) -> None:
    document = copy.deepcopy(WHOLE)
    here = document
    for part in path[:-1]:
        here = here[part]
    del here[path[-1]]
    agree(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("environment", "dockerfile"), "Dockerfile"),
        (("environment", "dockerfile"), None),
        (("output", "none"), {}),
        (("output", "none"), None),
        (("output",), {}),
        (("on",), {}),
        (("on", "manual"), None),
        (("on", "schedule"), None),
        (("on", "webhook"), None),
        (("prompt",), " "),
        (("enabled",), 1),
        (("version",), True),
        (("inputs", "depth"), {"type": "number", "default": "2"}),
        (("inputs", "depth"), {"default": 2}),
        (("inputs", "depth"), {"type": "bool"}),
        (("harness", "effort"), "extreme"),
        (("on_verify_failure",), "draft"),
    ],
)
def test_both_judge_the_corners_alike(path: tuple[Any, ...], value: Any) -> None:
    agree(changed(path, value))


@given(
    st.dictionaries(
        st.sampled_from(
            ["forge", "sandbox", "image", "skills", "limits", "bot", "github", "harnesses", "policy"]
        ),
        values,
    )
)
def test_both_judge_a_configuration_alike(document: dict[str, Any]) -> None:
    try:
        Config.model_validate(document)
        fine = True
    except ValidationError:
        fine = False
    assert CONFIG.is_valid(document) == fine


def test_records_fit_their_schemas() -> None:
    proposal = Proposal(base_sha="a", tree_sha="b", changes=(FileChange(path="x", change="added"),))
    record = json.loads(TypeAdapter(Proposal).dump_json(proposal))
    assert Draft202012Validator(SCHEMAS["proposal"]).is_valid(record)
    events: TypeAdapter[Any] = TypeAdapter(TranscriptEvent)
    for event in (FileEdit(path="x"), Unknown(text="?")):
        assert Draft202012Validator(SCHEMAS["transcript"]).is_valid(json.loads(events.dump_json(event)))
    assert not Draft202012Validator(SCHEMAS["transcript"]).is_valid({"type": "nothing"})
