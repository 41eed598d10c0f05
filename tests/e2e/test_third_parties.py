"""Packages of third parties, installed beside the runner, are used and looked at as its users do it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.parts.cli import Project, skill_files
from tests.parts.plugins import install

YAML = """
    description: Write the list of files
    harness: {kind: gnu-make, target: list}
    environment: {sandbox: niced}
    output: {pull_request: {title: List, paths: [list.txt]}}
"""
MAKEFILE = "list:\n\tls > list.txt\n\tps -o nice= -p $$$$ >> list.txt\n"


@pytest.fixture
def equipped(project: Project, third_parties: Path) -> Project:
    """A project whose people have the packages installed."""
    project.commit({"Makefile": MAKEFILE, **skill_files("list", YAML)})
    return replace(project, variables={"PYTHONPATH": str(third_parties)})


def broken(project: Project, folder: Path) -> Project:
    file = folder / "acme_harness.py"
    file.write_text("raise RuntimeError('not today')\n")
    return replace(project, variables={"PYTHONPATH": str(install(folder / "broken", file, ["harnesses"]))})


def test_a_harness_and_a_sandbox_of_third_parties_do_the_work(equipped: Project) -> None:
    done = equipped.skillrunner("run", "list")
    assert done.code == 0, done.err
    assert "isolates NOTHING" in done.err
    (branch,) = (name for name in equipped.branches() if name != "main")
    made = equipped.git("show", f"{branch}:list.txt", cwd=equipped.origin).split()
    assert made == ["Makefile", "README.md", "docs", "list.txt", "skills", "19"]


def test_their_options_are_checked_as_ours(equipped: Project) -> None:
    assert equipped.skillrunner("validate").code == 0
    equipped.write(skill_files("list", YAML.replace("target: list", "goal: list")))
    done = equipped.skillrunner("validate")
    assert done.code == 3
    assert "goal" in done.out + done.err


def test_doctor_lists_them(equipped: Project) -> None:
    equipped.variables["SKILLRUNNER_SANDBOX"] = "niced"
    done = equipped.skillrunner("doctor")
    assert "plugin     make_harness 1.0 adds to the harnesses: gnu-make" in done.out
    assert "plugin     niced_sandbox 1.0 adds to the sandboxes: niced" in done.out
    assert "sandbox    niced is installed" in done.out
    assert f"make is {shutil.which('make')}, for gnu-make" in done.out


def test_doctor_says_in_one_line_what_is_broken(project: Project, tmp_path: Path) -> None:
    project.commit(
        skill_files("one", YAML.replace("gnu-make, target: list", "codex").replace("niced", "process"))
    )
    done = broken(project, tmp_path).skillrunner("doctor")
    assert done.code == 1
    (line,) = (one for one in done.out.splitlines() if "not today" in one)
    assert line.startswith("FAIL  plugin     acme_harness 1.0 cannot be used: ")
    assert "acme_harness.py:1: it cannot be imported: RuntimeError: not today" in line
    assert "ok    git" in done.out


SYNC = ("workflow", "sync", "--action", f"acme/skillrunner@{'a' * 40} # v1")


@pytest.mark.parametrize("command", [("validate",), ("run", "one"), SYNC])
def test_other_commands_fail_and_say_why(command: tuple[str, ...], project: Project, tmp_path: Path) -> None:
    project.commit(skill_files("one", YAML.replace("gnu-make, target: list", "codex")))
    done = broken(project, tmp_path).skillrunner(*command)
    assert done.code == 3
    assert "acme_harness.py:1: it cannot be imported: RuntimeError: not today" in done.err
    assert "uninstall the package to go on without it" in done.err
    assert "Traceback" not in done.out + done.err


def test_without_a_package_its_kind_is_unknown_and_what_there_is_is_named(equipped: Project) -> None:
    bare = replace(equipped, variables={})
    done = bare.skillrunner("validate")
    assert done.code == 3
    assert "gnu-make" in done.out + done.err
    bare.commit(skill_files("list", YAML.replace("gnu-make, target: list", "command, command: [make]")))
    done = bare.skillrunner("run", "list")
    assert done.code == 3
    assert "there is no `niced` among the sandboxes" in done.err
    assert "there are: docker, fake, process" in done.out
