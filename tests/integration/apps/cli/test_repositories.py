"""Runs on repositories as they are: what is odd about one comes out right, or is told."""

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
on: {manual: {}}
environment: {setup: ["echo made > lock.json; mkdir -p demo.egg-info; echo x > demo.egg-info/PKG-INFO"]}
harness: {kind: command, command: [sh, -c, "echo new > docs/new.md"]}
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    return project


def test_what_set_up_leaves_is_not_in_the_proposal(shop: Project) -> None:
    shop.commit({**skill_files("touch", YAML), "lock.json": "{}\n"})
    ran = shop.skillrunner("run", "touch")
    assert ran.out.startswith("succeeded"), ran.out
    assert shop.skillrunner("diff", "--stat").out == "docs/new.md | +1 -0\n1 file changed\n"
