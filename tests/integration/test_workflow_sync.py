"""`skillrunner workflow sync`, as people type it."""

from runner.workflow import FILE
from tests.parts.cli import Project, skill_files

ACTION = "acme/skillrunner@0123456789abcdef0123456789abcdef01234567"
YAML = "on: {{{on}}}\nharness: {{kind: claude-code}}\noutput: {{pull_request: {{title: t}}}}\n"


def test_write_check_change_and_write_again(project: Project) -> None:
    project.write(skill_files("docs", YAML.format(on="release: {}")))
    absent = project.skillrunner("workflow", "sync")
    assert absent.code == 3
    assert "--action OWNER/skillrunner@COMMIT" in absent.err
    assert not (project.root / FILE).exists()

    wrote = project.skillrunner("workflow", "sync", "--action", ACTION, "--app")
    assert wrote.code == 0, wrote.err
    assert "ANTHROPIC_API_KEY, SKILLRUNNER_APP_PRIVATE_KEY" in wrote.out
    first = (project.root / FILE).read_text()
    assert project.skillrunner("workflow", "sync", "--check").code == 0

    project.write(skill_files("docs", YAML.format(on="issues: {types: [opened]}")))
    drifted = project.skillrunner("workflow", "sync", "--check")
    assert drifted.code == 1
    assert "+  issues:" in drifted.out
    assert "hint: skillrunner workflow sync" in drifted.err
    assert (project.root / FILE).read_text() == first

    assert project.skillrunner("workflow", "sync").code == 0
    second = (project.root / FILE).read_text()
    assert "  issues:" in second
    assert ACTION in second
    assert "app-id" in second


def test_an_invalid_skill_is_named_and_nothing_is_written(project: Project) -> None:
    project.write(skill_files("docs", YAML.format(on="relaese: {}")))
    done = project.skillrunner("workflow", "sync", "--action", ACTION)
    assert done.code == 3
    assert "skills/docs/skill.yaml:2" in done.err
    assert not (project.root / FILE).exists()
