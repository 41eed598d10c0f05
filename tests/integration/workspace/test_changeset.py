"""A change as data: applied, merged onto a moved base, committed and pushed, without a work tree."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.clients.git import Git, GitResult
from runner.clients.git.failures import failure
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason, Remote
from runner.run.agent.resume import apply_edits
from runner.workspace import changeset as changesets
from runner.workspace.changeset import Changeset, Conflict, Edit
from tests.parts.repos import bare, commit, git

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAIN = 0o100644


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return bare(tmp_path / "source.git")


@pytest.fixture
def base(source: Path) -> str:
    return git(source, "rev-parse", "main")


@pytest.fixture
def changeset(tmp_path: Path, source: Path) -> Changeset:
    return Changeset(tmp_path / "private.git", source / "objects")


def made(changeset: Changeset, tree: str, parent: str) -> str:
    return changeset.commit(tree, [parent], "docs: update\n\nWhy: test\n", "Bot", "bot@example.com", AT)


def test_a_patch_alone_makes_the_tree_again(
    changeset: Changeset, base: str, tmp_path: Path, source: Path
) -> None:
    edits = [
        Edit("docs/a.md", PLAIN, b"one\r\ntwo\nthree"),
        Edit("README.md"),
        Edit("README.md/now a folder", 0o100755, b"x"),
        Edit("logo.png", PLAIN, b"\x00" * 100),
        Edit("link", 0o120000, b"docs/a.md"),
        Edit("empty", PLAIN, b""),
        Edit('odd "\\\n\udcff name', PLAIN, b"\xff\xfe"),
    ]
    tree = changeset.write(base, edits)
    patch = changeset.patch(base, tree)
    elsewhere = Changeset(tmp_path / "other.git", source / "objects")
    assert elsewhere.apply(base, patch) == tree
    assert set(changeset.stats(base, tree)) == {edit.path for edit in edits}
    assert git(changeset.directory, "for-each-ref") == ""


def test_the_edits_of_a_tree_make_it_again_in_a_folder(
    changeset: Changeset, base: str, tmp_path: Path
) -> None:
    """Whatever lies in the way, and without following a link."""
    edits = [
        Edit("docs/new/a.md", PLAIN, b"one\r\ntwo"),
        Edit("README.md"),
        Edit("README.md/now a folder", 0o100755, b"x"),
        Edit("link", 0o120000, b"docs/a.md"),
        Edit('odd "\\\n\udcff name', PLAIN, b"\xff\xfe"),
    ]
    tree = changeset.write(base, edits)
    found = changeset.edits(base, tree)
    assert sorted(found, key=lambda edit: edit.path) == sorted(edits, key=lambda edit: edit.path)
    assert changeset.write(base, found) == tree
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.write_text("mine")
    (root / "README.md").write_text("of the base")
    (root / "link").symlink_to(outside)
    (root / 'odd "\\\n\udcff name').symlink_to(outside)
    apply_edits(found, root, None)
    assert (root / "docs/new/a.md").read_bytes() == b"one\r\ntwo"
    assert (root / "README.md/now a folder").stat().st_mode & 0o777 == 0o755
    assert str((root / "link").readlink()) == "docs/a.md"
    assert (root / 'odd "\\\n\udcff name').read_bytes() == b"\xff\xfe"
    assert outside.read_text() == "mine"


def test_no_folder_that_is_a_link_is_entered(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/docs").symlink_to(tmp_path / "outside")
    for edit in (Edit("docs/a.md", PLAIN, b"x"), Edit("docs/a.md")):
        with pytest.raises(RunnerError, match="docs is a link"):
            apply_edits([edit], tmp_path / "root", None)
    assert list((tmp_path / "outside").iterdir()) == []


def test_no_edits_no_patch(changeset: Changeset, base: str) -> None:
    tree = changeset.write(base, [])
    assert tree == changeset.tree_of(base)
    assert changeset.patch(base, tree) == b""
    assert changeset.apply(base, b"") == tree


def test_a_patch_for_something_else_is_a_conflict(changeset: Changeset, base: str) -> None:
    patch = changeset.patch(base, changeset.write(base, [Edit("docs/a.md", PLAIN, b"changed\n")]))
    moved = made(changeset, changeset.write(base, [Edit("docs/a.md", PLAIN, b"other\n")]), base)
    with pytest.raises(RunnerError) as caught:
        changeset.apply(moved, patch)
    assert caught.value.reason is Reason.CONFLICT
    assert "docs/a.md" in caught.value.message


@pytest.mark.parametrize("path", ["../out", "/tmp/out", ".git/hooks/x", ".GIT/config", "a/../../out"])
def test_a_patch_that_leads_out_is_refused(changeset: Changeset, base: str, path: str) -> None:
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    patch = f"{head}@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(RunnerError) as caught:
        changeset.apply(base, patch.encode())
    assert caught.value.reason is Reason.CONFLICT


def test_merge_onto_a_moved_base(changeset: Changeset, base: str, source: Path) -> None:
    tree = changeset.write(base, [Edit("docs/a.md", PLAIN, b"one\ntwo\nthree\nfour\n")])
    onto = commit(source, {"docs/a.md": b"zero\none\ntwo\nthree\n", "new": b"1\n"})
    merged = changeset.merge(base, onto, tree)
    assert isinstance(merged, str)
    assert git(changeset.directory, "show", f"{merged}:docs/a.md") == "zero\none\ntwo\nthree\nfour"
    assert git(changeset.directory, "show", f"{merged}:new") == "1"
    assert changeset.merge(base, onto, tree) == merged


def test_merge_reports_every_conflict(changeset: Changeset, base: str, source: Path) -> None:
    edits = [Edit("docs/a.md", PLAIN, b"mine\n"), Edit("src/app.py"), Edit("ok", PLAIN, b"")]
    onto = commit(source, {"docs/a.md": b"theirs\n", "src/app.py": b"print('changed')\n"})
    assert changeset.merge(base, onto, changeset.write(base, edits)) == Conflict(("docs/a.md", "src/app.py"))


def test_merge_needs_no_common_history(changeset: Changeset, base: str, source: Path) -> None:
    """The base branch was force-pushed: what counts is the difference, not how it came about."""
    tree = changeset.write(base, [Edit("new.md", PLAIN, b"new\n")])
    onto = commit(source, {"docs/a.md": b"rewritten\n"}, branch="rewritten")
    assert changeset.merge(base, base, tree) == tree
    assert isinstance(changeset.merge(base, onto, tree), str)


def test_merge_lets_no_rename_move_a_change(changeset: Changeset, base: str, source: Path) -> None:
    """A change must not land on a path that no policy has seen."""
    body = b"".join(b"line %d\n" % number for number in range(50))
    old = commit(source, {"docs/long.md": body})
    onto = commit(source, {"docs/long.md": None, ".github/workflows/long.yml": body})
    tree = changeset.write(old, [Edit("docs/long.md", PLAIN, body + b"more\n")])
    assert changeset.merge(old, onto, tree) == Conflict((".github/workflows/long.yml",))


def test_commits_are_deterministic_and_read_back(changeset: Changeset, base: str) -> None:
    tree = changeset.write(base, [Edit("x", PLAIN, b"x")])
    sha = made(changeset, tree, base)
    assert made(changeset, tree, base) == sha
    second = changeset.commit(tree, [sha], "zwei: größer\n", "Müller", "m@example.com", AT)
    first, last = changeset.commits(base, second)
    assert (first.sha, first.parents, first.tree) == (sha, (base,), tree)
    assert (first.author_name, first.committer_email) == ("Bot", "bot@example.com")
    assert first.message == "docs: update\n\nWhy: test\n"
    assert (last.author_name, last.message) == ("Müller", "zwei: größer\n")
    assert changeset.commits(second, second) == []


def test_push_creates_repeats_and_moves(changeset: Changeset, base: str, source: Path) -> None:
    remote = Remote(url=str(source))
    one = made(changeset, changeset.write(base, [Edit("x", PLAIN, b"1")]), base)
    two = made(changeset, changeset.write(base, [Edit("x", PLAIN, b"2")]), base)
    assert changeset.remote_heads(remote, "bot/x") == [None]
    changeset.push(remote, one, "bot/x", None)
    changeset.push(remote, one, "bot/x", None)
    assert changeset.remote_heads(remote, "x", "bot/x") == [None, one]
    changeset.push(remote, two, "bot/x", one)
    assert git(source, "rev-parse", "bot/x") == two


@pytest.mark.parametrize("expected", [None, "base"])
def test_push_stops_when_the_branch_moved(
    changeset: Changeset, base: str, source: Path, expected: str | None
) -> None:
    human = commit(source, {"docs/a.md": b"by a human\n"}, branch="bot/x")
    mine = made(changeset, changeset.write(base, [Edit("x", PLAIN, b"1")]), base)
    with pytest.raises(RunnerError) as caught:
        changeset.push(Remote(url=str(source)), mine, "bot/x", base if expected else None)
    assert (caught.value.phase, caught.value.reason) == (Phase.PUBLISH, Reason.BRANCH_MOVED)
    assert git(source, "rev-parse", "bot/x") == human


def test_a_branch_in_the_way_is_named(changeset: Changeset, base: str, source: Path) -> None:
    commit(source, {"docs/a.md": b"x\n"}, branch="bot")
    mine = made(changeset, changeset.write(base, [Edit("x", PLAIN, b"1")]), base)
    with pytest.raises(RunnerError) as caught:
        changeset.push(Remote(url=str(source)), mine, "bot/x", None)
    assert caught.value.reason is Reason.FORGE_REJECTED
    assert (
        caught.value.hint == "git keeps no branch bot/x beside one called bot: rename that one, or delete it"
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("GH006: Protected branch update failed", Reason.BRANCH_PROTECTED),
        ("permission denied", Reason.FORGE_DENIED),
    ],
)
def test_push_that_the_other_side_refuses(
    changeset: Changeset, base: str, source: Path, said: str, reason: Reason
) -> None:
    hook = source / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    hook.chmod(0o755)
    mine = made(changeset, changeset.write(base, [Edit("x", PLAIN, b"1")]), base)
    with pytest.raises(RunnerError) as caught:
        changeset.push(Remote(url=str(source)), mine, "bot/x", None)
    assert caught.value.reason is reason
    assert said in caught.value.message


def test_fetch_brings_a_branch(changeset: Changeset, source: Path) -> None:
    human = commit(source, {"docs/a.md": b"by a human\n"}, branch="bot/x")
    changeset.fetch(Remote(url=str(source)), "+refs/heads/bot/x:refs/heads/bot/x")
    assert changeset.tree_of("refs/heads/bot/x") == git(source, "rev-parse", f"{human}^{{tree}}")
    with pytest.raises(RunnerError) as caught:
        changeset.fetch(Remote(url=str(source)), "refs/heads/nothing")
    assert caught.value.reason is Reason.REF_NOT_FOUND


@pytest.mark.parametrize("code", [1, 128])
@pytest.mark.parametrize("arrived", [False, True])
def test_a_push_that_a_gateway_answers_with_502_is_repeated(
    changeset: Changeset, base: str, source: Path, monkeypatch: pytest.MonkeyPatch, code: int, arrived: bool
) -> None:
    run, pushes = Git.run, 0

    def through_a_gateway(self: Git, *args: str | Path, **more: Any) -> GitResult:
        nonlocal pushes
        pushes += args[0] == "push"
        if args[0] != "push" or pushes > 1:
            return run(self, *args, **more)
        if arrived:
            run(self, *args, **more)
        said = GitResult(
            code, b"", "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502"
        )
        if code in more["ok"]:
            return said
        raise failure(Phase.PUBLISH, self.directory, args, said)

    monkeypatch.setattr(Git, "run", through_a_gateway)
    monkeypatch.setattr(changesets, "_PUSH_DELAYS", (0.0, 0.0))
    mine = made(changeset, changeset.write(base, [Edit("x", PLAIN, b"1")]), base)
    changeset.push(Remote(url=str(source)), mine, "bot/x", None)
    assert (pushes, git(source, "rev-parse", "bot/x")) == (2, mine)
    human = commit(source, {"docs/a.md": b"by a human\n"}, branch="bot/x")
    with pytest.raises(RunnerError) as caught:
        changeset.push(Remote(url=str(source)), mine, "bot/x", base)
    assert (caught.value.reason, pushes) == (Reason.BRANCH_MOVED, 3), "what was refused is not repeated"
    assert git(source, "rev-parse", "bot/x") == human
