"""What is listed of each kind of change, field by field, and each limit at its edge."""

import os
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Allowance, DeclaredOutput, FileChange, Phase, Reason
from runner.workspace.changeset import Changeset
from runner.workspace.harvest import Harvest, harvest
from tests.parts.repos import BASE, Scene, by_path, scene


@pytest.fixture
def here(tmp_path: Path) -> Scene:
    return scene(tmp_path, {**BASE, "tracked.bin": b"\x00\x01\x02", "vendor/lib": (0o160000, b"1" * 40)})


def harvested(here: Scene, edit: Callable[[Path], object], allowance: Allowance | None = None) -> Harvest:
    with here.workspace() as workspace:
        edit(workspace.path)
        return here.harvest(workspace, allowance)


def replace_by_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def replace_by_file(path: Path, content: bytes = b"a file\n", mode: int = 0o644) -> None:
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def bound(path: Path) -> None:
    """Leave a socket there."""
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's address is short
        made.bind(path.name)
        os.chdir(here)


CHANGES: list[tuple[str, Callable[[Path], object], FileChange]] = [
    (
        "docs/new.md",
        lambda path: path.write_bytes(b"one\ntwo\n"),
        FileChange(path="", change="added", mode=0o100644, size=8, additions=2, deletions=0),
    ),
    (
        "docs/tool",
        lambda path: (path.write_bytes(b"x\n"), path.chmod(0o700)),
        FileChange(path="", change="added", mode=0o100755, size=2, additions=1, deletions=0),
    ),
    (
        "docs/a.md",
        lambda path: path.write_bytes(b"one\n"),
        FileChange(
            path="", change="modified", mode=0o100644, old_mode=0o100644, size=4, additions=0, deletions=2
        ),
    ),
    (
        "bin/run",
        lambda path: path.chmod(0o644),
        FileChange(
            path="", change="modified", mode=0o100644, old_mode=0o100755, size=19, additions=0, deletions=0
        ),
    ),
    (
        "bin/run",
        lambda path: path.unlink(),
        FileChange(path="", change="deleted", mode=0, old_mode=0o100755, additions=0, deletions=2),
    ),
    (
        "link",
        lambda path: path.unlink(),
        FileChange(path="", change="deleted", kind="symlink", mode=0, old_mode=0o120000, deletions=1),
    ),
    (
        "link",
        lambda path: replace_by_link(path, "docs/a.md"),
        FileChange(
            path="",
            change="modified",
            kind="symlink",
            mode=0o120000,
            old_mode=0o120000,
            target="docs/a.md",
            size=9,
            additions=1,
            deletions=1,
        ),
    ),
    (
        "link",
        replace_by_file,
        FileChange(
            path="", change="modified", mode=0o100644, old_mode=0o120000, size=7, additions=1, deletions=1
        ),
    ),
    (
        "docs/link",
        lambda path: path.symlink_to("\udcff/x"),
        FileChange(
            path="",
            change="added",
            kind="symlink",
            mode=0o120000,
            target="\udcff/x",
            size=3,
            additions=1,
            deletions=0,
        ),
    ),
    (
        "tracked.bin",
        lambda path: path.write_bytes(b"\x00\x01"),
        FileChange(path="", change="modified", mode=0o100644, old_mode=0o100644, size=2, binary=True),
    ),
    (
        "tracked.bin",
        lambda path: path.unlink(),
        FileChange(path="", change="deleted", mode=0, old_mode=0o100644, binary=True),
    ),
    (
        "vendor/lib",
        lambda path: path.rmdir(),
        FileChange(path="", change="deleted", kind="submodule", mode=0, old_mode=0o160000, deletions=1),
    ),
    (
        "docs/pipe",
        lambda path: os.mkfifo(path),
        FileChange(path="", change="added", kind="special", mode=0, omitted="it is a pipe, socket or device"),
    ),
    (
        "docs/socket",
        bound,
        FileChange(path="", change="added", kind="special", mode=0, omitted="it is a pipe, socket or device"),
    ),
    (
        "docs/a.md",
        lambda path: (path.unlink(), os.mkfifo(path)),
        FileChange(
            path="",
            change="modified",
            kind="special",
            mode=0,
            old_mode=0o100644,
            omitted="it is a pipe, socket or device",
        ),
    ),
]


@pytest.mark.parametrize(("path", "edit", "expected"), CHANGES)
def test_each_kind_of_change(
    here: Scene, path: str, edit: Callable[[Path], object], expected: FileChange
) -> None:
    found = harvested(here, lambda root: edit(root / path))
    (change,) = found.changes
    assert change == replace(expected, path=path)
    assert found.truncated == ""
    assert bool(found.patch) is not bool(expected.omitted)
    assert here.changeset().apply(found.base_sha, found.patch) == found.tree_sha


