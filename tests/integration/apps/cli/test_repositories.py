"""Runs on repositories as they are: what is odd about one comes out right, or is told."""

from pathlib import Path

import pytest

from tests.parts.cli import Project, skill_files

YAML = """
on: {manual: {}}
environment: {setup: ["echo made > lock.json; mkdir -p demo.egg-info; echo x > demo.egg-info/PKG-INFO"]}
harness: {kind: command, command: [sh, -c, "echo new > docs/new.md"]}
output: {pull_request: {title: "docs: touch", paths: ["docs/**"]}}
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    return project


def test_what_set_up_leaves_is_not_in_the_proposal(shop: Project) -> None:
    shop.commit({**skill_files("touch", YAML), "lock.json": "{}\n"})
    ran = shop.skillrunner("run", "touch")
    assert ran.out.startswith("succeeded"), ran.out
    assert shop.skillrunner("diff", "--stat").out == "docs/new.md | +1 -0\n1 file changed\n"


def test_a_tag_named_like_the_default_branch_changes_nothing(shop: Project) -> None:
    shop.commit(skill_files("touch", YAML))
    shop.git("tag", "main", "HEAD~1")
    shop.git("push", "-q", "origin", "refs/tags/main")
    assert shop.skillrunner("run", "touch").out.startswith("succeeded")
    assert shop.skillrunner("pr", "merge", "1").out == "#1 merged into main\n"
    assert shop.git("show", "refs/heads/main:docs/new.md", cwd=shop.origin) == "new"


def test_a_repository_with_sha256_is_worked_on(tmp_path: Path) -> None:
    project = Project(root=tmp_path / "repo", origin=tmp_path / "repo", home=tmp_path / "home")
    project.variables["SKILLRUNNER_SANDBOX"] = "process"
    for folder in (project.root, project.home):
        folder.mkdir()
    project.git("init", "-q", "-b", "main", "--object-format=sha256")
    project.write({**skill_files("touch", YAML), "docs/old.md": "old\n"})
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "first")
    ran = project.skillrunner("run", "touch")
    assert ran.out.startswith("succeeded"), ran.out + ran.err


def test_a_dangling_link_is_refused_by_name_or_published_as_it_is(shop: Project) -> None:
    yaml = YAML.replace("echo new > docs/new.md", "ln -s nowhere docs/new.md")
    shop.commit({**skill_files("touch", yaml)})
    assert "docs/new.md is a link to 'nowhere'" in shop.skillrunner("run", "touch").out
    shop.commit(skill_files("touch", yaml.replace("paths:", "symlinks: true, paths:")))
    assert shop.skillrunner("run", "touch").out.startswith("succeeded")
    assert shop.git("show", "skillrunner/touch/default:docs/new.md", cwd=shop.origin) == "nowhere"


def test_a_link_that_set_up_makes_where_the_change_has_a_folder_is_named(shop: Project) -> None:
    yaml = YAML.replace("echo made > lock.json", "ln -s /nowhere out").replace("docs/", "out/")
    yaml = yaml.replace("echo new", "rm out; mkdir out; echo new") + 'verify: ["true"]\n'
    shop.commit(skill_files("touch", yaml))
    ran = shop.skillrunner("run", "touch")
    assert "out/new.md cannot be written: out is a link or a file there, and no folder" in ran.out
    assert "let `environment.setup` leave out as the repository has it" in ran.out


def test_doctor_names_a_damaged_repository(shop: Project) -> None:
    shop.git("symbolic-ref", "HEAD", "refs/heads/gone")
    told = shop.skillrunner("doctor")
    assert "stands on the branch gone, which does not exist" in told.out
    assert told.code != 0
