"""Skill folders become skills, or every fault at once."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from runner.apps.cli.main import group
from runner.config.documents import Fault
from runner.core.errors import ExitCode
from runner.core.model import Limits, Resources
from runner.skills import allowance, load
from runner.skills.discover import discover, skills_of_paths
from runner.skills.names import has_only_known_names
from runner.skills.templates import problems
from tests.parts.skills import TEXT, YAML, folder, loaded, the_skill

BROKEN = Path(__file__).parents[2] / "fixtures" / "broken"
EXPECTED = [
    ("01-unknown-key", "skill.yaml", 17),
    ("02-unknown-nested-key", "skill.yaml", 7),
    ("03-duplicate-key", "skill.yaml", 18),
    ("04-anchor", "skill.yaml", 11),
    ("05-alias", "skill.yaml", 17),
    ("06-tag", "skill.yaml", 16),
    ("07-merge-key", "skill.yaml", 15),
    ("08-wrong-type", "skill.yaml", 12),
    ("09-number-as-text", "skill.yaml", 16),
    ("10-bad-cron", "skill.yaml", 6),
    ("11-six-fields", "skill.yaml", 6),
    ("12-never-due", "skill.yaml", 6),
    ("13-unknown-zone", "skill.yaml", 7),
    ("14-unknown-activity", "skill.yaml", 4),
    ("15-unknown-trigger", "skill.yaml", 4),
    ("16-unknown-harness", "skill.yaml", 14),
    ("17-unknown-output", "skill.yaml", 19),
    ("18-no-output", "skill.yaml", 1),
    ("19-unknown-input", "SKILL.md", 6),
    ("20-unknown-variable", "SKILL.md", 6),
    ("21-title-variable", "skill.yaml", 20),
    ("22-template-syntax", "SKILL.md", 6),
    ("23-unknown-filter", "SKILL.md", 6),
    ("24-empty-prompt", "SKILL.md", 5),
    ("25-no-front-matter", "SKILL.md", 1),
    ("26-no-description", "SKILL.md", 2),
    ("27-other-name", "SKILL.md", 2),
    ("28_Bad_Folder", "skill.yaml", 1),
    ("29-tab", "skill.yaml", 11),
    ("30-two-images", "skill.yaml", 11),
]


def fault_of(yaml: str = YAML, text: str | None = TEXT, name: str = "docs") -> Fault:
    (fault,) = loaded(yaml, text, name).faults
    return fault


def test_a_skill_says_everything() -> None:
    skill = the_skill(folder())
    assert (skill.name, skill.path, skill.file) == ("docs", "skills/docs", "skills/docs/skill.yaml")
    assert skill.description == "Bring the docs up to date after each release"
    assert list(skill.triggers) == ["release", "schedule"]
    ((kind, options),) = skill.outputs.items()
    assert kind == "pull_request"
    assert skill.publishes
    assert options.labels == ("documentation",)
    assert allowance(options).paths == ("docs/**", "README.md")
    assert skill.options.limits.merge(Limits()) == Limits(timeout=2700, idle=600, cost_usd=5, attempts=2)
    assert skill.options.environment.resources.merge(Resources()).memory == 4 * 1024**3
    assert skill.prompt.first_line == 5


def test_the_least_skill_needs_one_file() -> None:
    skill = the_skill(
        folder("version: 1\nprompt: Do it\ndescription: d\nharness: {kind: codex}\noutput: {none: }\n", None)
    )
    assert skill.prompt.text == "Do it"
    assert skill.triggers == {}
    assert (list(skill.outputs), skill.publishes) == (["none"], False)


def test_the_description_may_stand_in_either_file() -> None:
    skill = the_skill(folder(YAML.replace("description: Bring the docs up to date after each release\n", "")))
    assert skill.description == "Bring the docs up to date"


def test_every_fault_of_a_file_is_told_in_order() -> None:
    yaml = YAML.replace("overlap: skip", "overlap: never").replace("45m", "soon").replace("cpus", "cpu")
    found = loaded(yaml, TEXT.replace("inputs.depth", "inputs.width")).faults
    assert [(fault.file.rsplit("/", 1)[-1], fault.line) for fault in found] == [
        ("SKILL.md", 6),
        ("skill.yaml", 9),
        ("skill.yaml", 21),
        ("skill.yaml", 24),
    ]


def test_thirty_broken_skills_give_thirty_faults_at_the_right_lines() -> None:
    done = CliRunner().invoke(group, ["validate", str(BROKEN), "--json"])
    assert done.exit_code == ExitCode.INVALID
    faults = json.loads(done.output)["faults"]
    places = [(*fault["file"].rsplit("/", 2)[1:], fault["line"]) for fault in faults]
    assert sorted(places) == sorted(EXPECTED)
    assert all(fault["message"] and fault["column"] >= 1 for fault in faults)


def test_people_read_place_value_and_what_to_write() -> None:
    done = CliRunner().invoke(group, ["validate", str(BROKEN / "13-unknown-zone")])
    assert done.exit_code == ExitCode.INVALID
    first, *_, last = done.output.splitlines()
    assert first.endswith(
        'skill.yaml:7:17: unknown time zone; did you mean `Europe/Berlin`? (value: "Europe/Berln")'
    )
    assert last == "1 fault, 0 valid skills"


def test_a_folder_of_skills_validates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    for name, content in folder().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path / "skills")
    done = CliRunner().invoke(group, ["validate"])
    assert (done.exit_code, done.output) == (0, "no faults, 1 valid skill\n")
    (tmp_path / "skillrunner.yaml").write_text("sandbx: docker\n")
    done = CliRunner().invoke(group, ["validate"])
    assert done.exit_code == ExitCode.INVALID
    assert "skillrunner.yaml:1:1: unknown key `sandbx`" in done.output


def test_an_empty_repository_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(group, ["validate"])
    assert (done.exit_code, done.output) == (0, "no skills found: `skillrunner new NAME` makes one\n")


def test_a_path_that_is_not_there_is_a_fault() -> None:
    found = skills_of_paths([Path("no/such/place")])
    assert [fault.message for fault in found.faults] == ["no such file or folder"]


@pytest.mark.parametrize(
    "start", ["skills/docs/skill.yaml", "skills/docs/SKILL.md", "skills/docs", "skills", "."]
)
def test_a_skill_is_found_from_any_of_its_paths(tmp_path: Path, start: str) -> None:
    for name, content in folder().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = skills_of_paths([tmp_path / start])
    assert [Path(name).name for name in found.files] == ["SKILL.md", "skill.yaml"]
    assert load(found.files).faults == ()


def test_links_out_of_a_skill_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the host's secret")
    skill = tmp_path / "skills" / "docs"
    skill.mkdir(parents=True)
    (skill / "skill.yaml").write_text(YAML)
    (skill / "SKILL.md").symlink_to(tmp_path / "secret")
    (skill / "notes").symlink_to(tmp_path)
    found = discover(tmp_path)
    assert list(found.files) == ["skills/docs/skill.yaml"]
    assert [fault.message for fault in found.faults] == ["is a symbolic link, which is not followed"]


def test_a_folder_that_is_too_big_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.skills.discover.MAX_FOLDER", 1000)
    skill = tmp_path / "skills" / "docs"
    skill.mkdir(parents=True)
    (skill / "skill.yaml").write_text(YAML)
    (skill / "big").write_bytes(b"x" * 2000)
    assert "more than 1000 bytes" in discover(tmp_path).faults[0].message


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    skill = tmp_path / "skills" / "docs"
    skill.mkdir(parents=True)
    (skill / "skill.yaml").write_text(YAML)
    assert discover(tmp_path).faults[0].message == "cannot be read: Permission denied"


def test_the_same_name_in_two_places_is_a_fault() -> None:
    files = folder() | {
        name.replace("skills/", ".github/skills/", 1): body for name, body in folder().items()
    }
    found = load(files)
    assert [fault.file for fault in found.faults] == ["skills/docs/skill.yaml"]
    assert "is there already, in .github/skills/docs" in found.faults[0].message


def test_a_broken_skill_does_not_stop_the_others() -> None:
    other = TEXT.replace("name: docs", "name: other")
    found = load(folder("version: 2\n") | folder(YAML, other, "other"))
    assert list(found.skills) == ["other"]
    assert all(fault.file.startswith("skills/docs/") for fault in found.faults)


def test_a_plain_agent_skill_is_no_automation() -> None:
    assert load({"skills/pdf/SKILL.md": TEXT.encode()}).skills == {}


def test_the_other_spelling_of_the_file_is_told() -> None:
    (fault,) = load({"skills/docs/skill.yml": YAML.encode()}).faults
    assert fault.hint == "rename it to skill.yaml"


def test_the_digest_covers_every_file_and_its_name() -> None:
    digests = {
        the_skill(files).digest
        for files in (
            folder(),
            folder() | {"skills/docs/scripts/a.py": b"1"},
            folder() | {"skills/docs/scripts/b.py": b"1"},
            folder() | {"skills/docs/scripts/a.py": b"2"},
            folder(YAML + "# why\n"),
        )
    }
    assert len(digests) == 5
    assert the_skill(folder()).digest in digests


def test_windows_line_ends_and_a_byte_order_mark_are_read() -> None:
    yaml = b"\xef\xbb\xbf" + YAML.replace("\n", "\r\n").encode()
    text = b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()
    assert the_skill(folder(yaml, text)).prompt.text == the_skill(folder()).prompt.text


@pytest.mark.parametrize(
    ("yaml", "place", "message"),
    [
        (b"", (1, 1), "file is empty"),
        (b"- a\n", (1, 1), "file is not a mapping"),
        (b"version: 1\nname: \xff\n", (2, 7), "file is not UTF-8"),
        (b"version: 1\nname: \x07\n", (2, 7), "not valid YAML: a control character"),
        (b"x" * 300_000, (1, 1), "file has 300000 bytes, more than the 262144 that are read"),
        (b"version: 1\n---\nversion: 1\n", (2, 1), "a second document begins"),
        (b"a: " + b"[" * 40 + b"]" * 40, (1, 36), "nested more than 32 levels deep"),
        (b"? [a]\n: 1\n", (1, 3), "a key that is not text"),
        (b"a: b: c\n", (1, 5), "not valid YAML: mapping values are not allowed in this context"),
    ],
)
def test_what_is_no_skill_file_is_told(yaml: bytes, place: tuple[int, int], message: str) -> None:
    found = loaded(yaml).faults
    assert (place, message) in [((fault.line, fault.column), fault.message) for fault in found]


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("draft: true", "draft: yes", "should be true or false", "write true or false, without quotes"),
        ("pids: 512", 'pids: "512"', "should be a whole number", "write a number, without quotes"),
        ("image: python:3.12-slim", "image: 3.12", "should be text", "put it in quotes"),
        ("memory: 4g", "memory: 4GB", 'should be a size such as "64k", "512m" or "4g"', ""),
        ("DOCS_TOKEN", "DOCS-TOKEN", "should be a variable's name, such as API_KEY", ""),
        ("default: dry", "default: wet", "default `wet` is not one of the options", ""),
        (
            "  depth:",
            "  Depth:",
            "should be a name of a-z, 0-9 and underscores that begins with no digit",
            "",
        ),
        (
            "kind: claude-code, ",
            "",
            "`kind` is missing",
            "add `kind:`, with one of: acp, claude-code, codex, command, copilot, gemini, opencode, oz, qwen",
        ),
        ('["make docs"]', '[""]', "should not be empty", ""),
        ("catch_up: 6h", "catch_up: ", 'should be a duration such as "90s", "45m", "6h" or "1h30m"', ""),
    ],
)
def test_a_fault_says_what_to_write(old: str, new: str, message: str, hint: str) -> None:
    assert old in YAML
    found = [(fault.message, fault.hint) for fault in loaded(YAML.replace(old, new, 1), "---\n").faults]
    assert (message, hint) in found


def test_what_publishes_nothing_stands_alone() -> None:
    fault = fault_of(YAML.replace("template: true\n", "  none: {}\n"))
    assert fault.message == "names `none`, which publishes nothing, beside others: keep one of them"


def test_characters_that_deceive_a_reviewer_are_refused() -> None:
    fault = fault_of(text=TEXT + "Do \u202eton\u202c it\n".replace("\u202c", ""))
    assert (fault.line, fault.column, fault.value) == (7, 4, "\\u{202e}")


def test_a_prompt_in_yaml_reports_its_own_lines() -> None:
    yaml = YAML + "prompt: |\n  First.\n  Then {{ inputs.width }}.\n"
    fault = fault_of(yaml, None)
    assert (fault.file, fault.line) == ("skills/docs/skill.yaml", YAML.count("\n") + 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\nname: docs\ndescription: d\n", "no front matter"),
        (TEXT + "{% include 'x' %}", "a template cannot read other files"),
        (TEXT + "{{ run.idd }}", "unknown variable `run.idd` in the template"),
        (TEXT + "{% if event.x is strnig %}{% endif %}", "unknown test `strnig` in the template"),
        (TEXT + "x" * 300_000, "instructions have"),
    ],
)
def test_faults_of_the_instructions(text: str, message: str) -> None:
    assert message in fault_of(text=text).message


def test_instructions_that_are_not_utf8_are_told() -> None:
    (fault,) = loaded(YAML, TEXT.encode() + b"caf\xe9\n").faults
    assert (fault.line, fault.column, fault.message) == (7, 4, "file is not UTF-8")


def test_names_that_a_template_makes_itself_are_known() -> None:
    text = TEXT + "{% for c in event.commits %}{% set n = loop.index %}{{ n }}{{ c.id }}{% endfor %}\n"
    assert loaded(YAML, text).faults == ()


def test_other_clients_front_matter_is_left_alone() -> None:
    text = TEXT.replace(
        "name: docs", "name: docs\nlicense: MIT\nallowed-tools: Read\nmetadata: {version: 1.0}"
    )
    assert loaded(YAML, text).faults == ()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_bytes_break_the_loader(yaml: bytes, text: bytes) -> None:
    assert loaded(yaml, text).skills == {}


@given(st.integers(0, len(YAML) - 1), st.sampled_from('"{}[]:,&*!|>%@`-#\t\n\x00?\ue000') | st.characters())
def test_no_single_slip_breaks_the_loader(index: int, char: str) -> None:
    slipped = (YAML[:index] + char + YAML[index + 1 :]).encode("utf-8", "surrogatepass")
    found = loaded(slipped)
    assert found.skills or found.faults


@given(st.integers(0, len(YAML) - 1), st.sampled_from('"{}[]:,&*!|>%@`-#'))
def test_what_both_parsers_read_they_read_alike(index: int, char: str) -> None:
    """They do not refuse quite the same slips: libyaml takes no `:` before a word in brackets, for one."""
    slipped = YAML[:index] + char + YAML[index + 1 :]
    fast = loaded(slipped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "_ruamel_yaml", None)
        slow = loaded(slipped)
    assert all(one.skills or one.faults for one in (fast, slow))
    assert not (fast.skills and slow.skills) or fast.skills == slow.skills


@given(
    st.lists(
        st.sampled_from(
            ["{{ ", "{{", "}}", " }}", "{%", "event", ".x", "inputs.depth", "run.id", "run.no", "{", "a"]
        )
    )
)
def test_the_short_way_never_takes_what_the_template_language_refuses(parts: list[str]) -> None:
    source = "".join(parts)
    assert not (has_only_known_names(source, ("depth",)) and problems(source, ("depth",)))
