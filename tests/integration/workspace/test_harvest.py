"""What an agent changes comes out as data: listed, counted, and applicable to the base."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.core.model import Allowance, FileChange
from tests.parts.repos import BASE, Scene, by_path, commit, git, scene

LAYERED = [
    False,
    pytest.param(True, marks=pytest.mark.skipif(os.geteuid() != 0, reason="overlayfs needs root")),
]


@pytest.fixture
def here(tmp_path: Path) -> Scene:
    return scene(tmp_path)


def changes(
    here: Scene, edit: Callable[[Path], object], allowance: Allowance | None = None
) -> dict[str, FileChange]:
    """What is listed after `edit`; the patch must make the same tree from the base again."""
    with here.workspace() as workspace:
        edit(workspace.path)
        found = here.harvest(workspace, allowance)
    assert here.changeset().apply(found.base_sha, found.patch) == found.tree_sha
    assert not found.truncated
    return by_path(found)


@pytest.mark.parametrize("layered", LAYERED)
def test_an_untouched_tree_has_no_changes(here: Scene, layered: bool) -> None:
    with here.workspace(layered=layered) as workspace:
        found = here.harvest(workspace)
    assert (found.changes, found.patch) == ((), b"")
    assert found.tree_sha == here.changeset().tree_of(found.base_sha)


@pytest.mark.parametrize("layered", LAYERED)
def test_edits_are_listed_and_counted(here: Scene, layered: bool) -> None:
    with here.workspace(layered=layered) as workspace:
        (workspace.path / "docs/a.md").write_text("one\n2\nthree\nfour\n")
        (workspace.path / "docs/new.md").write_text("new\n")
        (workspace.path / "src/app.py").unlink()
        (workspace.path / "docs/deep").rename(workspace.path / "docs/moved")
        found = here.harvest(workspace)
    listed = by_path(found)
    assert {path: change.change for path, change in listed.items()} == {
        "docs/a.md": "modified",
        "docs/new.md": "added",
        "src/app.py": "deleted",
        "docs/deep/b.md": "deleted",
        "docs/moved/b.md": "added",
    }
    assert (listed["docs/a.md"].additions, listed["docs/a.md"].deletions) == (2, 1)
    assert (listed["docs/a.md"].mode, listed["docs/a.md"].old_mode, listed["docs/a.md"].size) == (
        0o100644,
        0o100644,
        17,
    )
    assert here.changeset().apply(found.base_sha, found.patch) == found.tree_sha
    assert found.proposal(summary="why").patch_bytes == len(found.patch)


def test_touching_without_changing_is_no_change(here: Scene) -> None:
    def touch_all(root: Path) -> None:
        for name in ("docs/a.md", "bin/run", "logo.png"):
            content = (root / name).read_bytes()
            mode = (root / name).stat().st_mode
            (root / name).unlink()
            (root / name).write_bytes(content)
            (root / name).chmod(mode)
        (root / "link").unlink()
        (root / "link").symlink_to("README.md")

    assert changes(here, touch_all) == {}


def test_a_change_behind_an_old_time_is_found(here: Scene) -> None:
    def hide(root: Path) -> None:
        was = (root / "docs/a.md").stat()
        (root / "docs/a.md").write_text("one\ntwO\nthree\n")
        os.utime(root / "docs/a.md", ns=(was.st_atime_ns, was.st_mtime_ns))

    assert list(changes(here, hide)) == ["docs/a.md"]


def test_kinds_and_modes(here: Scene) -> None:
    def edit(root: Path) -> None:
        (root / "src/app.py").chmod(0o755)
        (root / "link").unlink()
        (root / "link").symlink_to("../../etc/passwd")
        (root / "README.md").unlink()
        (root / "README.md").symlink_to("docs/a.md")
        (root / "data.bin").write_bytes(b"\x00\x01" * 600)

    found = changes(here, edit)
    assert (found["src/app.py"].mode, found["src/app.py"].old_mode) == (0o100755, 0o100644)
    assert (found["link"].kind, found["link"].target) == ("symlink", "../../etc/passwd")
    assert (found["README.md"].kind, found["README.md"].mode) == ("symlink", 0o120000)
    assert found["data.bin"].binary


def test_a_file_and_a_folder_change_places(here: Scene) -> None:
    def edit(root: Path) -> None:
        (root / "README.md").unlink()
        (root / "README.md").mkdir()
        (root / "README.md/inside").write_text("1\n")
        shutil.rmtree(root / "docs")
        (root / "docs").write_text("now a file\n")

    found = changes(here, edit)
    assert {path: change.change for path, change in found.items()} == {
        "README.md": "deleted",
        "README.md/inside": "added",
        "docs": "added",
        "docs/a.md": "deleted",
        "docs/deep/b.md": "deleted",
    }


def test_ignored_files_are_left_out_and_tracked_ones_are_not(tmp_path: Path) -> None:
    here = scene(tmp_path, {**BASE, "kept.log": b"tracked\n", "build/tracked.txt": b"1\n"})

    def edit(root: Path) -> None:
        (root / "kept.log").write_text("changed\n")
        (root / "other.log").write_text("ignored\n")
        (root / "build/out.txt").write_text("ignored\n")
        (root / "build/tracked.txt").write_text("2\n")
        (root / "src/node_modules/x").mkdir(parents=True)
        (root / "src/node_modules/x/index.js").write_text("ignored\n")
        (root / "fresh").mkdir()
        (root / "fresh/.gitignore").write_text("*.tmp\n!keep.tmp\n")
        (root / "fresh/a.tmp").write_text("ignored\n")
        (root / "fresh/keep.tmp").write_text("kept\n")
        (root / "fresh/build").mkdir()
        (root / "fresh/build/x").write_text("kept: the rule is for the top\n")

    assert set(changes(here, edit)) == {
        "kept.log",
        "build/tracked.txt",
        "fresh/.gitignore",
        "fresh/keep.tmp",
        "fresh/build/x",
    }


def test_line_ends_and_filters_do_not_show_up(tmp_path: Path) -> None:
    attributes = (
        b"*.bat text eol=crlf\n*.id ident\n*.lfs filter=lfs -text\n*.u16 working-tree-encoding=UTF-16\n"
    )
    here = scene(
        tmp_path,
        {
            ".gitattributes": attributes,
            "a.bat": b"echo 1\necho 2\n",
            "crlf.txt": b"1\r\n2\r\n",
            "v.id": b"$Id$\n",
            "big.lfs": b"version https://git-lfs.github.com/spec/v1\n",
            "t.u16": b"text\n",
        },
    )
    with here.workspace() as workspace:
        assert (workspace.path / "a.bat").read_bytes() == b"echo 1\necho 2\n"
        assert here.harvest(workspace).changes == ()
    assert changes(here, lambda root: (root / "a.bat").write_bytes(b"echo 1\necho 2\r\n")) == {}
    found = changes(here, lambda root: (root / "crlf.txt").write_bytes(b"1\r\n2\n"))
    assert (found["crlf.txt"].additions, found["crlf.txt"].deletions) == (1, 1)


NAMES = [
    "spa ce.md",
    "ü.md",
    "tab\t.md",
    "new\nline.md",
    'quo"te.md',
    "back\\slash.md",
    "bytes\udcff.md",
    "-dash.md",
    ":(top)x.md",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_survive(here: Scene, name: str) -> None:
    assert set(changes(here, lambda root: (root / "docs" / name).write_text("x\n"))) == {f"docs/{name}"}


def test_a_submodule_that_is_left_alone_is_no_change(tmp_path: Path) -> None:
    here = scene(tmp_path, {**BASE, "vendor/lib": (0o160000, b"1" * 40)})
    assert changes(here, lambda root: None) == {}
    found = changes(here, lambda root: (root / "vendor/lib/x").write_text("x"))
    assert (found["vendor/lib"].kind, found["vendor/lib"].change) == ("submodule", "modified")
    found = changes(here, lambda root: (root / "vendor/lib").rmdir())
    assert (found["vendor/lib"].kind, found["vendor/lib"].change) == ("submodule", "deleted")


def test_a_large_file_is_listed_and_not_read(here: Scene) -> None:
    small = Allowance(max_file_bytes=100)
    found = changes(here, lambda root: (root / "docs/big.md").write_bytes(b"x" * 101), small)
    assert (found["docs/big.md"].size, found["docs/big.md"].omitted) == (101, "it has more than 100 bytes")


def test_a_large_file_that_was_there_is_no_change(tmp_path: Path) -> None:
    here = scene(tmp_path, {"big": b"x" * 1000})
    assert changes(here, lambda root: os.utime(root / "big"), Allowance(max_file_bytes=10)) == {}


def test_a_long_history_is_not_needed(here: Scene) -> None:
    """The base is pinned: what happens on the branch meanwhile plays no part."""
    with here.workspace() as workspace:
        commit(here.source, {"docs/a.md": b"moved on\n"})
        here.mirror.fetch(here.remote)
        (workspace.path / "docs/a.md").write_text("mine\n")
        found = here.harvest(workspace)
    assert found.base_sha == git(here.source, "rev-parse", "main~1")
    assert b"-one\n" in found.patch


def test_a_new_file_knows_the_one_that_differs_from_it_in_case_alone(here: Scene) -> None:
    def edit(path: Path) -> None:
        (path / "docs/A.md").write_text("a twin\n")
        (path / "docs/other.md").write_text("none\n")

    found = changes(here, edit)
    assert (found["docs/A.md"].twin, found["docs/other.md"].twin) == ("docs/a.md", "")

    def rename(path: Path) -> None:
        (path / "docs/a.md").rename(path / "docs/A.md")

    assert changes(here, rename)["docs/A.md"].twin == ""
