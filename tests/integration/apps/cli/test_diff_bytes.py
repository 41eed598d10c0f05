"""`diff` shows the patch as it is: its bytes into a file, and its files by the names that git reads in it."""

import subprocess

import pytest

from runner.apps.cli.commands import diff
from tests.parts.cli import Project, clean_environment, skill_files

YAML = """
description: Touch the docs
on: {manual: {}}
harness: {kind: command, command: [sh, edit.sh]}
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""
EDIT = r"""
sed -i s/b/B/ docs/crlf.txt
printf 'one\ftwo\302\205three\342\200\250four\n' > docs/ff.txt
printf 'x\n++ b/no.md\n-- a/no.md' > 'docs/two words.md'
echo z > docs/überblick.md
echo q > 'docs/a"b.md'
mkdir 'docs/empty b'
: > 'docs/empty b/name.md'
mv docs/guide.md docs/moved.md
"""


DELETED = b"""diff --git a/x y b/x y
deleted file mode 100644
index 587be6b..0000000
--- a/x y\t
+++ /dev/null
@@ -1 +0,0 @@
-x
"""


@pytest.fixture
def ran(project: Project) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit({**skill_files("touch", YAML), "edit.sh": EDIT, "docs/crlf.txt": b"a\r\nb\r\n"})
    done = project.process("run", "touch")
    assert "look further" in done.out, done
    return project


def test_diff_into_a_file_is_the_kept_patch_and_applies(ran: Project) -> None:
    (kept,) = ran.state.glob("runs/*/patch")
    done = subprocess.run(ran.command("diff"), cwd=ran.root, env=ran.environment(), capture_output=True)
    assert done.stdout == kept.read_bytes(), done.stderr
    assert b"B\r\n" in done.stdout
    check = ["git", "apply", "--check", "-"]
    subprocess.run(check, cwd=ran.root, env=clean_environment(ran.home), input=done.stdout, check=True)


def test_diff_names_each_file_as_git_reads_it(ran: Project) -> None:
    files = {
        one["path"]: (one["added"], one["deleted"])
        for one in ran.skillrunner("diff", "--json").json()["files"]
    }
    assert files == {
        'docs/a"b.md': (1, 0),
        "docs/crlf.txt": (1, 1),
        "docs/empty b/name.md": (0, 0),
        "docs/ff.txt": (1, 0),
        "docs/guide.md": (0, 3),
        "docs/moved.md": (3, 0),
        "docs/two words.md": (3, 0),
        "docs/überblick.md": (1, 0),
    }
    stat = ran.skillrunner("diff", "--stat").out.splitlines()
    assert {"docs/two words.md | +3 -0", "docs/überblick.md | +1 -0", "8 files changed"} <= set(stat)


@pytest.mark.parametrize(
    ("patch", "files"),
    [
        (b"", []),
        (
            b"diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n",
            [("y", 0, 0)],
        ),
        (b"diff --git a/r.sh b/r.sh\nold mode 100644\nnew mode 100755\n", [("r.sh", 0, 0)]),
        (
            DELETED,
            [("x y", 0, 1)],
        ),
    ],
    ids=["empty", "rename", "mode", "deleted"],
)
def test_the_files_of_a_patch(patch: bytes, files: list[tuple[str, int, int]]) -> None:
    assert [(one.path, one.added, one.deleted) for one in diff._files(patch)] == files


def test_a_log_of_github_gets_no_command_out_of_a_patch(ran: Project) -> None:
    environment = {**ran.environment(), "GITHUB_ACTIONS": "true"}
    done = subprocess.run(ran.command("diff"), cwd=ran.root, env=environment, capture_output=True)
    assert b"\f" not in done.stdout
    assert b"+B" in done.stdout