def test_nested_repositories_are_new_or_were_there(here: Scene) -> None:
    def nest(root: Path) -> None:
        (root / "docs/deep/.git").mkdir()
        (root / "fresh/.git").mkdir(parents=True)
        (root / "fresh/file").write_text("not looked at")
        (root / "vendor/lib/file").write_text("not looked at")

    found = by_path(harvested(here, nest))
    listed = {path: (one.change, one.kind, one.mode, one.omitted) for path, one in found.items()}
    own = "it is a repository of its own"
    assert listed["fresh"] == ("added", "submodule", 0o160000, own)
    assert listed["vendor/lib"] == ("modified", "submodule", 0o160000, own)
    assert listed["docs/deep"] == ("added", "submodule", 0o160000, own)
    assert "fresh/file" not in listed


def test_changes_come_in_order_of_their_paths_and_folders_last(here: Scene) -> None:
    def edit(root: Path) -> None:
        for name in ("z", "b", "docs/z", "A"):
            (root / name).write_text("x")
        (root / "README.md").unlink()
        (root / "src/app.py").unlink()
        (root / "fresh/.git").mkdir(parents=True)

    found = harvested(here, edit)
    assert [one.path for one in found.changes] == [
        "A",
        "README.md",
        "b",
        "docs/z",
        "src/app.py",
        "z",
        "fresh",
    ]


def test_a_proposal_says_what_was_harvested(here: Scene) -> None:
    found = harvested(here, lambda root: (root / "docs/a.md").write_text("1\n"))
    declared = (DeclaredOutput(kind="pull_request", fields={"body": "b"}),)
    proposal = found.proposal(declared, "why")
    assert proposal.base_sha == found.base_sha == here.mirror.resolve("main")
    assert proposal.tree_sha == found.tree_sha
    assert proposal.changes == found.changes
    assert proposal.patch_sha256 == sha256(found.patch).hexdigest()
    assert (proposal.patch_bytes, proposal.declared, proposal.summary) == (len(found.patch), declared, "why")
    assert (proposal.truncated, found.proposal().declared, found.proposal().summary) == ("", (), "")


# --- limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "omitted"), [(10, ""), (11, "it has more than 10 bytes")])
def test_a_file_may_be_as_large_as_the_limit(here: Scene, size: int, omitted: str) -> None:
    found = harvested(
        here, lambda root: (root / "docs/x").write_bytes(b"x" * size), Allowance(max_file_bytes=10)
    )
    (change,) = found.changes
    assert (change.size, change.omitted) == (size, omitted)
    assert bool(found.patch) is not bool(omitted)


def test_all_files_together_may_hold_so_much(here: Scene) -> None:
    def sparse(root: Path) -> None:
        with (root / "docs/x").open("wb") as file:
            file.truncate(2**30)

    (change,) = harvested(here, sparse, Allowance(max_file_bytes=2**40)).changes
    assert change.omitted == "it has more than 134,217,728 bytes"


@pytest.mark.parametrize(("room", "omitted"), [(120, ["", ""]), (119, ["", "it has more than 59 bytes"])])
def test_all_files_together_may_be_as_large_as_the_limit(
    here: Scene, monkeypatch: pytest.MonkeyPatch, room: int, omitted: list[str]
) -> None:
    monkeypatch.setattr("runner.workspace.harvest._MAX_TOTAL", room)
    found = harvested(here, lambda root: [(root / f"f{at}").write_bytes(b"x" * 60) for at in range(2)])
    assert [one.omitted for one in found.changes] == omitted


