"""Which folders are skills, what is wrong with them, and what a skill says of itself."""

import hashlib
from dataclasses import replace

import pytest

from runner.config.documents import Fault
from runner.skills import load
from runner.skills.loader import digest
from tests.parts.skills import TEXT, YAML, folder, loaded, the_skill

LEAST = "version: 1\ndescription: d\nharness: {kind: codex}\noutput: {none: }\n"
PROMPT = LEAST + "prompt: Do it\n"


def faults(files: dict[str, bytes]) -> list[tuple[str, str]]:
    found = load(files)
    assert found.skills == {}
    return [(one.file, one.message) for one in found.faults]


# --- folders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["skills/docs", "docs", ".github/skills/docs", "a/b/c/d/docs"])
def test_a_skill_lies_anywhere(place: str) -> None:
    skill = the_skill({f"{place}/skill.yaml": PROMPT.encode(), "other/file": b"x", "file": b"x"})
    assert (skill.name, skill.path, skill.file) == ("docs", place, f"{place}/skill.yaml")


def test_only_what_lies_in_its_folder_is_its_own() -> None:
    alone = {"skills/docs/skill.yaml": PROMPT.encode()}
    beside = {"skills/docs2/x": b"x", "skills/x": b"x", "x": b"x", "skills/docs.md": b"x"}
    assert the_skill(alone | beside).digest == the_skill(alone).digest
    below = {"skills/docs/a/b/c": b"x"}
    assert the_skill(alone | below).digest == digest({"skill.yaml": PROMPT.encode(), "a/b/c": b"x"})


def test_a_skill_in_a_skill_is_one_of_its_own() -> None:
    outer = {"skills/docs/skill.yaml": PROMPT.encode()}
    inner = {"skills/docs/inner/skill.yaml": PROMPT.encode(), "skills/docs/inner/x/y": b"x"}
    found = load(outer | inner)
    assert found.faults == ()
    assert sorted(found.skills) == ["docs", "inner"]
    assert found.skills["docs"].digest == the_skill(outer).digest
    assert found.skills["inner"].digest == digest({"skill.yaml": PROMPT.encode(), "x/y": b"x"})


def test_a_skill_at_the_top_has_no_name() -> None:
    assert faults({"skill.yaml": PROMPT.encode()}) == [
        ("./skill.yaml", "the folder's name is not a skill's name")
    ]


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("a", True),
        ("a-b2", True),
        ("2", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("A", False),
        ("a--b", False),
        ("-a", False),
        ("a-", False),
        ("a_b", False),
    ],
)
def test_the_name_of_a_folder(name: str, right: bool) -> None:
    found = load(folder(PROMPT, None, name))
    if right:
        assert list(found.skills) == [name]
        return
    hint = "rename the folder: 1-64 characters of a-z, 0-9 and single hyphens between them"
    file = f"skills/{name}/skill.yaml"
    (fault,) = found.faults
    assert replace(fault, value="") == Fault(file, 1, 1, "the folder's name is not a skill's name", "", hint)


def test_the_digest_is_of_paths_and_contents_and_nothing_can_be_moved_between_them() -> None:
    whole = hashlib.sha256(b"1:b:3:xyz" + b"2:\xc3\xa4:0:").hexdigest()
    assert digest({"\u00e4": b"", "b": b"xyz"}) == whole
    assert digest({"a": b"1:b:0:"}) != digest({"a": b"", "b": b""})


# --- a faulty one -----------------------------------------------------------------------------------


def test_the_other_spelling() -> None:
    found = load({"skills/docs/skill.yml": PROMPT.encode()})
    hint = "rename it to skill.yaml"
    assert found.faults == (Fault("skills/docs/skill.yml", 1, 1, "this file is not read", "skill.yml", hint),)
    both = {"skills/docs/skill.yml": b"nonsense: [", "skills/docs/skill.yaml": PROMPT.encode()}
    assert the_skill(both).name == "docs"


def test_two_folders_of_one_name() -> None:
    files = folder(PROMPT, None) | {
        "z/docs/skill.yaml": PROMPT.encode(),
        "a/docs/skill.yaml": PROMPT.encode(),
    }
    found = load(files)
    assert found.skills["docs"].path == "a/docs"
    message = "a skill of this name is there already, in a/docs"
    assert found.faults == tuple(
        Fault(f"{place}/docs/skill.yaml", 1, 1, message, "docs", "rename one of the folders")
        for place in ("skills", "z")
    )


def test_faults_come_once_each_in_the_order_of_folders_and_lines() -> None:
    files = folder("version: 2\nx: 1\n", None, "b") | folder("version: 2\n", None, "a")
    places = [(one.file, one.line, one.column) for one in load(files).faults]
    assert places == sorted(places)
    assert len(set(load(files).faults)) == len(load(files).faults)


