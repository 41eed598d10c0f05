"""Mirrors and checkouts: pinned, isolated, repaired, and gone afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runner.core.errors import RunnerError
from runner.core.model import Reason, Remote
from runner.run.stages.verify import put_change
from runner.workspace import overlayfs
from runner.workspace.checkout import checkout, open_workspace
from runner.workspace.mirror import Mirror
from tests.parts.repos import BASE, Scene, by_path, commit, git, scene

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
LAYERED = [False, pytest.param(True, marks=ROOT_ONLY)]


@pytest.fixture
def here(tmp_path: Path) -> Scene:
    return scene(tmp_path)


def fetched(here: Scene) -> Mirror:
    here.mirror.fetch(here.remote)
    return here.mirror


@pytest.mark.parametrize("layered", LAYERED)
def test_a_checkout_holds_the_commit_and_nothing_else(here: Scene, layered: bool) -> None:
    sha = git(here.source, "rev-parse", "main")
    commit(here.source, {"later": b"1\n"})
    fetched(here)
    with checkout(here.mirror, sha, "one", layered=layered) as workspace:
        assert workspace.path.is_mount() == layered
        files = {
            str(path.relative_to(workspace.path)) for path in workspace.path.rglob("*") if not path.is_dir()
        }
        assert {path for path in files if not path.startswith(".git/")} == set(BASE)
        assert git(workspace.path, "status", "--porcelain") == ""
        assert git(workspace.path, "rev-parse", "HEAD") == sha
        assert git(workspace.path, "log", "--format=%s", "origin/main", "-1") == "change"
        assert workspace.objects == (here.mirror.objects,)
        alternates = workspace.path / ".git/objects/info/alternates"
        assert alternates.read_text().split() == [str(here.mirror.objects)]
    assert not workspace.folder.exists()
    assert not workspace.path.is_mount()


@pytest.mark.parametrize("layered", LAYERED)
def test_runs_do_not_see_each_other(here: Scene, layered: bool) -> None:
    mirror = fetched(here)
    sha = mirror.resolve("main")
    with (
        checkout(mirror, sha, "one", layered=layered) as one,
        checkout(mirror, sha, "two", layered=layered) as two,
    ):
        (one.path / "docs/a.md").write_text("by one\n")
        shutil.rmtree(one.path / "src")
        git(one.path, "tag", "mine")
        assert (two.path / "docs/a.md").read_bytes() == BASE["docs/a.md"]
        assert (two.path / "src/app.py").exists()
        assert git(two.path, "tag") == ""
    with checkout(mirror, sha, "three", layered=layered) as three:
        assert here.harvest(three).changes == ()


@pytest.mark.parametrize("layered", LAYERED)
@ROOT_ONLY
def test_files_belong_to_the_owner(here: Scene, layered: bool) -> None:
    mirror = fetched(here)
    with checkout(mirror, mirror.resolve("main"), "one", owner=(1000, 1001), layered=layered) as workspace:
        found = [workspace.path, *workspace.path.rglob("*")]
        assert {(path.lstat().st_uid, path.lstat().st_gid) for path in found} == {(1000, 1001)}
        assert here.harvest(workspace).changes == ()
        assert git(workspace.path, "diff-files", "--name-only") == ""


@pytest.mark.parametrize("layered", LAYERED)
@pytest.mark.parametrize("owner", [None, pytest.param((1000, 1000), marks=ROOT_ONLY)])
def test_a_change_is_put_on_top_of_a_clean_tree(
    here: Scene, layered: bool, owner: tuple[int, int] | None
) -> None:
    with here.workspace() as workspace:
        (workspace.path / "docs/a.md").write_text("changed\n")
        (workspace.path / "docs/new.md").write_text("new\n")
        (workspace.path / "src/app.py").unlink()
        (workspace.path / "bin/run").chmod(0o644)
        found = here.harvest(workspace)
    changeset = here.changeset()
    tree, options = changeset.apply(found.base_sha, found.patch), {"layered": layered, "owner": owner}
    with checkout(here.mirror, found.base_sha, "v", change=changeset.objects, **options) as clean:
        assert (clean.path / "docs/a.md").read_text() != "changed\n"
        put_change(clean, changeset, tree, owner)
        assert (clean.path / "docs/a.md").read_text() == "changed\n"
        assert (clean.path / "docs/new.md").read_text() == "new\n"
        assert not (clean.path / "src/app.py").exists()
        assert not (clean.path / "bin/run").stat().st_mode & 0o111
        assert git(clean.path, "diff", "--cached", "--name-only").split() == sorted(by_path(found))
        assert clean.objects == (here.mirror.objects, changeset.objects)
        if owner:
            assert {path.lstat().st_uid for path in clean.path.rglob("*")} == {owner[0]}
        assert git(clean.path, "diff", "--name-only") == ""


@pytest.mark.parametrize("layered", [False, True])
def test_the_clone_has_no_remote_and_does_not_name_the_origin(here: Scene, layered: bool) -> None:
    mirror = fetched(here)
    with checkout(mirror, mirror.resolve("main"), "one", layered=layered) as workspace:
        assert git(workspace.path, "remote") == ""
        kept = [path for path in (workspace.path / ".git").rglob("*") if path.is_file()]
        named = [path.name for path in kept if str(here.source).encode() in path.read_bytes()]
        assert named == []
        assert git(workspace.path, "rev-parse", "origin/main") == mirror.resolve("main")


def test_names_that_look_like_something_else(here: Scene) -> None:
    sha = git(here.source, "rev-parse", "main")
    git(here.source, "branch", "a\u2028b\u0085c", "main")
    git(here.source, "tag", "-a", "v1", "-m", "one", "main")
    mirror = fetched(here)
    assert not mirror.fetch(here.remote)
    with checkout(mirror, sha, "one") as workspace:
        assert git(workspace.path, "rev-parse", "main", "v1^{commit}").split() == [sha, sha]
        assert git(workspace.path, "rev-parse", "origin/a\u2028b\u0085c") == sha
        assert git(workspace.path, "fsck", "--connectivity-only") == ""


def test_it_is_empty_until_it_is_filled(here: Scene) -> None:
    mirror = fetched(here)
    with open_workspace(mirror, mirror.resolve("main"), "one", layered=False) as workspace:
        assert list(workspace.path.iterdir()) == []
        workspace.fill()
        assert git(workspace.path, "status", "--porcelain") == ""
        assert workspace.index.exists()


def test_fetch_moves_only_on_change(here: Scene) -> None:
    assert here.mirror.fetch(here.remote)
    assert not here.mirror.fetch(here.remote)
    sha = commit(here.source, {"new": b"1\n"})
    git(here.source, "tag", "-a", "v1", "-m", "one", "main")
    git(here.source, "branch", "gone", "main")
    assert here.mirror.fetch(here.remote)
    assert not here.mirror.fetch(here.remote)
    assert {here.mirror.resolve(ref) for ref in ("main", "v1", "refs/heads/main", sha, sha[:12])} == {sha}
    git(here.source, "branch", "-D", "gone")
    assert here.mirror.fetch(here.remote)
    with pytest.raises(RunnerError, match="has no branch, tag or commit 'gone'") as caught:
        here.mirror.resolve("gone")
    assert caught.value.reason is Reason.REF_NOT_FOUND


def test_fetch_takes_what_else_is_wanted(here: Scene) -> None:
    fetched(here)
    sha = commit(here.source, {"pr": b"1\n"}, branch="tmp")
    git(here.source, "update-ref", "refs/pull/7/head", sha)
    git(here.source, "branch", "-D", "tmp")
    assert here.mirror.fetch(here.remote, "refs/pull/7/head")
    assert not here.mirror.fetch(here.remote, "refs/pull/7/head")
    assert here.mirror.resolve("refs/pull/7/head") == sha
    assert not here.mirror.fetch(here.remote)
    assert here.mirror.resolve("refs/pull/7/head") == sha
    with pytest.raises(RunnerError) as caught:
        here.mirror.fetch(here.remote, "refs/pull/8/head")
    assert caught.value.reason is Reason.REF_NOT_FOUND


def test_a_rewritten_branch_and_a_folder_in_its_place(here: Scene) -> None:
    fetched(here)
    git(here.source, "branch", "x", "main")
    fetched(here)
    git(here.source, "branch", "-D", "x")
    git(here.source, "branch", "x/y", "main")
    sha = commit(here.source, {"a": b"1\n"}, branch="other")
    git(here.source, "update-ref", "refs/heads/main", sha)
    fetched(here)
    assert here.mirror.resolve("main") == here.mirror.resolve("other") == sha
    assert here.mirror.resolve("x/y") != sha


def test_a_mirror_over_a_transport(here: Scene) -> None:
    url = f"file://{here.source}"
    mirror = Mirror(here.state, url)
    assert mirror.directory != here.mirror.directory
    assert mirror.fetch(Remote(url=url))
    with checkout(mirror, mirror.resolve("main"), "one", layered=False) as workspace:
        assert (workspace.path / "README.md").exists()


def test_a_shallow_source_and_one_that_borrows(here: Scene, tmp_path: Path) -> None:
    commit(here.source, {"new": b"1\n"})
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{here.source}", "shallow")
    git(tmp_path, "clone", "--quiet", "--shared", str(here.source), "borrower")
    for name in ("shallow", "borrower"):
        mirror = Mirror(here.state, str(tmp_path / name))
        mirror.fetch(Remote(url=mirror.url))
        assert not mirror.fetch(Remote(url=mirror.url))
        assert not (mirror.objects / "info/alternates").exists()
        with checkout(mirror, mirror.resolve("main"), name) as workspace:
            assert (workspace.path / "new").exists()
            assert git(workspace.path, "log", "--format=%s").splitlines()[0] == "change"


@ROOT_ONLY
def test_a_source_of_another_user(here: Scene) -> None:
    subprocess.run(["chown", "-R", "65534", str(here.source)], check=True)
    fetched(here)
    commit(here.source, {"new": b"1\n"})
    assert here.mirror.fetch(here.remote)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "state", str(tmp_path / "nowhere"))
    with pytest.raises(RunnerError) as caught:
        mirror.fetch(Remote(url=mirror.url))
    assert caught.value.reason is Reason.FORGE_NOT_FOUND
    assert not mirror.directory.exists()


def damage(mirror: Mirror) -> None:
    for left in mirror.objects.rglob("*"):
        if left.is_file():
            left.unlink()


def test_a_damaged_mirror_is_mended_by_the_next_run(here: Scene) -> None:
    mirror = fetched(here)
    sha = mirror.resolve("main")
    damage(mirror)
    with pytest.raises(RunnerError) as caught, checkout(mirror, sha, "one", layered=False):
        pytest.fail("a checkout without objects")
    assert caught.value.retryable
    assert mirror.fetch(here.remote)
    with checkout(mirror, sha, "one", layered=False) as workspace:
        assert (workspace.path / "README.md").exists()


def test_a_damaged_mirror_is_made_anew_by_fetch(here: Scene) -> None:
    mirror = fetched(here)
    commit(here.source, {"new": b"1\n"})
    shutil.rmtree(mirror.directory / "refs")
    assert mirror.fetch(here.remote)
    assert mirror.is_healthy()


def test_locks_of_a_killed_process_do_not_stop_us(here: Scene) -> None:
    mirror = fetched(here)
    sha = commit(here.source, {"new": b"1\n"})
    (mirror.directory / "packed-refs.lock").touch()
    (mirror.directory / "refs/heads").mkdir(parents=True, exist_ok=True)
    (mirror.directory / "refs/heads/main.lock").touch()
    aside = mirror.directory.with_suffix(f".{os.getpid()}.new")
    aside.mkdir()
    assert mirror.fetch(here.remote)
    assert mirror.resolve("main") == sha


def test_many_packs_are_rolled_up(here: Scene) -> None:
    mirror = fetched(here)
    for number in range(22):
        commit(here.source, {"n": b"%d\n" % number})
        mirror.fetch(here.remote)
    assert len(list((mirror.objects / "pack").glob("*.pack"))) < 22
    assert mirror.is_healthy()


def test_a_pinned_commit_is_kept_while_it_is_borrowed(here: Scene) -> None:
    mirror = fetched(here)
    with checkout(mirror, mirror.resolve("main"), "one") as workspace:
        assert git(mirror.directory, "rev-parse", "refs/keep/one") == workspace.base_sha
    assert git(mirror.directory, "for-each-ref", "refs/keep") == ""


def test_an_unknown_commit(here: Scene) -> None:
    mirror = fetched(here)
    with pytest.raises(RunnerError), checkout(mirror, "1" * 40, "one"):
        pytest.fail("a checkout of nothing")
    assert mirror.is_healthy()
    assert [path.name for path in (here.state / "workspaces").iterdir()] == [".lock"]


def test_many_at_once_on_a_cold_cache(here: Scene) -> None:
    seen: list[bytes] = []

    def run(name: str) -> None:
        mirror = fetched(here)
        with checkout(mirror, mirror.resolve("main"), name) as workspace:
            seen.append((workspace.path / "docs/a.md").read_bytes())

    threads = [threading.Thread(target=run, args=(f"run-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [BASE["docs/a.md"]] * 6


def test_keep_leaves_the_workspace(here: Scene) -> None:
    mirror = fetched(here)
    with checkout(mirror, mirror.resolve("main"), "one", keep=True) as workspace:
        (workspace.path / "left").touch()
    with checkout(mirror, mirror.resolve("main"), "two"):
        pass
    assert (workspace.path / "left").exists()
    assert not workspace.path.is_mount()


CRASH = """
import os, signal, sys
from pathlib import Path
from runner.workspace.mirror import Mirror
from runner.workspace.checkout import checkout
mirror = Mirror(Path(sys.argv[1]), sys.argv[2])
with checkout(mirror, mirror.resolve("main"), "dead") as workspace:
    (workspace.path / "x").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_runner_left_is_swept(here: Scene) -> None:
    mirror = fetched(here)
    root = Path(__file__).parents[3]
    argv = [sys.executable, "-c", CRASH, str(here.state), mirror.url]
    assert subprocess.run(argv, cwd=root, check=False).returncode == -signal.SIGKILL
    dead = here.state / "workspaces/dead"
    assert (dead / "tree/x").exists()
    with checkout(mirror, mirror.resolve("main"), "next") as workspace:
        assert not dead.exists()
        assert workspace.path.is_dir()
        assert git(mirror.directory, "for-each-ref", "--format=%(refname)", "refs/keep") == "refs/keep/next"
    assert str(here.state) not in Path("/proc/mounts").read_text()


