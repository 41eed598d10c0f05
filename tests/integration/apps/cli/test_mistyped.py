"""What is mistyped on a command line is refused, with what there is, and before anything is done."""

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
description: Touch the docs
on: {manual: {}}
harness: {kind: command, command: [sh, -c, "echo new > docs/new.md"]}
output: {none: {}}
"""
CASE = {"skills/touch/cases/one/case.yaml": "version: 1\n", "skills/other/cases/two/note": "no case\n"}


@pytest.fixture
def typed(project: Project) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit({**skill_files("touch", YAML), **skill_files("other", YAML), **CASE})
    project.git("push", "-q", "origin", "main:release-1")
    return project


REFUSED: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("test", "--case", "oen"), ("no skill has a case 'oen'", "did you mean `one`?")),
    (("test", "--case", "else"), ("no skill has a case 'else'", "known here: one")),
    (("test", "--case", "two"), ("no skill has a case 'two'",)),
    (("test", "--case", "../x"), ("no skill has a case '../x'",)),
    (("test", "touch", "--case", "two"), ("the skill touch has no case 'two'", "known here: one")),
    (
        ("record", "touch", "--case", "Bad Name"),
        ("'Bad Name' is no name of a case", "begin with a letter"),
    ),
    (("record", "touch", "--case", "new\n"), ("is no name of a case",)),
    (("record", "touch", "--case", ""), ("'' is no name of a case",)),
    (("record", "touch", "--case", "new", "--base", "nope"), ("no branch 'nope'", "main, release-1")),
    (("run", "touch", "--base", "nope"), ("no branch 'nope'", "main, release-1")),
    (("run", "touch", "--base", "relaese-1", "--dry-run"), ("no branch", "did you mean `release-1`?")),
    (("pr", "label", "1", ""), ("an empty label",)),
    (("pr", "label", "1", " "), ("an empty label",)),
    (("pr", "list", "--repository", "no/such"), ("--repository means", "leave it out")),
    (("pr", "show", "1", "--repository", "no/such"), ("--repository means",)),
]


def test_what_is_mistyped_is_refused(typed: Project) -> None:
    for arguments, words in REFUSED:
        done = typed.skillrunner(*arguments)
        assert (done.code, [one for one in words if one not in done.err]) == (3, []), (arguments, done)
    assert not (typed.root / "skills/touch/cases/new").exists()
