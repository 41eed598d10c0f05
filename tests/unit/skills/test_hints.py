"""What the hint of a fault says to write is accepted, and the fault stands where the wrong value stands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from runner.config.documents import Fault, Model, check, parse
from runner.config.documents.validate import models_in
from runner.config.settings import Config
from runner.harnesses import HARNESSES
from runner.publish.outputs import OUTPUTS
from runner.skills import load
from runner.skills.discover import skills_of_paths
from runner.skills.kinds import skill_model
from runner.triggers import TRIGGERS

HEAD = "version: 1\ndescription: d\nprompt: x\n"
REST = {"harness": "{kind: command, command: [a]}", "output": "{none: {}}"}


def faults(**keys: str) -> tuple[Fault, ...]:
    text = HEAD + "".join(f"{key}: {value}\n" for key, value in {**REST, **keys}.items())
    return load({"skills/a/skill.yaml": text.encode()}).faults


def all_models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model not in seen:
        seen.add(model)
        yield model
        for field in model.model_fields.values():
            for inner in models_in(field.annotation):
                yield from all_models(inner, seen)


EXAMPLES = [
    pytest.param(field, example, id=f"{model.__name__}.{name}-{number}")
    for model in [one for root in (skill_model(), Config) for one in all_models(root, set())]
    for name, field in model.model_fields.items()
    for number, example in enumerate(field.examples or ())
]


@pytest.mark.parametrize(("field", "example"), EXAMPLES)
def test_every_example_that_a_hint_can_print_is_accepted(field: Any, example: object) -> None:
    one: type[Model] = create_model("One", __base__=Model, key=(field.annotation, field))
    document = parse("f", f"key: {json.dumps(example)}\n".encode(), limit=1000)
    assert check(one, document) is not None, document.faults


KINDS = [
    *(("harness", kind) for kind in HARNESSES.names()),
    *(("output", kind) for kind in OUTPUTS.names()),
    *(("on", kind) for kind in TRIGGERS.names()),
]


@pytest.mark.parametrize(("key", "kind"), KINDS)
def test_what_a_hint_makes_of_a_kind_alone_is_accepted(key: str, kind: str) -> None:
    (fault,) = faults(**{key: kind})
    written = fault.hint.removeprefix(f"write `{key}: ").removesuffix("`")
    assert written.startswith("{")
    assert kind in written
    assert faults(**{key: written}) == ()


def test_the_example_of_a_missing_command_is_accepted() -> None:
    (fault,) = faults(harness="{kind: command}")
    assert fault.hint == 'write, for example, `command: ["python3", "scripts/update.py"]`'
    (fault,) = faults(harness=r'{kind: command, command: "[\"python3\", \"a.py\"]"}')
    assert fault.hint == "write the list without quotes around it"
    (fault,) = faults(harness="{kind: command, command: 3}")
    assert fault.hint == 'write ["3"]'
    assert faults(harness='{kind: command, command: ["3"]}') == ()


def test_an_input_that_is_a_choice_alone_is_told_with_options() -> None:
    (fault,) = faults(inputs="{x: choice}")
    assert fault.hint == "write `x: {type: choice, options: [short, long]}`"
    assert faults(inputs="{x: {type: choice, options: [short, long]}}") == ()


@pytest.mark.parametrize(
    ("harness", "line", "column", "value"),
    [
        ("{kind: command, command: [a], api: foo}", 4, 45, '"foo"'),
        ("{kind: command, command: [a], model: 3}", 4, 47, "3"),
        ("{kind: command, command: [a], modle: x}", 4, 40, '"x"'),
        ("\n  kind: command\n  command:\n    - a\n  api: foo", 8, 8, '"foo"'),
        ("\n  kind: command\n  command:\n    - a\n    - 3", 8, 7, "3"),
        ("\n  kind: command\n  command: [a]\n  modle: x", 7, 3, '"x"'),
    ],
)
def test_a_fault_beside_a_key_named_like_its_kind_stands_at_its_own_place(
    harness: str, line: int, column: int, value: str
) -> None:
    text = f"{HEAD}harness: {harness}\noutput: {{none: {{}}}}\n"
    document = parse("f", text.encode(), limit=1000)
    assert check(skill_model(), document) is None
    (fault,) = document.faults
    assert (fault.line, fault.column, fault.value) == (line, column, value)


def test_a_fault_of_an_input_named_like_a_type_stands_at_its_own_place() -> None:
    document = parse(
        "f", f"{HEAD}harness: {{kind: codex}}\noutput: {{none: {{}}}}\n"
        "inputs:\n  string: {type: choice, options: [a], defualt: a}\n".encode(), limit=1000
    )  # fmt: skip
    assert check(skill_model(), document) is None
    (fault,) = document.faults
    assert (fault.line, fault.column, fault.hint) == (7, 40, "did you mean `default`?")


@pytest.mark.parametrize(
    "again", [".", "skills", "skills/a", "skills/a/skill.yaml", "WHOLE", "link/skills/a"]
)
def test_a_folder_named_by_two_paths_is_one_skill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    skill = tmp_path / "skills/a"
    skill.mkdir(parents=True)
    text = f"{HEAD}harness: {{kind: codex}}\noutput: {{none: {{}}}}\n"
    (skill / "skill.yaml").write_text(text)
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    second = skill if again == "WHOLE" else Path(again)
    for paths in ([Path("skills/a"), second], [second, Path("skills/a")]):
        found = skills_of_paths(paths)
        loaded = load(found.files)
        assert (found.faults, loaded.faults, list(loaded.skills)) == ([], (), ["a"])


def test_two_folders_of_one_name_are_still_a_fault(tmp_path: Path) -> None:
    text = f"{HEAD}harness: {{kind: codex}}\noutput: {{none: {{}}}}\n"
    for folder in ("one/a", "two/a"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "skill.yaml").write_text(text)
    (fault,) = load(skills_of_paths([tmp_path / "one", tmp_path / "two"]).files).faults
    assert "a skill of this name is there already" in fault.message