def test_links_and_deletions_take_no_room(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.workspace.harvest._MAX_TOTAL", 60)

    def edit(root: Path) -> None:
        (root / "README.md").unlink()
        (root / "f").write_bytes(b"x" * 60)

    assert [one.omitted for one in harvested(here, edit).changes] == ["", ""]


@pytest.mark.parametrize(
    ("count", "truncated"), [(3, ""), (4, "more than 3 paths differ: the rest is not listed")]
)
def test_as_many_paths_as_the_limit_are_listed(
    here: Scene, monkeypatch: pytest.MonkeyPatch, count: int, truncated: str
) -> None:
    monkeypatch.setattr("runner.workspace.harvest._MAX_CHANGES", 3)
    found = harvested(here, lambda root: [(root / f"f{at}").write_text("x") for at in range(count)])
    assert (found.truncated, [one.path for one in found.changes]) == (truncated, ["f0", "f1", "f2"])


# --- what cannot be taken ---------------------------------------------------------------------------

IGNORED_BY_HFS = [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]


@pytest.mark.parametrize(
    "name",
    [".git ", ".git.", ".git . ", ".GIT", "git~1", "GIT~1", ".git:x", ".git\\x", "git~1:x", ".git. :x"],
)
def test_names_that_git_takes_for_its_own(here: Scene, name: str) -> None:
    found = harvested(here, lambda root: (root / "docs" / name).write_text("x"))
    (change,) = found.changes
    assert (change.path, change.kind, change.omitted) == (
        f"docs/{name}",
        "file",
        "git does not allow this name",
    )
    assert (found.patch, found.truncated) == (b"", "")


def test_code_points_that_hfs_ignores(here: Scene) -> None:
    names = [f".g{chr(code)}it" for code in IGNORED_BY_HFS]
    found = harvested(here, lambda root: [(root / name).write_text("x") for name in names])
    assert {one.path: one.omitted for one in found.changes} == dict.fromkeys(
        names, "git does not allow this name"
    )
    assert found.truncated == ""


@pytest.mark.parametrize("name", [".gitx", "x.git", "git~2", "git", ".git x", "git1"])
def test_names_that_only_look_like_it(here: Scene, name: str) -> None:
    found = harvested(here, lambda root: (root / "docs" / name).write_text("x"))
    assert [(one.path, one.omitted) for one in found.changes] == [(f"docs/{name}", "")]
    assert found.patch


def test_a_folder_that_hides_what_was_there_deletes_nothing(
    here: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a folder that cannot be opened nothing is known, and one beside it that begins alike is known."""
    real = os.open

    def closed(path: str, flags: int, *args: int, **options: int) -> int:
        if path == "deep" and flags & os.O_DIRECTORY:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args, **options)

    with here.workspace() as workspace:
        (workspace.path / "docs/deeper").write_text("x")
        (workspace.path / "README.md").unlink()
        monkeypatch.setattr(os, "open", closed)
        found = here.harvest(workspace)
        monkeypatch.undo()
    listed = {path: (one.change, one.kind, one.omitted) for path, one in by_path(found).items()}
    assert listed == {
        "README.md": ("deleted", "file", ""),
        "docs/deeper": ("added", "file", ""),
        "docs/deep": ("modified", "file", "the folder cannot be read: Permission denied"),
    }


def test_a_file_that_cannot_be_read_says_why(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def closed(path: str, flags: int, *args: int, **options: int) -> int:
        if path in ("silent", "loud"):
            raise OSError("no word") if path == "silent" else PermissionError(13, "Permission denied")
        return real(path, flags, *args, **options)

    with here.workspace() as workspace:
        for name in ("silent", "loud"):
            (workspace.path / name).write_text("x")
        monkeypatch.setattr(os, "open", closed)
        found = here.harvest(workspace)
        monkeypatch.undo()
    assert {one.path: one.omitted for one in found.changes} == {
        "silent": "no word",
        "loud": "Permission denied",
    }
    assert found.patch == b""


def test_what_is_as_it_was_needs_no_change(here: Scene) -> None:
    """Same bytes, another inode; and each way in which only one thing differs."""

    def same(root: Path) -> None:
        for name in ("docs/a.md", "bin/run", "tracked.bin"):
            path = root / name
            replace_by_file(path, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        replace_by_link(root / "link", "README.md")

    assert harvested(here, same).changes == ()
    one_byte = harvested(here, lambda root: replace_by_file(root / "docs/a.md", b"one\ntwo\nthrex\n"))
    assert [one.path for one in one_byte.changes] == ["docs/a.md"]
    mode = harvested(here, lambda root: replace_by_file(root / "docs/a.md", b"one\ntwo\nthree\n", 0o755))
    assert [one.mode for one in mode.changes] == [0o100755]
    target = harvested(here, lambda root: replace_by_link(root / "link", "README.mx"))
    assert [one.target for one in target.changes] == ["README.mx"]


# --- what git makes of it ---------------------------------------------------------------------------


class Refusing(Changeset):
    """A changeset that goes wrong in a certain way."""

    reason = Reason.GIT_FAILED

    def apply(self, base: str, patch: bytes) -> str:
        raise RunnerError(Phase.PROPOSAL, self.reason, "no")


class Different(Changeset):
    """A patch that makes another tree."""

    def apply(self, base: str, patch: bytes) -> str:
        return self.tree_of(base)


def made_by(here: Scene, changeset: Changeset) -> Harvest:
    with here.workspace() as workspace:
        (workspace.path / "docs/a.md").write_text("1\n")
        return harvest(workspace, Allowance(), changeset)


@pytest.mark.parametrize(
    ("reason", "refused"),
    [(Reason.GIT_FAILED, True), (Reason.CONFLICT, True), (Reason.BRANCH_MOVED, False)],
)
def test_what_git_refuses_is_no_trouble_of_ours(
    here: Scene, monkeypatch: pytest.MonkeyPatch, reason: Reason, refused: bool
) -> None:
    monkeypatch.setattr(Refusing, "reason", reason)
    here.mirror.fetch(here.remote)
    changeset = Refusing(here.state / "proposal.git", here.mirror.objects, Phase.PROPOSAL)
    if not refused:
        with pytest.raises(RunnerError):
            made_by(here, changeset)
        return
    assert made_by(here, changeset).truncated == "git refuses the changes: no"


def test_a_patch_has_to_make_the_tree_that_it_was_made_from(here: Scene) -> None:
    here.mirror.fetch(here.remote)
    changeset = Different(here.state / "proposal.git", here.mirror.objects, Phase.PROPOSAL)
    assert made_by(here, changeset).truncated == "the patch does not make the tree that it was made from"
