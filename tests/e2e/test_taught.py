"""Further skills of the repository, where an agent finds those of its user."""

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
on: {manual: {}}
environment: {skills: [house-style]}
harness:
  kind: command
  command: [sh, -c, "~/.agents/skills/house-style/say.sh > docs/said.md; ls -R ~/.claude >> docs/said.md"]
output: {pull_request: {title: said, paths: ["docs/**"]}}
"""
STYLE = {
    "skills/house-style/SKILL.md": "---\nname: house-style\ndescription: How we write\n---\nFew words.\n",
    "skills/house-style/say.sh": "#!/bin/sh\necho few words\n",
}


@pytest.fixture
def taught(project: Project) -> Project:
    project.write({**skill_files("page", YAML), **STYLE})
    (project.root / "skills/house-style/say.sh").chmod(0o755)
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    return project


def test_they_lie_in_its_home_as_they_were_committed(taught: Project) -> None:
    taught.commit({})
    (taught.root / "skills/house-style/say.sh").write_text("#!/bin/sh\necho not committed\n")
    done = taught.skillrunner("run", "page")
    assert done.code == 0, done.out + done.err
    said = taught.git("show", "skillrunner/page/default:docs/said.md", cwd=taught.origin)
    assert said.startswith("few words\n")
    assert "SKILL.md\nsay.sh" in said
    assert taught.skillrunner("validate").code == 0, "a skill without a skill.yaml is an ordinary one"


def test_one_that_is_not_there_is_named(taught: Project) -> None:
    taught.commit({})
    taught.git("rm", "-q", "skills/house-style/SKILL.md")
    taught.commit({})
    done = taught.skillrunner("run", "page")
    assert done.code != 0
    assert "`environment.skills` names house-style" in done.out + done.err
    assert "has no skills/house-style/SKILL.md" in done.out + done.err


def test_a_large_one_is_refused(taught: Project) -> None:
    taught.commit({"skills/house-style/large.bin": b"x" * (16 * 1024**2)})
    done = taught.skillrunner("run", "page")
    assert "the skill skills/house-style has 16,777," in done.out + done.err
