"""The docs cannot drift: pages that are made are made anew, examples are run, keys are all there."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel

from runner.apps.cli.main import VERBS, group
from runner.apps.families import FAMILIES
from runner.config.settings import Config, config_faults
from runner.core.plugins import Family, Plugin
from runner.run.testing import case as cases
from runner.run.testing.case_file import FILE
from runner.skills import load
from tests.parts import plugins

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
FRONT = b"---\nname: example\ndescription: x\n---\n\nDo it.\n"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def config_keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every dotted key of the configuration; `<kind>` stands for the keys of a map of models."""
    for name, field in model.model_fields.items():
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        models = [one for one in inner if issubclass(one, BaseModel)]
        below = f"{before}{name}.<kind>." if get_origin(field.annotation) is dict else f"{before}{name}."
        yield from config_keys(models[0], below) if models else [before + name]


def test_cli_page_is_up_to_date() -> None:
    """Asked in a process of its own: a command keeps the help that it was first asked for."""
    done = subprocess.run([sys.executable, "scripts/cli_docs.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run `make generate`"


def test_every_verb_says_the_same_in_the_list_and_itself() -> None:
    import click

    for verb in VERBS:
        command = group.get_command(click.Context(group), verb)
        assert command is not None
        assert command.get_short_help_str(200), verb


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", ROOT / "docs/skills.md", ROOT / "docs/tools.md"], ids=lambda path: path.name
)
def test_skills_in_the_docs_are_valid(path: Path) -> None:
    examples = [text for text in blocks(path.read_text(), "yaml") if "version: 1" in text]
    assert examples
    for text in examples:
        files = {"skills/example/skill.yaml": text.encode(), "skills/example/SKILL.md": FRONT}
        assert [str(fault) for fault in load(files).faults] == []


def test_the_case_in_the_docs_is_valid(tmp_path: Path) -> None:
    example, filters = blocks((ROOT / "docs/testing-skills.md").read_text(), "yaml")
    for step in ("before", "after"):
        (tmp_path / step).mkdir()
    (tmp_path / FILE).write_text(example + filters)
    options = cases.read("example", tmp_path).options
    assert options.expect is not None
    assert len(options.filters) == 2


def test_the_configuration_in_the_docs_is_valid_and_whole() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for example in blocks(text, "yaml"):
        assert [str(fault) for fault in config_faults("skillrunner.yaml", example.encode())] == []
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for key in config_keys(Config):
        group, _, last = key.rpartition(".")
        mine = [row for row in rows if row.startswith(f"| `{group}." if group else f"| `{last}`")]
        assert any(f"`{key}`" in row or f"`.{last}`" in row for row in mine), f"{key} is not described"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    script = ROOT / "skills/docs-after-release/scripts/check_docs.py"
    done = subprocess.run(
        [sys.executable, str(script), str(path.relative_to(ROOT))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_commands_in_the_docs_exist(path: Path) -> None:
    named = re.findall(r"\bskillrunner (?:-\S+ )*([a-z]+)\b", "\n".join(blocks(path.read_text(), "sh")))
    assert set(named) <= {*VERBS, "skillrunner"}


def test_the_plugins_in_the_docs_are_those_that_are_tested() -> None:
    """Each example is a whole file, which is installed, put through its contract suite and run."""
    text = (ROOT / "docs/plugins.md").read_text()
    examples = set(blocks(text, "python"))
    assert examples <= {path.read_text() for path in plugins.FOLDER.glob("*.py")}
    (package,) = (tomllib.loads(one) for one in blocks(text, "toml"))
    points = package["project"]["entry-points"]
    for one in plugins.EXAMPLES:
        if (plugins.FOLDER / f"{one.module}.py").read_text() in examples:
            for family in one.families:
                assert points[f"skillrunner.{family}"][one.module] == one.module


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)
def test_every_family_and_every_kind_has_its_heading(family: Family[Plugin]) -> None:
    plugin_page, kinds = (ROOT / "docs/plugins.md").read_text(), (ROOT / "docs/kinds.md").read_text()
    heading = f"## {family.name.replace('_', ' ').capitalize()}\n"
    assert heading in plugin_page
    _, _, after = kinds.partition(heading)
    own = re.split(r"^## ", after, flags=re.MULTILINE)[0]
    assert re.findall(r"^### `(.+)`$", own, re.MULTILINE) == family.names()
