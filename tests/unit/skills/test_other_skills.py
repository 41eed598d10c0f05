"""Skills as other clients know them, and what lies in a skill's folder without being read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.apps.cli.main import group
from runner.config.documents.wording import PATTERNS
from runner.config.network import PATTERN
from runner.config.options import GLOB
from runner.config.zones import ZONE
from runner.core.units import DURATION, MOMENT, RATE, SIZE
from runner.skills import load
from runner.skills.conditions import QUERY
from runner.skills.discover import discover
from runner.skills.models import MCP_NAME
from runner.skills.schema import schemas
from runner.triggers.cron import CRON
from runner.triggers.options import REF
from tests.parts.skills import TEXT, YAML, folder

FRONT = "---\nname: pdf\ndescription: Reads PDF files\n---\n"
MINIMAL = """\
version: 1
harness: {kind: command, command: ["true"]}
output: {none: {}}
"""


def plain(body: str, front: str = FRONT) -> dict[str, bytes]:
    return {"skills/pdf/SKILL.md": (front + body).encode()}


def with_yaml(body: str, yaml: str = MINIMAL) -> dict[str, bytes]:
    return {**plain(body), "skills/pdf/skill.yaml": yaml.encode()}


FOREIGN = [
    "Put `token: ${{ secrets.DEPLOY }}` into the workflow.\n",
    "Write `{% comment %}x{% endcomment %}` into the page.\n",
    "Vue shows {{ message }}, Go has {{ .Values.image }}, {{- range .Items }}.\n",
    "{# not a comment of ours #}\n",
    "An open {{ and {% and nothing else\n",
    "{% raw %}{{ x }}{% endraw %}\n",
]


@pytest.mark.parametrize("body", FOREIGN)
def test_a_body_with_foreign_braces_is_valid_and_taken_as_it_is(body: str) -> None:
    for files in (plain(body), with_yaml(body)):
        found = load(files, plain=True)
        assert (found.faults, found.warnings) == ((), ())
        prompt = found.skills["pdf"].prompt
        assert (prompt.text, prompt.is_literal) == (body, True)


def test_a_body_is_a_template_where_the_skill_asks_for_it() -> None:
    found = load(with_yaml("Look at {{ repository.nam }}.\n", MINIMAL + "template: true\n"))
    assert [fault.message for fault in found.faults] == ["unknown variable `repository.nam` in the template"]


def test_a_prompt_in_yaml_is_always_a_template() -> None:
    found = load({"skills/pdf/skill.yaml": (MINIMAL + "description: d\nprompt: '{{ x }}'\n").encode()})
    assert [fault.message for fault in found.faults] == ["unknown name `x` in the template"]


@pytest.mark.parametrize(
    "body",
    [
        "Fix {{ inputs.page }}.\n",
        "\n\nSee {{event.issue.title}}\n",
        "{% if event.x is defined %}a{% endif %}\n",
    ],
)
def test_what_looks_as_if_it_were_to_be_filled_in_is_warned_about(body: str) -> None:
    (warning,) = load(with_yaml(body)).warnings
    assert warning.message == "this is not filled in"
    assert "template: true" in warning.hint


def test_an_expression_of_a_workflow_is_not_taken_for_ours() -> None:
    assert load(with_yaml("Use ${{ inputs.version }} and ${{ event.name }}.\n")).warnings == ()


def test_what_new_makes_is_a_template(tmp_path: Path) -> None:
    from tests.parts.cli import make_project

    project = make_project(tmp_path, {"README.md": "x\n"})
    assert project.skillrunner("new", "tidy").code == 0
    (project.root / "skills/tidy/SKILL.md").write_text(
        "---\nname: tidy\ndescription: d\n---\nFor {{ repository.name }}.\n"
    )
    found = load(discover(project.root).files)
    assert (found.faults, found.warnings) == ((), ())
    assert not found.skills["tidy"].prompt.is_literal


def test_a_plain_skill_md_is_a_skill_that_nothing_starts() -> None:
    found = load(plain("Read it.\n"), plain=True)
    assert found.faults == ()
    skill = found.skills["pdf"]
    assert (skill.file, skill.description, dict(skill.triggers)) == (
        "skills/pdf/SKILL.md",
        "Reads PDF files",
        {},
    )
    assert skill.options.output.pull_request.draft is True
    assert load(plain("Read it.\n")).skills == {}  # not where triggers are looked for


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("---\nname: other\ndescription: d\n---\n", "is not the folder's name"),
        ("---\nname: pdf\n---\n", "`description` is missing"),
        ("# PDF\n", "no front matter"),
    ],
)
def test_a_plain_skill_md_is_validated(front: str, message: str) -> None:
    found = load(plain("Read it.\n", front), plain=True)
    assert ([fault.message for fault in found.faults], found.skills) == ([message], {})


@pytest.mark.parametrize(
    "more",
    ["license: null", "metadata: [1]", "compatibility: " + "x" * 600, "allowed-tools: Bash(git:*) Read"],
)
def test_further_keys_of_the_front_matter_are_other_clients_business(more: str) -> None:
    front = f"---\nname: pdf\ndescription: d\n{more}\n---\n"
    assert load(plain("Read it.\n", front), plain=True).faults == ()


def test_a_long_description_is_a_warning() -> None:
    front = f"---\nname: pdf\ndescription: {'Use this. ' * 120}\n---\n"
    found = load(plain("Read it.\n", front), plain=True)
    assert (found.faults, list(found.skills)) == ((), ["pdf"])
    assert [one.message for one in found.warnings] == [
        "has 1199 characters, more than the 1024 that others read"
    ]


def test_a_skill_md_among_a_skills_own_files_is_no_skill() -> None:
    files = {**plain("Read it.\n"), "skills/pdf/assets/SKILL.md": b"---\nname: NAME\n---\n"}
    assert list(load(files, plain=True).skills) == ["pdf"]
    files = {**folder(), "skills/docs/assets/x/SKILL.md": b"no skill\n"}
    assert list(load(files, plain=True).skills) == ["docs"]


# --- what would be ignored without a word ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("skill.md", "SKILL.md"),
        ("Skill.md", "SKILL.md"),
        ("SKILL.MD", "SKILL.md"),
        ("Skill.yaml", "skill.yaml"),
        ("skill.yml", "skill.yaml"),
        ("SKILL.YAML", "skill.yaml"),
    ],
)
def test_a_file_in_another_case_is_told_of(tmp_path: Path, name: str, right: str) -> None:
    (tmp_path / "skills/pdf").mkdir(parents=True)
    (tmp_path / "skills/pdf" / name).write_text(FRONT + "Read it.\n")
    faults = load(discover(tmp_path).files, plain=True).faults
    assert [(fault.file, fault.message) for fault in faults] == [
        (f"skills/pdf/{name}", "this file is not read")
    ]
    assert faults[0].hint == f"rename it to {right}"


def test_a_file_in_another_case_beside_the_right_one_is_a_warning() -> None:
    found = load({**folder(), "skills/docs/skill.md": b"older\n"})
    assert list(found.skills) == ["docs"]
    assert [(one.file, one.hint) for one in found.warnings] == [
        ("skills/docs/skill.md", "remove it: SKILL.md is there too")
    ]


def test_a_skill_deeper_than_others_is_found_as_a_worker_finds_it(tmp_path: Path) -> None:
    for name, content in folder().items():
        path = tmp_path / name.replace("skills/", "skills/group/sub/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    files = discover(tmp_path).files
    assert [skill.path for skill in load(files).skills.values()] == ["skills/group/sub/docs"]


def test_a_skill_behind_a_link_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/skill.yaml").write_text(YAML)
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills/docs").symlink_to("../elsewhere")
    (tmp_path / "skills/gone").symlink_to("../nowhere")
    found = discover(tmp_path)
    assert found.files == {}
    assert [(fault.file, fault.message) for fault in found.faults] == [
        ("skills/docs", "is a symbolic link, which is not followed")
    ]


def test_a_prompt_beside_a_body_is_warned_about() -> None:
    found = load(folder(YAML + "prompt: Do it.\n"))
    assert list(found.skills) == ["docs"]
    assert [one.message for one in found.warnings] == [
        "`prompt` is read in place of the instructions in SKILL.md"
    ]


def test_a_case_without_its_file_is_warned_about() -> None:
    files = {**folder(), "skills/docs/cases/one/case.yaml": b"", "skills/docs/cases/two/tree/a": b""}
    (warning,) = load(files).warnings
    assert (warning.file, warning.message) == ("skills/docs/cases/two", "has no case.yaml: no test runs it")


def test_folders_that_differ_in_case_alone_are_told_of() -> None:
    found = load({**folder(), **folder(name="Docs")})
    told = {fault.file: fault.message for fault in found.faults if "only in case" in fault.message}
    rest = "only in case: where case does not count they are one folder"
    assert told == {
        "skills/Docs/skill.yaml": f"differs from skills/docs {rest}",
        "skills/docs/skill.yaml": f"differs from skills/Docs {rest}",
    }


@pytest.mark.parametrize(
    ("cron", "words"),
    [("*/45 * * * *", "is not every 45 minutes"), ("0 0 1 * 1", "either one"), ("0 0 */5 * 1", "in both")],
)
def test_validate_says_what_a_cron_line_means_unlike_it_looks(tmp_path: Path, cron: str, words: str) -> None:
    yaml = YAML.replace("0 9 * * 1", cron)
    for name, content in folder(yaml).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    done = CliRunner().invoke(group, ["validate", str(tmp_path)])
    first, hint, last = done.output.splitlines()
    assert (done.exit_code, last) == (0, "no faults, 1 warning, 1 valid skill")
    assert "skill.yaml:6:13: warning: " in first
    assert words in first
    assert hint.startswith("    ")


# --- hints ------------------------------------------------------------------------------------------------


def fault_of(yaml: str, text: str = TEXT) -> tuple[str, str]:
    (fault,) = load(folder(yaml, text)).faults
    return fault.message, fault.hint


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        (
            '  schedule:\n    - cron: "0 9 * * 1"\n      timezone: Europe/Berlin\n      catch_up: 6h\n',
            '  schedule: "0 9 * * 1"\n',
            "should be a list",
            'write a list: `- cron: "0 9 * * 1"`',
        ),
        (
            '  schedule:\n    - cron: "0 9 * * 1"\n',
            '  schedule:\n      cron: "0 9 * * 1"\n',
            "should be a list",
            "write `- ` before its first line, and indent the others",
        ),
        (
            "harness: {kind: claude-code, model: sonnet}",
            "harness: claude-code",
            "should be a mapping",
            "write `harness: {kind: claude-code}`",
        ),
        ('verify: ["make docs"]', "verify: make docs", "should be a list", 'write ["make docs"]'),
        ("{types: [published]}", "{types: []}", "should not be empty", ""),
        ("attempts: 2}", "attempts: 11}", "should be at most 10", ""),
        ("attempts: 2}", "attempts: 0}", "should be at least 1", ""),
        ("cost_usd: 5", "cost_usd: 0", "should be more than 0", ""),
        ('paths: ["docs/**"', 'paths: ["../**"', "matches no path of a repository", ""),
        ('paths: ["docs/**"', 'paths: ["/docs/**"', "begins with `/`", ""),
        ('paths: ["docs/**"', 'paths: ["./docs/**"', "matches no path of a repository", ""),
        ('paths: ["docs/**"', 'paths: ["docs//x"', "matches no path of a repository", ""),
        ('paths: ["docs/**"', 'paths: ["!docs/**"', "begins with `!`", ""),
        ('paths: ["docs/**"', "paths: ['docs\\**'", "has a backslash", ""),
        ('paths: ["docs/**"', 'paths: [".git/config"', "matches no path of a repository", ""),
        ("timezone: Europe/Berlin", "timezone: localtime", "is another zone on each machine", ""),
        ("types: [published]", 'types: [published], tags: ["refs/tags/v*"]', "begins with `refs/`", ""),
        ("types: [published]", 'types: [published], tags: ["!v0*"]', "begins with `!`", ""),
        ("types: [published]", 'types: [published], tags: ["v 1"]', "matches no branch or tag", ""),
    ],
)
def test_a_fault_is_told_in_words_and_with_what_to_write(old: str, new: str, message: str, hint: str) -> None:
    assert old in YAML
    said = fault_of(YAML.replace(old, new))
    assert said[0].startswith(message)
    assert said[1].startswith(hint)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ('cron: "0 9 * * 1"', "cron: */5 * * * *", 'put it in quotes: cron: "*/5 * * * *"'),
        ('cron: "0 9 * * 1"', "cron: * * * * *", 'put it in quotes: cron: "* * * * *"'),
        ('cron: "0 9 * * 1"', "cron: @daily", 'put it in quotes: cron: "@daily"'),
        (
            'title: "docs: update for {{ event.release.tag_name }}"',
            "title: {{ event.release.tag_name }} is out",
            'put it in quotes: title: "{{ event.release.tag_name }} is out"',
        ),
        (
            'title: "docs: update for {{ event.release.tag_name }}"',
            "title: {{ event.release.tag_name }}",
            'put it in quotes: title: "{{ event.release.tag_name }}"',
        ),
        (
            'title: "docs: update for {{ event.release.tag_name }}"',
            "title: docs: update for {{ event.release.tag_name }}",
            'put it in quotes: title: "docs: update for {{ event.release.tag_name }}"',
        ),
    ],
)
def test_what_has_to_stand_in_quotes_is_said(old: str, new: str, hint: str) -> None:
    assert old in YAML
    assert load(folder(YAML.replace(old, new))).faults[0].hint == hint


CONFLICT = "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> topic\n"


def test_marks_of_a_conflict_are_named() -> None:
    version = CONFLICT.format("version: 1", "version: 2")
    assert fault_of(YAML.replace("version: 1\n", version))[0] == "a conflict mark of git"
    front = TEXT.replace("name: docs\n", "name: docs\n" + CONFLICT.format("a: 1", "a: 2"))
    assert fault_of(YAML, front)[0] == "a conflict mark of git"
    (warning,) = load(folder(YAML, TEXT + CONFLICT.format("one", "two"))).warnings
    assert (warning.message, warning.line) == ("a conflict mark of git", 7)


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        yield from schema.get("patternProperties", {})
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _patterns(inner)


def test_no_pattern_is_shown_to_anybody() -> None:
    """Each pattern that Pydantic checks has words; the others are checked by a function that has them."""
    known = schemas()
    named = {*_patterns(known["skill"]), *_patterns(known["config"])}
    by_function = {CRON, ZONE, DURATION, SIZE, RATE, PATTERN, REF, GLOB, MCP_NAME, QUERY, MOMENT}
    assert named - PATTERNS.keys() - by_function == set(), "add words to runner/config/documents/wording.py"
