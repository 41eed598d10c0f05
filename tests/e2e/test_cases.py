"""A skill's own tests: recorded once, replayed with no model, and failing for the right reason."""

import json
import re
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
description: Write a page
on: {manual: {}, release: {types: [published]}}
inputs: {page: {type: string, default: new}}
harness: {kind: command, command: [sh, -c, "%s"]}
verify: ["test -s docs/new.md", "grep -q Guide docs/guide.md"]
output: {pull_request: {title: "docs: a page", paths: ["docs/**"]}}
"""
WRITE = "cat > docs/new.md; echo $SOURCE_DATE_EPOCH >> docs/new.md"
CASE = Path("skills/page/cases/recorded")


def page(
    command: str = WRITE, prompt: str = "Write {{ inputs.page }} in {{ repository.name }}.\n"
) -> dict[str, str]:
    return skill_files("page", YAML % command, prompt)


@pytest.fixture
def recorded(project: Project) -> Project:
    """A project whose skill has one case."""
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(page())
    done = project.skillrunner("record", "page", "--input", "page=more")
    assert done.code == 0, done.out + done.err
    return project


def test_a_recorded_case_is_replayed(recorded: Project) -> None:
    case = recorded.root / CASE
    assert {path.name for path in case.iterdir()} == {"case.yaml", "expected.patch", "tree"}
    assert {str(path.relative_to(case / "tree")) for path in (case / "tree").rglob("*.md")} == {
        "README.md",
        "docs/guide.md",
    }
    assert "+Write more in origin." in (case / "expected.patch").read_text()
    assert recorded.branches() == ["main"]
    assert recorded.skillrunner("list", "--json").json() == []

    recorded.commit({"docs/guide.md": "# Another guide\n"}, "The repository moves on")
    done = recorded.skillrunner("test", "--junit", "report.xml")
    assert done.code == 0, done.out + done.err
    assert "ok page/recorded" in done.out
    suite = ElementTree.parse(recorded.root / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")


def test_what_differs_is_said(recorded: Project) -> None:
    recorded.write(page("cat > docs/new.md; echo x > src.py"))
    done = recorded.skillrunner("test", "page", "--json", "--junit", "report.xml")
    assert done.code == 1
    (case,) = json.loads(done.out)["cases"]
    told = "\n".join(case["problems"])
    assert "-state: succeeded" in told
    assert "+state: blocked" in told
    assert "+refused[0]: path_outside: src.py" in told
    assert "+++ b/src.py" in told
    failure = ElementTree.parse(recorded.root / "report.xml").find("testcase/failure")
    assert failure is not None
    assert "differs" in failure.attrib["message"]


def test_a_verification_that_fails_now_is_said(recorded: Project) -> None:
    path = recorded.root / "skills/page/skill.yaml"
    path.write_text(path.read_text().replace("grep -q Guide", "grep -q Nothing"))
    done = recorded.skillrunner("test")
    assert done.code == 1
    assert "+verify[1].exit_code: 1" in done.out


def test_update_keeps_what_comes_out(recorded: Project) -> None:
    case = recorded.root / CASE / "case.yaml"
    case.write_text("# Why this case is here.\n" + case.read_text())
    recorded.write(page("echo other > docs/new.md"))
    assert recorded.skillrunner("test").code == 1
    assert recorded.skillrunner("test", "--update").code == 0
    assert recorded.skillrunner("test").code == 0
    assert case.read_text().startswith("# Why this case is here.\n")
    assert "+other" in (recorded.root / CASE / "expected.patch").read_text()


def test_an_event_and_history_are_kept(recorded: Project) -> None:
    recorded.write(
        {
            **page("git tag --list > docs/new.md; cat >> docs/new.md", "For {{ event.release.tag_name }}.\n"),
            "event.json": json.dumps({"action": "published", "release": {"tag_name": "v2"}}),
        }
    )
    done = recorded.skillrunner("record", "page", "--case", "release", "--event", "event.json")
    assert done.code == 0, done.out + done.err
    folder = recorded.root / "skills/page/cases/release"
    (folder / "before").mkdir()
    (folder / "before" / "old.md").write_text("old\n")
    case = folder / "case.yaml"
    told = case.read_text()
    steps = "base:\n  - files: before\n    tags: [v1]\n    at: 2020-01-01\n  - files: tree\n    tags: [v2]\n"
    head, _, rest = told.partition("base:\n")
    case.write_text(head + steps + rest.partition("- files: tree\n")[2])
    assert recorded.skillrunner("record", "page", "--case", "release").code == 0
    patch = (folder / "expected.patch").read_text()
    assert "+v1\n+v2\n" in patch
    assert ">v2</untrusted" in patch
    assert recorded.skillrunner("test", "--case", "release").code == 0


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("test", "pagee"), 3, "did you mean `page`"),
        (("test", "page", "--case", "record"), 3, "did you mean `recorded`"),
        (("record", "page", "--input", "page=x"), 3, "says what --input would"),
        (("record", "page", "--case", "../x"), 3, "no name of a case"),
        (("record", "page", "--case", "big", "--base", "none"), 3, "no branch 'none'"),
    ],
)
def test_what_cannot_be_done_is_said(recorded: Project, args: tuple[str, ...], code: int, said: str) -> None:
    done = recorded.skillrunner(*args)
    assert said in done.err, done.err
    assert done.code == code


def test_a_recording_that_fails_leaves_nothing(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(page("exit 3"))
    done = project.skillrunner("record", "page", "--input", "page=x")
    assert (done.code, "nothing was recorded" in done.err) == (1, True)
    assert not (project.root / "skills/page/cases/recorded").exists()
    project.commit(page("true"))
    done = project.skillrunner("record", "page", "--input", "page=x", "--json")
    assert (done.code, done.json()["expect"]["state"]) == (0, "nothing_to_do")
    assert project.skillrunner("test").code == 0


def test_a_base_that_is_too_large_is_said(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit({**page(), "data.bin": b"x" * 5_000_000, "docs/run": "x"})
    done = project.skillrunner("record", "page")
    assert (done.code, "--files" in done.err) == (3, True)
    assert project.skillrunner("record", "page", "--files", "docs/**").code == 0
    kept = project.root / CASE / "tree"
    assert {path.name for path in kept.rglob("*") if path.is_file()} == {"guide.md", "run"}


def test_a_faulty_case_names_its_line(recorded: Project) -> None:
    case = recorded.root / CASE / "case.yaml"
    case.write_text(case.read_text().replace("- files: tree", "- files: trees"))
    done = recorded.skillrunner("test")
    assert done.code == 3
    assert "case.yaml:" in done.err
    assert "there is no such folder beside it" in done.err


def test_a_skill_without_cases(project: Project) -> None:
    project.commit(page())
    done = project.skillrunner("test")
    assert (done.code, "no cases found" in done.out) == (0, True)


CLOCK = (
    "{ cat; ls -la --full-time docs; stat -c '%Y %n' docs/guide.md; date; date +%s; date +%H:%M:%S.%N;"
    " echo $TZ $SOURCE_DATE_EPOCH $GIT_COMMITTER_DATE; mktemp -u; } > docs/new.md"
)


def test_times_and_temporary_names_may_differ_from_one_replay_to_the_next(project: Project) -> None:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    project.commit(page(CLOCK, "Today is {{ now.date() }}.\n"))
    assert project.skillrunner("record", "page", "--input", "page=x").code == 0
    case, patch = project.root / CASE / "case.yaml", project.root / CASE / "expected.patch"
    now = re.search(r"now: '(.*)'", case.read_text())
    assert now is not None
    second = int(datetime.fromisoformat(now[1]).timestamp())
    assert f"+{second} docs/guide.md" in patch.read_text()  # files are as old as the case
    assert f"+UTC {second} @{second} +0000" in patch.read_text()
    done = project.skillrunner("test", "page")
    assert done.code == 0, done.out + done.err

    # Where nobody knows when it was recorded, a time is a text like others.
    case.write_text(re.sub(r"recorded:\n.*\n.*\n", "", case.read_text()))
    done = project.skillrunner("test", "page")
    assert done.code == 1
    assert "the patch differs from what is expected" in done.out


def test_what_differs_by_chance_is_accepted_by_the_lines_that_are_shown(recorded: Project) -> None:
    recorded.write(page("cat > docs/new.md; echo id $$ >> docs/new.md"))
    assert recorded.skillrunner("test", "--update").code == 0
    done = recorded.skillrunner("test")
    assert done.code == 1
    assert f"if that is chance, accept it in {recorded.root / CASE}/case.yaml:" in done.out
    shown = done.out.partition("filters:\n")[2].splitlines()[:2]
    assert shown == [r"      - pattern: '\+id \d+'", "        where: patch"]
    case = recorded.root / CASE / "case.yaml"
    case.write_text(case.read_text() + "filters:\n" + "\n".join(line[4:] for line in shown) + "\n")
    done = recorded.skillrunner("test")
    assert done.code == 0, done.out
    recorded.write(page("cat > docs/new.md; echo it $$ >> docs/new.md"))
    assert recorded.skillrunner("test").code == 1


def test_a_case_is_recorded_from_a_run_that_was_started_by_hand(recorded: Project) -> None:
    event = {
        "action": "published",
        "release": {"tag_name": "v2", "id": 7},
        "repository": {"full_name": "o/r"},
    }
    recorded.write({"event.json": json.dumps(event)})
    recorded.commit(page("cat > docs/new.md", "For {{ event.release.tag_name }}: {{ inputs.page }}.\n"))
    ran = recorded.skillrunner(
        "run", "page", "--event", "event.json", "--input", "page=more", "--json"
    ).json()
    (recorded.root / "event.json").unlink()
    recorded.commit({"docs/guide.md": "# Another guide\n"}, "The repository moves on")

    done = recorded.skillrunner("record", "page", "--case", "kept", "--from-run", ran["id"])
    assert done.code == 0, done.out + done.err
    folder = recorded.root / "skills/page/cases/kept"
    assert json.loads((folder / "event.json").read_text()) == event
    assert "Old text." in (folder / "tree/docs/guide.md").read_text()
    told = (folder / "case.yaml").read_text()
    assert "trigger: release\ninputs:\n  page: more\n" in told
    assert ">v2</untrusted" in (folder / "expected.patch").read_text()
    assert recorded.skillrunner("test", "--case", "kept").code == 0

    for args, said in (
        (("--from-run", "none"), "there is no run"),
        (("--from-run", ran["id"], "--input", "page=x"), "--from-run says what --input would"),
    ):
        done = recorded.skillrunner("record", "page", "--case", "other", *args)
        assert (done.code, said in done.err) == (3, True), done.err


def test_a_run_by_hand_without_an_event_is_recorded_too(recorded: Project) -> None:
    ran = recorded.skillrunner("run", "page", "--input", "page=less", "--json").json()
    done = recorded.skillrunner("record", "page", "--case", "kept", "--from-run", ran["id"])
    assert done.code == 0, done.out + done.err
    assert "+Write less in" in (recorded.root / "skills/page/cases/kept/expected.patch").read_text()


def test_a_recording_names_no_run_that_nobody_finds(recorded: Project) -> None:
    done = recorded.skillrunner("record", "page")
    assert done.out.splitlines()[0] == "succeeded: nothing was published; a run would publish: pull request"


def test_a_case_that_cannot_run_here_says_why_and_nothing_else(recorded: Project) -> None:
    recorded.variables["SKILLRUNNER_SANDBOX"] = "docker"
    recorded.variables["DOCKER_HOST"] = "unix:///nowhere.sock"
    done = recorded.skillrunner("test")
    assert done.code == 1
    assert "the run ended error:" in done.out
    assert "differs" not in done.out
    assert "never came" not in done.out
