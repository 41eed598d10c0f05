"""What set-up left in the workspace is no change of the agent's; what the agent then changed is one."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.core.model import Allowance
from tests.parts.repos import BASE, Content, Scene, by_path, git, scene

SUBMODULE: Content = (0o160000, b"1" * 40)
PICTURE = bytes(range(256)) * 50
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
    hashlib.sha256(PICTURE).hexdigest().encode(),
    len(PICTURE),
)


@pytest.fixture
def here(tmp_path: Path) -> Scene:
    more: dict[str, Content] = {
        "vendor/lib": SUBMODULE,
        "vendor/empty": SUBMODULE,
        "docs/pic.bin": POINTER,
        "lock.json": b"{}\n",
        ".gitattributes": b"*.bin filter=lfs -text\n*.bat text eol=crlf\n*.txt text=auto\n",
        "run.bat": b"echo one\n",
    }
    return scene(tmp_path, {**BASE, **more})


def set_up(root: Path) -> None:
    lib = root / "vendor/lib"
    (lib / "src").mkdir(parents=True, exist_ok=True)
    (lib / ".git").write_text("gitdir: ../../.git/modules/lib\n")
    (lib / ".gitignore").write_text("*.o\n")
    (lib / "src/f.c").write_text("int f;\n")
    (root / "docs/pic.bin").write_bytes(PICTURE)
    (root / "lock.json").write_text('{"a": 1}\n')
    (root / "demo.egg-info").mkdir()
    (root / "demo.egg-info/PKG-INFO").write_text("Name: demo\n")
    (root / "src/app.py").unlink()
    (root / "bin/run").chmod(0o644)
    (root / "other").mkdir()
    git(root, "init", "--quiet", "other")
    (root / "other/x").write_text("x\n")


def changed(
    here: Scene, edit: Callable[[Path], object], allowance: Allowance | None = None
) -> dict[str, str]:
    """By path: what changed after set-up and the agent's `edit`."""
    with here.workspace() as workspace:
        set_up(workspace.path)
        baseline = here.baseline(workspace)
        edit(workspace.path)
        found = here.harvest(workspace, allowance, baseline)
    assert not found.truncated
    return {path: change.omitted or change.change for path, change in by_path(found).items()}


def test_what_set_up_left_is_no_change(here: Scene) -> None:
    assert changed(here, lambda root: None) == {}


def test_the_agents_own_change_is_all_that_is_listed(here: Scene) -> None:
    assert changed(here, lambda root: (root / "docs/a.md").write_text("new\n")) == {"docs/a.md": "modified"}


def test_what_set_up_wrote_and_the_agent_wrote_again_alike_is_no_change(here: Scene) -> None:
    def again(root: Path) -> None:
        (root / "lock.json").unlink()
        (root / "lock.json").write_text('{"a": 1}\n')
        (root / "demo.egg-info/PKG-INFO").write_text("Name: demo\n")

    assert changed(here, again) == {}


def test_what_the_agent_changed_of_what_set_up_wrote_is_a_change_from_the_base(here: Scene) -> None:
    def edit(root: Path) -> None:
        (root / "lock.json").write_text('{"a": 2}\n')
        (root / "demo.egg-info/PKG-INFO").write_text("Name: demo 2\n")
        (root / "bin/run").write_text("#!/bin/sh\n")

    expected = {"lock.json": "modified", "demo.egg-info/PKG-INFO": "added", "bin/run": "modified"}
    assert changed(here, edit) == expected


def test_what_the_agent_removed_of_what_set_up_wrote_is_no_change(here: Scene) -> None:
    def remove(root: Path) -> None:
        (root / "demo.egg-info/PKG-INFO").unlink()
        (root / "lock.json").write_text("{}\n")  # as the base has it

    assert changed(here, remove) == {}


@pytest.mark.parametrize(
    "edit",
    [
        lambda lib: (lib / "src/f.c").write_text("int g;\n"),
        lambda lib: (lib / "src/f.c").unlink(),
        lambda lib: (lib / "src/g.c").write_text("int g;\n"),
        lambda lib: (lib / "src/f.c").chmod(0o755),
    ],
)
def test_an_agent_that_changes_a_filled_submodule_is_told_of(
    here: Scene, edit: Callable[[Path], object]
) -> None:
    expected = {"vendor/lib": "it is a repository of its own"}
    assert changed(here, lambda root: edit(root / "vendor/lib")) == expected


def test_a_build_inside_a_filled_submodule_is_no_change(here: Scene) -> None:
    assert changed(here, lambda root: (root / "vendor/lib/src/f.o").write_bytes(b"\x7fELF")) == {}


def test_a_submodule_that_the_agent_fills_is_told_of(here: Scene) -> None:
    expected = {"vendor/empty": "it is a repository of its own"}
    assert changed(here, lambda root: (root / "vendor/empty/x").write_text("x")) == expected


def test_a_pointer_whose_content_the_agent_pulls_is_no_change(here: Scene) -> None:
    with here.workspace() as workspace:
        (workspace.path / "docs/pic.bin").write_bytes(PICTURE)
        assert here.harvest(workspace).changes == ()


def test_content_over_a_pointer_is_refused_with_the_reason(here: Scene) -> None:
    allowance = Allowance(binaries=True)

    def draw(root: Path) -> None:
        (root / "docs/pic.bin").write_bytes(b"\x00other")
        (root / "docs/new.bin").write_bytes(b"\x00new")

    message = "Git LFS keeps its content, and no run can upload that"
    assert changed(here, draw, allowance) == {"docs/pic.bin": message, "docs/new.bin": message}


def test_a_new_pointer_is_an_ordinary_change(here: Scene) -> None:
    assert changed(here, lambda root: (root / "docs/new.bin").write_bytes(POINTER)) == {
        "docs/new.bin": "added"
    }


def stored(here: Scene, path: str, content: bytes) -> str | None:
    """What the proposal stores for a path; None: it is no change."""
    with here.workspace() as workspace:
        (workspace.path / path).write_bytes(content)
        found = here.harvest(workspace)
    if not found.changes:
        return None
    return git(here.changeset().directory, "cat-file", "blob", f"{found.tree_sha}:{path}") + "\n"


def test_line_ends_are_stored_as_git_add_would_under_eol(here: Scene) -> None:
    assert stored(here, "run.bat", b"echo one\r\necho two\r\n") == "echo one\necho two\n"


def test_line_ends_alone_are_no_change_under_eol(here: Scene) -> None:
    assert stored(here, "run.bat", b"echo one\r\n") is None


def test_line_ends_are_stored_as_git_add_would_under_text_auto(here: Scene) -> None:
    assert stored(here, "new.txt", b"one\r\ntwo\r\n") == "one\ntwo\n"


def test_line_ends_stay_where_no_attribute_speaks_of_them(here: Scene) -> None:
    assert "\r\n" in (stored(here, "docs/a.md", b"one\r\ntwo\r\n") or "")
