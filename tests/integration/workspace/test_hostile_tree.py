"""A tree made to attack the host: nothing in it runs, nothing outside is read, everything is recorded."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.core.model import Allowance
from runner.workspace.harvest import Harvest
from tests.parts.repos import BASE, Scene, by_path, git, scene

SECRET = b"a secret of the host\n"
NOBODY = 65534


@pytest.fixture
def here(tmp_path: Path) -> Scene:
    (tmp_path / "secret").write_bytes(SECRET)
    return scene(tmp_path)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[str]:
    """A command that leaves a trace; the test fails when anything has called it."""
    trace = tmp_path / "trace"
    program = tmp_path / "canary"
    program.write_text(f"#!/bin/sh\necho called >> {trace}\ncat\n")
    program.chmod(0o755)
    yield str(program)
    assert not trace.exists(), "something in the agent's tree ran on the host"


def taken(here: Scene, found: Harvest) -> bytes:
    """All bytes that came out: the patch, and every object of the private repository."""
    objects = git(here.changeset().directory, "cat-file", "--batch-all-objects", "--batch", "--buffer")
    return found.patch + os.fsencode(objects)


def poison(config: Path, canary: str) -> None:
    """Every setting by which git starts a program."""
    config.write_text(f"""
[core]
    fsmonitor = {canary}
    hooksPath = {config.parent}/hooks
    sshCommand = {canary}
    pager = {canary}
    editor = {canary}
    alternateRefsCommand = {canary}
    attributesFile = {config.parent}/attributes
[diff]
    external = {canary}
[diff "evil"]
    command = {canary}
    textconv = {canary}
[filter "evil"]
    clean = {canary}
    smudge = {canary}
    process = {canary}
    required = true
[merge "evil"]
    driver = {canary}
[credential]
    helper = !{canary}
[include]
    path = {config.parent}/more
[includeIf "gitdir:/"]
    path = {config.parent}/more
[uploadpack]
    packObjectsHook = {canary}
[gpg]
    program = {canary}
[remote "origin"]
    url = ext::{canary}
    uploadpack = {canary}
    vcs = evil
""")
    hooks = config.parent / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-commit",
        "post-checkout",
        "post-index-change",
        "fsmonitor-watchman",
        "reference-transaction",
    ):
        (hooks / name).write_text(f"#!/bin/sh\nexec {canary}\n")
        (hooks / name).chmod(0o755)
    (config.parent / "more").write_text(f"[core]\n    fsmonitor = {canary}\n")
    (config.parent / "attributes").write_text("* filter=evil diff=evil merge=evil\n")


def test_the_canary_sings(here: Scene, tmp_path: Path) -> None:
    """The test of the test: a plain `git status` in such a tree does run the attacker's program."""
    trace, program = tmp_path / "sung", tmp_path / "singer"
    program.write_text(f"#!/bin/sh\necho called >> {trace}\n")
    program.chmod(0o755)
    with here.workspace() as workspace:
        poison(workspace.path / ".git/config", str(program))
        subprocess.run(["git", "-C", str(workspace.path), "status"], capture_output=True, check=False)
    assert trace.exists()


def test_configuration_hooks_and_filters_never_run(here: Scene, canary: str) -> None:
    with here.workspace() as workspace:
        poison(workspace.path / ".git/config", canary)
        (workspace.path / ".git/info/attributes").write_text("* filter=evil diff=evil merge=evil\n")
        (workspace.path / ".gitattributes").write_text("* filter=evil diff=evil merge=evil text eol=crlf\n")
        (workspace.path / "docs/a.md").write_text("changed\n")
        found = here.harvest(workspace)
    changeset = here.changeset()
    assert set(by_path(found)) == {".gitattributes", "docs/a.md"}
    tree = changeset.apply(found.base_sha, found.patch)
    assert tree == found.tree_sha
    assert changeset.merge(found.base_sha, found.base_sha, tree) == tree
    with here.workspace() as clean:
        assert here.harvest(clean).changes == ()


def test_a_git_folder_that_was_replaced_is_not_looked_at(here: Scene, canary: str, tmp_path: Path) -> None:
    evil = tmp_path / "evil.git"
    git(tmp_path, "init", "--quiet", "--bare", str(evil))
    poison(evil / "config", canary)
    with here.workspace() as workspace:
        subprocess.run(["rm", "-rf", str(workspace.path / ".git")], check=True)
        (workspace.path / ".git").write_text(f"gitdir: {evil}\n")
        (workspace.path / "docs/a.md").write_text("changed\n")
        found = here.harvest(workspace)
    assert set(by_path(found)) == {"docs/a.md"}