@pytest.mark.parametrize(("size", "right"), [(262_144, True), (262_145, False)])
def test_a_file_may_be_as_large_as_the_limit(size: int, right: bool) -> None:
    yaml = PROMPT + "#" * (size - len(PROMPT) - 1) + "\n"
    found = load(folder(yaml, None))
    assert bool(found.skills) is right
    said = [(one.line, one.column, one.message) for one in found.faults]
    wanted = (1, 1, f"file has {size} bytes, more than the 262144 that are read")
    assert said == ([] if right else [wanted])


def test_a_broken_file_is_told_without_what_it_lacks() -> None:
    assert faults(folder("version: [", None)) != []
    assert all("missing" not in message for _, message in faults(folder("version: [", None)))


# --- instructions and description -------------------------------------------------------------------


def test_a_skill_without_instructions() -> None:
    found = load(folder(LEAST, None))
    hint = "write the instructions into SKILL.md beside it, or under `prompt:`"
    assert found.faults == (Fault("skills/docs/skill.yaml", 1, 1, "the skill has no instructions", "", hint),)


@pytest.mark.parametrize("prompt", ["''", "' '", "|\n  \n"])
def test_an_empty_prompt_is_no_prompt(prompt: str) -> None:
    found = loaded(f"{LEAST}prompt: {prompt}\n", None)
    assert found.skills == {}
    assert found.faults


def test_a_prompt_that_is_no_text_is_a_fault() -> None:
    assert [(one.line, one.message) for one in loaded(f"{LEAST}prompt: 7\n", None).faults] == [
        (5, "should be text")
    ]


def test_the_prompt_goes_before_the_instructions() -> None:
    skill = the_skill(folder(YAML + "prompt: Do that\n", TEXT))
    assert skill.prompt.text == "Do that"
    assert (skill.prompt.file, skill.prompt.first_line) == ("skills/docs/skill.yaml", YAML.count("\n") + 1)
    block = the_skill(folder(YAML + "prompt: |\n  Do that\n", TEXT))
    assert (block.prompt.text, block.prompt.first_line) == ("Do that\n", YAML.count("\n") + 2)
    beside = the_skill(folder(YAML, TEXT))
    assert (beside.prompt.file, beside.prompt.text.startswith("\nUpdate")) == ("skills/docs/SKILL.md", True)


def test_the_description_of_the_file_goes_before_the_other() -> None:
    assert the_skill(folder(PROMPT, TEXT)).description == "d"
    without = PROMPT.replace("description: d\n", "")
    assert the_skill(folder(without, TEXT)).description == "Bring the docs up to date"
    hint = "say in one line what the skill is for"
    assert loaded(without, None).faults == (
        Fault("skills/docs/skill.yaml", 1, 1, "`description` is missing", "", hint),
    )


@pytest.mark.parametrize("written", ["description: ''", "description: 7", "description: [d]"])
def test_a_description_that_is_no_words_is_told_once(written: str) -> None:
    found = loaded(PROMPT.replace("description: d", written), None)
    assert found.skills == {}
    assert [one.line for one in found.faults] == [2]
    assert all("missing" not in one.message for one in found.faults)


def test_servers_and_templates_are_looked_at() -> None:
    wrong = YAML.replace("{{ event.release.tag_name }}", "{{ run.nothing }}")
    assert [(one.line, one.message) for one in loaded(wrong).faults] == [
        (28, "unknown variable `run.nothing` in the template")
    ]
    twice = YAML.replace("[words, --stdio]", "[]")
    assert loaded(twice).skills == {}


def test_a_skill_tells_its_triggers_and_its_output() -> None:
    skill = the_skill(folder())
    assert list(skill.triggers) == ["release", "schedule"]
    assert skill.triggers["release"].types == ("published",)
    assert list(skill.outputs) == ["pull_request"]
    options = skill.outputs["pull_request"]
    assert options.title == "docs: update for {{ event.release.tag_name }}"
    assert (skill.publishes, skill.base_branch) == (True, None)
    assert the_skill(folder(PROMPT, None)).publishes is False
    based = the_skill(folder(YAML.replace("draft: true", "base: dev")))
    assert based.base_branch == "dev"
    assert skill.digest == digest({"skill.yaml": YAML.encode(), "SKILL.md": TEXT.encode()})


def test_a_skill_tells_its_timetable_and_whom_it_follows() -> None:
    skill = the_skill(folder())
    assert [(one.cron, one.timezone) for one in skill.schedules] == [("0 9 * * 1", "Europe/Berlin")]
    assert skill.follows == ""
    follows = the_skill(folder(PROMPT + "on: {run_completed: {skill: other}}\n", None))
    assert (list(follows.schedules), follows.follows) == ([], "other")
