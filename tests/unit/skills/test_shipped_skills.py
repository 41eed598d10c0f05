"""The shipped skills validate, and their scripts do what each of their cases says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from runner.skills import load
from runner.skills.discover import discover

ROOT = Path(__file__).parents[3]
SKILLS = ROOT / "skills"
SCRIPTS = ROOT / "tests/fixtures/scripts"


def cases(skill: str) -> list[Any]:
    """The skill's own cases, and those that are for its scripts alone."""
    found = [*SKILLS.glob(f"{skill}/cases/*/scripts.yaml"), *SCRIPTS.glob(f"{skill}/*/scripts.yaml")]
    return [pytest.param(path.parent, id=path.parent.name) for path in sorted(found)]


def read(case: Path) -> Any:
    return YAML(typ="safe").load((case / "scripts.yaml").read_text())


def git(where: Path, *args: str) -> None:
    who = {
        f"GIT_{role}_{key}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    subprocess.run(["git", *args], cwd=where, env={**alone, **who}, check=True, capture_output=True)


def commit(where: Path, tree: Path, tag: str) -> None:
    shutil.copytree(tree, where, dirs_exist_ok=True)
    git(where, "add", "-A")
    git(where, "commit", "-q", "--allow-empty", "-m", tag)
    git(where, "tag", tag)


def script(where: Path, skill: str, name: str, *args: str) -> "subprocess.CompletedProcess[str]":
    path = SKILLS / skill / "scripts" / name
    return subprocess.run(
        [sys.executable, str(path), *args], cwd=where, capture_output=True, text=True, check=False
    )


def test_shipped_skills_are_valid() -> None:
    loaded = load(discover(ROOT).files)
    assert (loaded.faults, loaded.warnings) == ((), ())
    assert set(loaded.skills) == {"docs-after-release", "dead-feature-flags"}


@pytest.mark.parametrize("case", cases("docs-after-release"))
def test_docs_after_release(case: Path, tmp_path: Path) -> None:
    expected = read(case)
    git(tmp_path, "init", "-q")
    commit(tmp_path, case / "before", expected["releases"]["before"])
    commit(tmp_path, case / "after", expected["releases"]["after"])

    report = json.loads(script(tmp_path, "docs-after-release", "changes.py", "--json").stdout)
    found = [{key: one[key] for key in ("kind", "name", "change", "mentions")} for one in report["changes"]]
    for change in expected["changes"]:
        assert change in found
    assert len(found) == len(expected["changes"])
    assert [line.split(":")[0] for line in report["unread"]] == expected.get("unread", [])
    assert "changes that users can see" in script(tmp_path, "docs-after-release", "changes.py").stdout

    checked = script(tmp_path, "docs-after-release", "check_docs.py")
    assert checked.returncode == (1 if expected["check"] else 0)
    faults = checked.stdout.splitlines() if expected["check"] else []
    assert len(faults) == len(expected["check"])
    for fault, wanted in zip(faults, expected["check"], strict=True):
        assert fault.startswith(wanted)


def test_changes_needs_two_tags(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    done = script(tmp_path, "docs-after-release", "changes.py")
    assert done.returncode == 2
    assert "two tags" in done.stderr


@pytest.mark.parametrize("case", cases("dead-feature-flags"))
def test_dead_feature_flags(case: Path, tmp_path: Path) -> None:
    expected = read(case)
    git(tmp_path, "init", "-q")
    commit(tmp_path, case / "before", "before")

    report = json.loads(
        script(tmp_path, "dead-feature-flags", "find_flags.py", "--days", "0", "--json").stdout
    )
    found = {
        one["flag"]: {key: one[key] for key in ("state", "value", "references")} for one in report["flags"]
    }
    assert found == expected["flags"]
    assert list(report["not_in_registry"]) == expected.get("not_in_registry", [])
    listed = script(tmp_path, "dead-feature-flags", "find_flags.py", "--days", "9").stdout
    assert "0 of them dead" in listed

    removed = script(tmp_path, "dead-feature-flags", "remove_flag.py", expected["remove"])
    left = [line.removeprefix("left alone: ") for line in removed.stdout.splitlines() if "left alone" in line]
    assert left == expected.get("left_alone", [])
    assert removed.returncode == (1 if left else 0), removed.stderr
    for path in (case / "after").rglob("*.*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(case / "after")).read_text() == path.read_text()

    checked = script(tmp_path, "dead-feature-flags", "check_removed.py")
    if left:
        assert checked.stdout == "no faults\n"
        return
    assert checked.returncode == 1  # the other languages are left to the agent
    others = [one for one in expected["flags"][expected["remove"]]["references"] if ".py" not in one]
    assert [line.split(": ")[0] for line in checked.stdout.splitlines()] == sorted(others)


def test_flags_in_yaml_and_python_registries(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "flags.yaml").write_text("flags:\n  one: true # decided\n  two: maybe\n")
    (tmp_path / "flags.py").write_text('FLAGS = {"three": False, "four": compute()}\n')
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    for registry, expected in (
        ("flags.yaml", {"one": True, "two": "maybe"}),
        ("flags.py", {"three": False, "four": "compute()"}),
    ):
        done = script(tmp_path, "dead-feature-flags", "find_flags.py", "--registry", registry, "--json")
        values = {one["flag"]: one["value"] for one in json.loads(done.stdout)["flags"]}
        assert {name: values[name] for name in expected} == expected


def test_a_flag_that_is_not_decided_stays(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "flags.json").write_text('{"f": "maybe"}')
    done = script(tmp_path, "dead-feature-flags", "remove_flag.py", "f")
    assert (done.returncode, "not decided" in done.stderr) == (2, True)
    assert script(tmp_path, "dead-feature-flags", "find_flags.py", "--registry", "none.json").returncode == 2


# --- which tags are compared -----------------------------------------------------------------------------


def history(where: Path, *steps: str) -> None:
    """Commits and tags: "v1" tags a new commit, "on BRANCH" and "from TAG BRANCH" go elsewhere."""
    git(where, "init", "-q", "-b", "main")
    for step in steps:
        match step.split():
            case ["on", branch]:
                git(where, "checkout", "-q", branch)
            case ["from", tag, branch]:
                git(where, "checkout", "-q", "-b", branch, tag)
            case ["merge", branch]:
                git(where, "merge", "-q", "--no-ff", "-m", "merge", branch)
            case [tag]:
                git(where, "commit", "-q", "--allow-empty", "-m", tag)
                git(where, "tag", tag)


MAINTENANCE = ("v1.0.0", "v2.0.0", "from v1.0.0 1.x", "v1.0.1", "v1.0.2", "on main")


@pytest.mark.parametrize(
    ("steps", "arguments", "expected"),
    [
        (("v1.0.0", "v1.1.0-rc.1", "v1.1.0"), (), ("v1.0.0", "v1.1.0")),
        (("v1.0.0", "v1.1.0-rc.1", "v1.1.0-rc.2"), (), ("v1.1.0-rc.1", "v1.1.0-rc.2")),
        (("v1.0.0", "v1.1.0-rc.1"), (), ("v1.0.0", "v1.1.0-rc.1")),
        (("1.0", "1.1a1", "1.1b2", "1.1rc1", "1.1"), (), ("1.0", "1.1")),
        (("1.0", "1.1", "1.1.post1"), (), ("1.1", "1.1.post1")),
        (("v1.9.0", "v1.10.0"), (), ("v1.9.0", "v1.10.0")),
        (("v1.0.0-beta", "v1.0.0"), (), ("v1.0.0-beta", "v1.0.0")),
        (("v1.0.0", "v1.0.1+build.5"), (), ("v1.0.0", "v1.0.1+build.5")),
        (MAINTENANCE, (), ("v1.0.0", "v2.0.0")),
        (MAINTENANCE, ("--to", "v1.0.2"), ("v1.0.1", "v1.0.2")),
        ((*MAINTENANCE, "on 1.x"), (), ("v1.0.1", "v1.0.2")),
        ((*MAINTENANCE, "merge 1.x"), (), ("v1.0.0", "v2.0.0")),
        ((*MAINTENANCE, "merge 1.x", "v2.0.1"), (), ("v2.0.0", "v2.0.1")),
        (("api-v1.0.0", "web-v3.0.0", "api-v1.1.0"), ("--to", "api-v1.1.0"), ("api-v1.0.0", "api-v1.1.0")),
        (("v1.0.0", "nightly-2026-01-05", "v1.1.0"), (), ("v1.0.0", "v1.1.0")),
    ],
)
def test_a_release_is_compared_with_the_one_before_it(
    tmp_path: Path, steps: tuple[str, ...], arguments: tuple[str, ...], expected: tuple[str, str]
) -> None:
    history(tmp_path, *steps)
    done = script(tmp_path, "docs-after-release", "changes.py", "--json", *arguments)
    report = json.loads(done.stdout)
    assert (report["from"], report["to"]) == expected


@pytest.mark.parametrize(
    "text", [b"\xef\xbb\xbfdef f(a, b):\n    pass\n", b"# -*- coding: latin-1 -*-\n# \xe9\ndef f(a, b): 1\n"]
)
def test_a_source_that_python_runs_is_read(tmp_path: Path, text: bytes) -> None:
    git(tmp_path, "init", "-q")
    for tag, content in (("v1", b"def f(a):\n    pass\n"), ("v2", text)):
        (tmp_path / "m.py").write_bytes(content)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", tag)
        git(tmp_path, "tag", tag)
    report = json.loads(script(tmp_path, "docs-after-release", "changes.py", "--json").stdout)
    assert (report["unread"], [one["after"] for one in report["changes"]]) == ([], ["f(a, b)"])
