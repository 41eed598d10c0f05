"""Environments as a user writes them: the command line, a real repository, a real engine."""

import json

import pytest

from runner.doors import building, docker
from tests.parts.cli import Project, skill_files

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]

SKILL = """
on: {manual: {}}
environment: {%s}
harness: {kind: command, command: [sh, -c, "%s"]}
output: {pull_request: {title: "docs", paths: ["docs/**"]}}
"""


@pytest.fixture
def docked(project: Project, local_image: str) -> Project:
    project.variables["SKILLRUNNER_SANDBOX"] = "docker"
    project.variables["SKILLRUNNER_IMAGE"] = local_image
    return project


def made_by(project: Project, path: str) -> str:
    return project.git("show", f"skillrunner/s/default:{path}", cwd=project.origin)


def test_a_skill_works_in_the_image_of_its_dockerfile(docked: Project, local_image: str) -> None:
    dockerfile = f"FROM {local_image}\nCOPY docs/guide.md /guide\nRUN echo {docked.root} >> /guide\n"
    files = skill_files("s", SKILL % ("dockerfile: env/Dockerfile", "cp /guide docs/new.md"))
    docked.commit({**files, "env/Dockerfile": dockerfile})
    docked.write({"env/Dockerfile": "FROM never-built\n"})  # the work tree has no say
    done = docked.skillrunner("run", "s", "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    try:
        assert made_by(docked, "docs/new.md") == f"# Guide\n\nOld text.\n{docked.root}"
        assert record["image_digest"].startswith("sha256:")
        again = docked.skillrunner("run", "s", "--json")
        assert "is there already" in again.err
        assert json.loads(again.out)["image_digest"] == record["image_digest"]
    finally:
        for tag in docker.client().inspect_image(record["image_digest"])["RepoTags"]:
            assert tag.startswith(building.REPOSITORY)
            docker.client().remove_image(tag)


def test_a_build_that_fails_ends_the_run(docked: Project, local_image: str) -> None:
    files = skill_files("s", SKILL % ("dockerfile: Dockerfile", "true"))
    docked.commit({**files, "Dockerfile": f"FROM {local_image}\nRUN echo no such thing; exit 4\n"})
    done = docked.skillrunner("run", "s", "--json")
    end = json.loads(done.out)["end"]
    assert (done.code, end["phase"], end["reason"]) == (1, "sandbox", "image_build_failed")
    assert "no such thing" in end["message"]
    run_id = json.loads(done.out)["id"]
    assert "no such thing" in (docked.state / "runs" / run_id / "image.log").read_text()