def test_a_forged_index_and_alternates_change_nothing(here: Scene, tmp_path: Path) -> None:
    with here.workspace() as workspace:
        (workspace.path / ".git/index").write_bytes(b"DIRC garbage")
        (workspace.path / ".git/objects/info/alternates").write_text(f"{tmp_path}\n")
        (workspace.path / ".git/HEAD").write_text("ref: refs/heads/../../../../secret\n")
        (workspace.path / "docs/a.md").write_text("changed\n")
        assert set(by_path(here.harvest(workspace))) == {"docs/a.md"}


def test_nested_repositories_are_named_and_not_entered(here: Scene, canary: str) -> None:
    with here.workspace() as workspace:
        for folder in ("new/repo", "docs"):
            git(workspace.path, "init", "--quiet", folder)
            poison(workspace.path / folder / ".git/config", canary)
        (workspace.path / "new/repo/file").write_text("inside\n")
        (workspace.path / "gitfile").mkdir()
        (workspace.path / "gitfile/.git").write_text("gitdir: /tmp\n")
        (workspace.path / "docs/a.md").write_text("changed\n")
        found = by_path(here.harvest(workspace))
    assert {path: change.kind for path, change in found.items()} == {
        "new/repo": "submodule",
        "docs": "submodule",
        "gitfile": "submodule",
        "docs/a.md": "file",
    }


