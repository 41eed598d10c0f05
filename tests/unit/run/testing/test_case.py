"""Cases as files: what they start from, and what is wrong with them."""

import os
from pathlib import Path

import pytest

from runner.clients.git import Git
from runner.core.errors import RunnerError
from runner.core.model import Reason
from runner.run.testing import case as cases

YAML = """\
version: 1
now: "2026-01-05T09:00:00Z"
base:
  - files: first
    tags: [v1, stable]
    at: "2025-01-01"
  - files: second
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a case, beside its skill."""
    made = tmp_path / "skills" / "page" / "cases" / "one"
    files = {
        "case.yaml": YAML,
        "first/a.md": "a\n",
        "first/b.md": "b\n",
        "first/run": "x",
        "second/b.md": "new\n",
        "second/deep/c d.md": "c\n",
    }
    for name, text in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    (made / "first/run").chmod(0o755)
    (made / "first/link").symlink_to("a.md")
    (tmp_path / "skills/page/skill.yaml").write_text("version: 1\n")
    (tmp_path / "skills/page/__pycache__").mkdir()
    (tmp_path / "skills/style").mkdir()
    (tmp_path / "skills/style/SKILL.md").write_text("Few words.\n")
    (tmp_path / "skills/page/__pycache__/x.pyc").write_text("x")
    return made


def built(folder: Path, where: Path) -> tuple[tuple[str, ...], Git]:
    skill = folder.parent.parent
    commits = cases.build(cases.read("page", folder), skill, "skills/page", where, ["style"])
    return commits, Git(where)


def test_steps_become_commits_with_the_skill_in_them(folder: Path, tmp_path: Path) -> None:
    commits, git = built(folder, tmp_path / "one.git")
    assert len(commits) == 2
    listing = git.output("ls-tree", "-r", "--format=%(objectmode) %(path)", "main").splitlines()
    assert listing == [
        "100644 a.md",
        "100644 b.md",
        "100644 deep/c d.md",
        "120000 link",
        "100755 run",
        "100644 skills/page/skill.yaml",
        "100644 skills/style/SKILL.md",
    ]
    assert git.output("show", "main:b.md") == "new"
    assert git.output("show", "v1:b.md") == "b"
    assert git.output("rev-parse", "v1", "stable").split() == [commits[0]] * 2
    assert git.output("log", "--format=%cs", "main").split() == ["2026-01-04", "2025-01-01"]


def test_the_same_files_make_the_same_commits(folder: Path, tmp_path: Path) -> None:
    first, _ = built(folder, tmp_path / "one.git")
    os.utime(folder / "first/a.md", (1, 1))
    assert built(folder, tmp_path / "two.git")[0] == first


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("version: 1", "version: 2", "case.yaml:1:10"),
        ("files: second", "files: third", "there is no such folder beside it"),
        ("files: second", "files: ../second", "case.yaml:7:12"),
        ("2026-01-05T09:00:00Z", "soon", "is no time"),
        ("now:", "know:", "unknown key"),
    ],
)
def test_faults_have_their_place(folder: Path, before: str, after: str, said: str) -> None:
    (folder / "case.yaml").write_text(YAML.replace(before, after))
    with pytest.raises(RunnerError) as caught:
        cases.read("page", folder)
    assert said in caught.value.message
    assert "case.yaml" in caught.value.message


@pytest.mark.parametrize("text", ["{", "[]", "1"])
def test_a_faulty_event_is_named(folder: Path, text: str) -> None:
    (folder / "event.json").write_text(text)
    with pytest.raises(RunnerError, match=r"event\.json"):
        cases.read("page", folder)


LONG = "x" * 300_000
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("2025-01-01", "then", "case.yaml:6:9: is no time"),
        ("2026-01-05T09:00:00Z", "0001-01-01", "case.yaml:2:6: is no time between 1980"),
        ("2026-01-05T09:00:00Z", "1960-01-01", "is no time between 1980"),
        ("version: 1", f"version: 1 # {LONG}", "case.yaml: has more than 262,144 bytes"),
        ("version: 1", f"version: {DEEP}", "case.yaml:1:"),
        ("[v1, stable]", "[v 1]", "case.yaml:5:12: is no name that git takes for a branch or tag"),
        ("[v1, stable]", "[v1..v2]", "is no name that git takes"),
        ("version: 1", "version: 1\nbranch: -x", "case.yaml:2:9: is no name that git takes"),
        ("version: 1", "version: 1\nbranch: a.lock", "is no name that git takes"),
        ("version: 1", "version: 1\nrecorded: [2026-01-05]", "case.yaml:2:11: should hold two times"),
        ("version: 1", "version: 1\nrecorded: [soon, later]", "case.yaml:2:12: is no time"),
        ("version: 1", "version: 1\nfilters: [{pattern: '('}]", "case.yaml:2:21: is no regular expression"),
        ("version: 1", "version: 1\nfilters: [{pattern: '.*'}]", "matches the empty text"),
        ("version: 1", "version: 1\nfilters: [{pattern: x, where: prompt}]", "case.yaml:2:31: should be"),
        ("version: 1", "version: 1\nfilters: x", "case.yaml:2:10: should be a list"),
        ("files: second", "files: a/b", "case.yaml:7:12"),
        ("version: 1", "<<<<<<< HEAD", "case.yaml:2:"),
    ],
)
def test_a_damaged_or_oversized_case_names_file_line_and_what_to_write(
    folder: Path, before: str, after: str, said: str
) -> None:
    (folder / "case.yaml").write_text(YAML.replace(before, after))
    with pytest.raises(RunnerError) as caught:
        cases.read("page", folder)
    assert said in caught.value.message
    assert caught.value.reason is Reason.INVALID_INPUT
    assert "validate" not in caught.value.hint  # which does not read cases
    assert len(caught.value.message) < 2000


@pytest.mark.parametrize("content", [b"\xff\xfe", b"version: \x00", b"", b"- a\n"])
def test_a_case_of_odd_bytes_is_named(folder: Path, content: bytes) -> None:
    (folder / "case.yaml").write_bytes(content)
    with pytest.raises(RunnerError, match=r"case\.yaml:1:"):
        cases.read("page", folder)


def test_what_is_no_plain_file_is_named_and_not_waited_for(folder: Path) -> None:
    for name in ("case.yaml", "event.json"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        with pytest.raises(RunnerError, match=name.replace(".", r"\.")):
            cases.read("page", folder)
        (folder / name).unlink()
        (folder / "case.yaml").write_text(YAML)
    (folder / "case.yaml").unlink()
    (folder / "case.yaml").mkdir()
    with pytest.raises(RunnerError, match=r"case\.yaml"):
        cases.read("page", folder)


@pytest.mark.parametrize(
    "content", [b'{"a": NaN}', b"\xff", b'{"a": ' + b"[" * 100_000, b'{"n": ' + b"9" * 5000 + b"}"]
)
def test_an_event_that_no_forge_sends_is_named(folder: Path, content: bytes) -> None:
    (folder / "event.json").write_bytes(content)
    with pytest.raises(RunnerError, match=r"event\.json is no JSON object"):
        cases.read("page", folder)


@pytest.mark.parametrize("content", [b'{"same": ' + b"[" * 100_000, b'{"status": 1e999}', b"\x00", b"[]"])
def test_a_cassette_that_is_damaged_is_named(folder: Path, content: bytes) -> None:
    (folder / "traffic.jsonl").write_bytes(content)
    with pytest.raises(RunnerError, match=r"traffic\.jsonl:1: this is no exchange"):
        cases.read("page", folder).traffic()