def test_closed_folders_go_too(here: Scene) -> None:
    with here.workspace() as workspace:
        (workspace.path / "a/b").mkdir(parents=True)
        (workspace.path / "a/b/c").touch()
        (workspace.path / "a/b").chmod(0)
        (workspace.path / "a").chmod(0o500)
    assert not workspace.folder.exists()


def test_errors_of_the_body_are_its_own(here: Scene) -> None:
    with pytest.raises(OSError, match="mine"), here.workspace() as workspace:
        raise OSError("mine")
    assert not workspace.folder.exists()


@ROOT_ONLY
def test_a_full_disk_is_said(here: Scene, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
    try:
        commit(here.source, {"big": os.urandom(400_000)})
        mirror = Mirror(small, here.mirror.url)
        with pytest.raises(RunnerError) as caught:
            mirror.fetch(Remote(url=f"file://{here.source}"))
        assert (caught.value.reason, caught.value.retryable) == (Reason.DISK_FULL, True)
        assert "state_dir" in caught.value.hint
    finally:
        subprocess.run(["umount", str(small)], check=True)


@ROOT_ONLY
def test_a_disk_that_fills_up_later_is_said_too(here: Scene, tmp_path: Path) -> None:
    commit(here.source, {"big": b"the same line\n" * 100_000})
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    try:
        mirror = Mirror(small, here.mirror.url)
        mirror.fetch(Remote(url=f"file://{here.source}"))
        for layered in (True, False):
            with (
                pytest.raises(RunnerError) as caught,
                checkout(mirror, mirror.resolve("main"), "one", layered=layered),
            ):
                pytest.fail("a checkout without space")
            assert caught.value.reason is Reason.DISK_FULL
        assert [path.name for path in (small / "workspaces").iterdir()] == [".lock"]
        assert mirror.is_healthy()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_state_folder_that_cannot_be_is_said(here: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mirror = Mirror(tmp_path / "file", here.mirror.url)
    with pytest.raises(RunnerError, match="Not a directory") as caught:
        mirror.fetch(here.remote)
    assert "state_dir" in caught.value.hint


@ROOT_ONLY
def test_without_overlayfs_it_is_a_plain_checkout(
    here: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mount").write_text("#!/bin/sh\necho 'unknown filesystem type' >&2\nexit 32\n")
    (tmp_path / "mount").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with here.workspace(layered=True) as workspace:
        assert not workspace.path.is_mount()
        assert here.harvest(workspace).changes == ()


@ROOT_ONLY
def test_old_bases_make_room_unless_they_are_used(here: Scene) -> None:
    mirror = fetched(here)
    first = mirror.resolve("main")
    with checkout(mirror, first, "holder") as held:
        for number in range(5):
            sha = commit(here.source, {"n": b"%d\n" % number})
            fetched(here)
            with checkout(mirror, sha, "other"):
                pass
        assert held.path.is_mount()
        assert (held.path / "README.md").exists()
        bases = [path.name for path in (here.state / "bases" / mirror.key).iterdir() if path.is_dir()]
        assert f"{first}-own" in bases
        assert len(bases) == 4


def test_paths_that_overlayfs_would_misread() -> None:
    assert not overlayfs.is_supported(Path("/srv/a:b"))
    assert not overlayfs.is_supported(Path("/srv/a,b"))