def test_links_are_recorded_and_never_followed(here: Scene, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    with here.workspace() as workspace:
        root = workspace.path
        (root / "docs/a.md").unlink()
        (root / "docs/a.md").symlink_to(secret)
        (root / "out").symlink_to(tmp_path)
        (root / "loop").symlink_to("loop")
        (root / "src/app.py").rename(root / "kept.py")
        (root / "src").rmdir()
        (root / "src").symlink_to(tmp_path)  # a folder of the base that now leads outside
        (root / ".gitignore").unlink()
        (root / ".gitignore").symlink_to(secret)
        for number in range(200):
            (root / f"farm{number}").symlink_to("/")
        found = here.harvest(workspace)
    listed = by_path(found)
    assert (listed["docs/a.md"].kind, listed["docs/a.md"].target) == ("symlink", str(secret))
    assert listed["src"].kind == "symlink"
    assert listed["src/app.py"].change == "deleted"
    assert sum(change.kind == "symlink" for change in found.changes) == 205
    assert SECRET not in taken(here, found)
    assert here.changeset().apply(found.base_sha, found.patch) == found.tree_sha


def test_special_files_neither_block_nor_pass(here: Scene) -> None:
    with here.workspace() as workspace:
        (workspace.path / "docs/a.md").unlink()
        os.mkfifo(workspace.path / "docs/a.md")
        os.mkfifo(workspace.path / ".gitattributes")
        here_now = Path.cwd()
        os.chdir(workspace.path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s")
        os.chdir(here_now)
        if os.geteuid() == 0:
            os.mknod(workspace.path / "disk", 0o060644, os.makedev(7, 0))
        found = here.harvest(workspace)
    listed = by_path(found)
    assert set(listed) - {"disk"} == {"docs/a.md", ".gitattributes", "s"}
    assert {change.kind for change in found.changes} == {"special"}
    assert all(change.omitted for change in found.changes)
    assert found.patch == b""


def test_a_fifo_for_an_ignore_file_does_not_block(here: Scene) -> None:
    with here.workspace() as workspace:
        (workspace.path / ".gitignore").unlink()
        os.mkfifo(workspace.path / ".gitignore")
        (workspace.path / "new").mkdir()
        os.mkfifo(workspace.path / "new/.gitignore")
        (workspace.path / "new/x").touch()
        listed = by_path(here.harvest(workspace))
    assert {path: change.kind for path, change in listed.items()} == {
        ".gitignore": "special",
        "new/.gitignore": "special",
        "new/x": "file",
    }


NAMES = [
    ".GIT/config",
    "docs/.Git/hooks/x",
    "docs/.g\u200cit/config",
    "git~1/config",
    "docs/.git /x",
    "docs/.git./x",
    ".git::$DATA",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_like_git_are_listed_and_kept_out(here: Scene, name: str) -> None:
    with here.workspace() as workspace:
        (workspace.path / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.path / name).write_text("[core]\n")
        found = here.harvest(workspace)
    assert by_path(found)[name].omitted == "git does not allow this name"
    assert found.patch == b""


def test_what_git_alone_refuses_makes_the_proposal_incomplete(here: Scene) -> None:
    """A linked .gitmodules has been an attack: git refuses it when the patch is applied."""
    with here.workspace() as workspace:
        (workspace.path / ".gitmodules").symlink_to("docs/a.md")
        found = here.harvest(workspace)
    assert by_path(found)[".gitmodules"].kind == "symlink"
    assert "invalid path '.gitmodules'" in found.truncated


def test_sizes_are_bounded(here: Scene) -> None:
    with here.workspace() as workspace:
        with (workspace.path / "sparse").open("wb") as file:
            file.truncate(2**40)
        with (workspace.path / "docs/a.md").open("r+b") as file:
            file.truncate(2**32 + len(b"one\ntwo\nthree\n"))  # the size that git's index holds, in 32 bits
        found = here.harvest(workspace, Allowance())
    listed = by_path(found)
    assert listed["sparse"].omitted == "it has more than 1,048,576 bytes"
    assert listed["docs/a.md"].omitted == "it has more than 1,048,576 bytes"
    assert found.patch == b""


def test_fifty_thousand_files(here: Scene) -> None:
    with here.workspace() as workspace:
        folder = os.open(workspace.path / "docs", os.O_RDONLY)
        for number in range(50_000):
            os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        os.close(folder)
        found = here.harvest(workspace)
    assert found.truncated == "more than 10,000 paths differ: the rest is not listed"
    assert len(found.changes) == 10_000


def test_more_folders_than_anybody_needs(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.workspace.scan._NEW_ENTRIES", 50)
    with here.workspace() as workspace:
        for number in range(60):
            (workspace.path / f"empty{number}").mkdir()
        (workspace.path / "docs/a.md").write_text("changed\n")
        found = here.harvest(workspace)
    assert found.truncated == "there are more than 50 new files and folders"
    assert all(change.change != "deleted" for change in found.changes)


def test_all_content_together_is_bounded(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.workspace.harvest._MAX_TOTAL", 100)
    with here.workspace() as workspace:
        for number in range(3):
            (workspace.path / f"f{number}").write_bytes(b"x" * 60)
        found = by_path(here.harvest(workspace))
    assert [found[f"f{number}"].omitted for number in range(3)] == [
        "",
        "it has more than 40 bytes",
        "it has more than 40 bytes",
    ]


def test_an_endless_folder(here: Scene) -> None:
    with here.workspace() as workspace:
        inner = os.open(workspace.path, os.O_RDONLY)
        for _ in range(3_000):
            os.mkdir("d", dir_fd=inner)
            below = os.open("d", os.O_RDONLY, dir_fd=inner)
            os.close(inner)
            inner = below
        os.close(inner)
        found = here.harvest(workspace)
        place = workspace.folder
    (change,) = found.changes
    assert change.omitted == "the folder cannot be read: it lies too deep"
    assert not place.exists()


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Give `folder` to a user who is not root, and be that user: root opens every folder."""
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(folder)], check=True)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_folders_that_cannot_be_opened() -> None:
    with tempfile.TemporaryDirectory() as outside, nobody(Path(outside)):
        here = scene(Path(outside))
        with here.workspace() as workspace:
            (workspace.path / "docs").chmod(0)
            (workspace.path / "src/app.py").write_text("x")
            (workspace.path / "src/app.py").chmod(0)
            found = by_path(here.harvest(workspace))
        assert not workspace.folder.exists()
    assert set(found) == {"docs", "src/app.py"}
    assert found["docs"].omitted == "the folder cannot be read: Permission denied"
    assert found["src/app.py"].omitted == "Permission denied"


def test_a_folder_swapped_for_a_link_while_we_read(here: Scene, tmp_path: Path) -> None:
    """A path is opened part by part: the swap shows as an error, never as the content behind it."""
    from runner.core import safe_fs as tree

    with here.workspace() as workspace:
        (workspace.path / "docs/deep/b.md").unlink()
        (workspace.path / "docs/deep").rmdir()
        (workspace.path / "docs/deep").symlink_to(tmp_path)
        top = os.open(workspace.path, os.O_RDONLY)
        with pytest.raises(OSError, match=r"Not a directory|Too many"):
            tree.open_folder(top, ["docs", "deep"])
        (workspace.path / "s").symlink_to(tmp_path / "secret")
        with pytest.raises(OSError, match="Too many levels"):
            tree.read_file(top, "s", 100)
        os.close(top)


def test_hard_links_are_plain_copies(here: Scene) -> None:
    with here.workspace() as workspace:
        (workspace.path / "copy.md").hardlink_to(workspace.path / "docs/a.md")
        found = here.harvest(workspace)
    assert list(by_path(found)) == ["copy.md"]
    assert here.changeset().apply(found.base_sha, found.patch) == found.tree_sha


def test_the_workspace_knows_no_credential(tmp_path: Path) -> None:
    here = scene(tmp_path, BASE)
    with here.workspace() as workspace:
        config = (workspace.path / ".git/config").read_text()
        assert str(here.source) not in config
        assert str(here.mirror.directory) not in config
        assert not (workspace.path / ".git/hooks").exists()
